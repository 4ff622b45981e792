"""Do the main pages show what they are there for? The pictures of them in the README are taken here.

`TRACKLEDGER_SCREENSHOTS=tests/screenshots uv run pytest tests/test_screenshots.py` takes those of the README anew.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support.browser import Visitor
from support.rehearsed import Rehearsed, rehearsed

PICTURES = Path(__file__).parent / "screenshots"
SIZES = {"board": (1280, 720), "failed-deliveries": (1280, 720), "shipment": (1280, 960), "analytics": (1280, 860)}
LARGEST = 160_000
"""Bytes of a picture, as everybody who clones the repository has them all."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    with rehearsed(f"sqlite:///{tmp_path_factory.mktemp('world')}/ledger.db") as world:
        yield world


def path_of(name: str, world: Rehearsed) -> str:
    """The path of the page that a picture shows."""
    if name != "shipment":
        return {"board": "/", "failed-deliveries": "/ndr", "analytics": "/analytics?over=day"}[name]
    # The one that has been heard of most often.
    (row,) = world.rows(
        """SELECT c.shipment_id FROM {s}ndr_cases c JOIN {s}timeline t USING (shipment_id)
           WHERE c.account = :account AND c.state = 'open' AND t.provider = 'clickpost'
           GROUP BY c.shipment_id ORDER BY COUNT(*) DESC, c.shipment_id LIMIT 1"""
    )
    return f"/shipments/{row['shipment_id']}"


def seen(name: str, page: Page) -> list[Locator]:
    """What a picture has to show."""
    main = page.get_by_role("main")
    match name:
        case "board":
            cards = ("Failed deliveries by time left to act", "Against the promise", "Stuck", "On their way")
            return [main.get_by_role("region", name=card) for card in cards]
        case "failed-deliveries":
            return [*main.locator("tr[data-row]").all()[:7], main.get_by_role("link", name="CSV")]
        case "shipment":
            drawing = main.get_by_role("region", name="Against the delivery date")
            return [main.get_by_role("slider"), main.get_by_role("region", name="Failed delivery"), drawing]
        case _:
            return main.locator("canvas").all()[:2]


@pytest.mark.parametrize("name", SIZES)
def test_a_picture_shows_what_the_page_is_for(browser: Browser, world: Rehearsed, tmp_path: Path, name: str) -> None:
    folder = Path(os.environ.get("TRACKLEDGER_SCREENSHOTS") or tmp_path)
    visitor = Visitor(browser, world.api.url)
    width, height = SIZES[name]
    page = visitor.window("operator", viewport={"width": width, "height": height})
    page.goto(f"/console{path_of(name, world)}", wait_until="networkidle")

    things = seen(name, page)
    assert things
    for one in things:
        expect(one).to_be_in_viewport(ratio=0.5)
    folder.mkdir(exist_ok=True)
    picture = folder / f"{name}.png"
    page.screenshot(path=picture, animations="disabled")

    visitor.close()
    assert size(picture) == SIZES[name]
    assert picture.stat().st_size < LARGEST


def test_the_pictures_of_the_readme_are_those() -> None:
    shown = {path.stem: size(path) for path in PICTURES.glob("*.png")}
    assert shown == SIZES
    assert all(path.stat().st_size < LARGEST for path in PICTURES.iterdir())


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height

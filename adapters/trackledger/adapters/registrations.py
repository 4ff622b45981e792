"""How does a line of a file, or a set of flags, become a registration?"""

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec

from trackledger.adapters.providers import provider as known
from trackledger.domain.batch import registration_keys
from trackledger.domain.checkpoints import Estimate, EstimateSource, Registration, Tracker
from trackledger.domain.errors import InvalidStatement, UsageError
from trackledger.domain.moments import ZoneSource, day

DETAILS = ("order_id", "carrier", "tracking_number", "service")
TEXTS = ("reference", "account", *DETAILS, "promised", "zone", "piece_of")
FIELDS = {*TEXTS, "trackers", "tracker"}

MAX_FIELD = 400
"""Characters of one field: room for the longest shipment id, and few enough for an index of either database."""


def lines(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each line of a CSV or NDJSON file says, and where it stands; a field that it leaves empty is absent.

    Raises `UsageError`, naming the line, for what is neither.
    """
    try:
        with Path(file).open(encoding="utf-8-sig", newline="") as source:
            text = source.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}; give a CSV or NDJSON file in UTF-8") from None
    rows = _objects(file, text) if text.lstrip().startswith("{") else _rows(file, text)
    for number, row in rows:
        yield f"{file} line {number}: ", {name: value for name, value in row.items() if value}


def _objects(file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line, type=dict[str, str | list[str]])
            except msgspec.DecodeError as error:
                raise UsageError(f"{file} line {number}: not a JSON object of texts: {error}") from None


def _rows(file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.DictReader(StringIO(text, newline=""))
    try:
        for row in rows:
            if None in row:
                raise UsageError(f"{file} line {rows.line_num}: more values than the first line has names")
            yield rows.line_num, row
    except csv.Error as error:
        raise UsageError(f"{file} after line {rows.line_num}: not CSV: {error}") from None


def registration(fields: Mapping[str, Any], where: str = "") -> Registration:
    """The registration that these fields ask for. Raises `UsageError` with `where`, the field and its value."""
    try:
        return _registration(fields)
    except (InvalidStatement, UsageError) as error:
        raise UsageError(f"{where}{error}") from None


def _registration(fields: Mapping[str, Any]) -> Registration:
    unknown = sorted(fields.keys() - FIELDS)
    if unknown:
        raise UsageError(f"column {_brief(unknown[0])} is unknown; use {', '.join(sorted(FIELDS - {'tracker'}))}")
    said = {name: fields.get(name) or "" for name in TEXTS}
    for name, text in said.items():
        if not isinstance(text, str) or len(text) > MAX_FIELD or not text.isprintable():
            raise UsageError(f"{name} {_brief(text)} must be up to {MAX_FIELD} printable characters")
    named = fields.get("trackers") or fields.get("tracker") or ()
    found = Registration(
        reference=said["reference"],
        account=said["account"] or "default",
        trackers=tuple(
            _tracker(text, said["carrier"], said["tracking_number"])
            for text in (named.split() if isinstance(named, str) else named)
        ),
        details={name: said[name] for name in DETAILS if said[name]},
        promised=_promised(said["promised"], _offset(said["zone"])) if said["promised"] else None,
        piece_of=said["piece_of"],
    )
    registration_keys(found)
    return found


def _tracker(text: str, carrier: str, tracking_number: str) -> Tracker:
    provider, _, reference = text.partition(":")
    if not reference:
        raise UsageError(f"tracker {_brief(text)} is not PROVIDER:REFERENCE, such as clickpost:4:4210610508756")
    source = known(provider)
    form = re.fullmatch(source.reference_form, reference)
    if form is None:
        example = f"{provider}:{source.reference_like}"
        raise UsageError(f"tracker {_brief(text)} is not of {provider}'s form, such as {example}")
    return Tracker(provider, reference, carrier, tracking_number or form.groupdict().get("tracking_number") or "")


def _promised(window: str, offset: int) -> Estimate:
    first, _, last = window.partition("/")
    last = last or first
    try:
        starts, ends = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise UsageError(f"promised {_brief(window)} is not a day or DAY/DAY, such as 2026-11-24/2026-11-25") from None
    if ends < starts:
        raise UsageError(f"promised {window!r} ends before it starts")
    return Estimate(
        EstimateSource.PROMISE,
        day(starts, first, offset, ZoneSource.STATED),
        day(ends, last, offset, ZoneSource.STATED),
    )


def _offset(zone: str) -> int:
    """Minutes east of UTC."""
    found = re.fullmatch(r"([+-])([01][0-9]):([0-5][0-9])", zone or "+00:00")
    if found is None:
        raise UsageError(f"zone {_brief(zone)} is not an offset from UTC such as +05:30")
    minutes = int(found[2]) * 60 + int(found[3])
    return -minutes if found[1] == "-" else minutes


def _brief(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."

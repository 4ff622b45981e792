"""Do the folders keep the rules of the house?"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("domain", "projections", "adapters")
MODULES = {
    ".".join(path.relative_to(ROOT / layer).with_suffix("").parts).removesuffix(".__init__"): path
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}

MAY_IMPORT = {
    "domain": {"eventsourcing", "msgspec", "trackledger.domain"},
    "projections": {"eventsourcing", "msgspec", "trackledger.domain", "trackledger.projections"},
}
TOP_LEVEL = {
    *LAYERS,
    "tests",
    "pyproject.toml",
    "README.md",
    "uv.lock",
    "LICENSE",
    ".ci",
}


def imports(name: str) -> Iterator[tuple[int, str]]:
    """Every module that this one names in an import, wherever it stands, with the line."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def is_allowed(imported: str, allowed: set[str]) -> bool:
    top = imported.partition(".")[0]
    return top in sys.stdlib_module_names or any(imported == one or imported.startswith(f"{one}.") for one in allowed)


def test_the_modules_are_found() -> None:
    assert {name.split(".")[1] for name in MODULES} == set(LAYERS)
    assert "trackledger.domain.policies.status" in MODULES


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_dependencies_point_inward(layer: str) -> None:
    outward = [
        f"{name}:{line} imports {imported}"
        for name in MODULES
        if name.startswith(f"trackledger.{layer}")
        for line, imported in imports(name)
        if not is_allowed(imported, MAY_IMPORT[layer])
    ]
    assert outward == []


def test_the_rule_about_dependencies_would_notice_one_that_points_outward() -> None:
    assert is_allowed("collections.abc", MAY_IMPORT["domain"])
    assert is_allowed("trackledger.domain.events", MAY_IMPORT["domain"])
    for outward in ("psycopg.rows", "trackledger.projections.table", "trackledger", "trackledger.domains", "msgspec2"):
        assert not is_allowed(outward, MAY_IMPORT["domain"])


def test_imports_are_absolute() -> None:
    relative = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_wildcard_imports() -> None:
    starred = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    assert starred == []


def test_trackledger_is_one_namespace_of_three_portions() -> None:
    for layer in LAYERS:
        inside = {path.name for path in (ROOT / layer).iterdir() if path.name != "__pycache__"}
        assert inside == {"trackledger"}
        portion = {path.name for path in (ROOT / layer / "trackledger").iterdir() if path.name != "__pycache__"}
        assert portion == {layer}


def test_every_layer_is_typed_and_every_folder_of_it_a_package() -> None:
    for layer in LAYERS:
        package = ROOT / layer / "trackledger" / layer
        assert (package / "py.typed").is_file()
        for path in package.rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


def test_no_module_is_named_for_nothing() -> None:
    named_for_nothing = re.compile(r"(utils?|helpers?|common|misc|tools?|base_?class(es)?)")
    assert [name for name in MODULES if named_for_nothing.fullmatch(name.rpartition(".")[2])] == []


def test_the_top_level_holds_nothing_else() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    top = {line.partition("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
    assert set(LAYERS) < top


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb"))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    }
    assert readers == {"trackledger.adapters.settings"}


def test_no_code_looks_at_the_clock_below_the_adapters() -> None:
    clocks = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if name.startswith(("trackledger.domain.policies", "trackledger.projections", "trackledger.domain.statements"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "time_ns", "monotonic", "random")
    ]
    assert clocks == []


# docstrings

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(parent: ast.Module | ast.ClassDef, path: str) -> Iterator[tuple[str, Definition, ast.ClassDef | None]]:
    """Every public class, function and method, with its path and the class it stands in."""
    for node in parent.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{path}.{node.name}", node, parent if isinstance(parent, ast.ClassDef) else None
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{path}.{node.name}")


def is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).partition("[")[0] in ("Protocol", "LedgerRecorder") for base in node.bases)


DEFINITIONS = [found for name, tree in TREES.items() for found in definitions(tree, name)]
DOCUMENTED_BY_A_PROTOCOL = {
    node.name for _, node, owner in DEFINITIONS if owner and is_protocol(owner) and ast.get_docstring(node)
}
"""Names of methods that a protocol says what they do; a class that offers them need not say it again."""


def test_every_module_says_what_it_answers() -> None:
    silent = [name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_every_public_class_function_and_method_says_what_it_guarantees() -> None:
    silent = [
        path
        for path, node, owner in DEFINITIONS
        if not ast.get_docstring(node) and not (owner and node.name in DOCUMENTED_BY_A_PROTOCOL)
    ]
    assert silent == []

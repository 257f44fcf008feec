"""Which module may know which: the table of docs/architecture.md, held against the sources."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tools" / "tagship"
FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")
}
ENTRIES = ("__init__", "__main__")  # they only lead into the package
HEAVY = {"git", "dvc", "tensorflow", "catboost", "keras", "numpy"}


def table() -> dict[str, int]:
    """The row of each module; a subpackage ends with a slash."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    text = text.partition("\n## Modules\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| *(\d+) *\|([^|]*)\|", text, re.MULTILINE)
    return {name.strip(" `"): int(row) for row, names in rows for name in names.split(",")}


def entry(module: str) -> str:
    """The table's name of a file: ``loaders/`` for ``loaders/keras``."""
    folder, slash, _ = module.partition("/")
    return folder + slash


def imports(module: str) -> Iterator[str]:
    """Every name that a file imports, also inside functions, but not for types alone."""
    tree = ast.parse(FILES[module].read_bytes())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_entries(module: str) -> set[str]:
    """The table's names of the tagship modules that a file imports."""
    found = set()
    for name in imports(module):
        package, _, rest = name.partition(".")
        first = rest.partition(".")[0]
        if package == "tagship" and first:
            found.add(f"{first}/" if (PACKAGE / first).is_dir() else first)
    return found


def test_the_table_has_every_module_and_no_other() -> None:
    assert set(table()) == {entry(module) for module in FILES if module not in ENTRIES}


@pytest.mark.parametrize("module", sorted(set(FILES) - set(ENTRIES)))
def test_a_module_imports_from_rows_above_its_own(module: str) -> None:
    rows, own = table(), entry(module)
    below = {
        f"{name} (row {rows[name]})"
        for name in imported_entries(module) - ({own} if own.endswith("/") else set())
        if rows[name] >= rows[own]
    }
    assert not below, f"{module} (row {rows[own]}) imports {', '.join(sorted(below))}"


def calls(module: str) -> set[str]:
    tree = ast.parse(FILES[module].read_bytes())
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_only_the_command_line_prints_and_exits() -> None:
    speaks = re.compile(
        r"(.*\.)?(print|echo|secho|exit|_exit|abort|SystemExit)|sys\.std(out|err)\.write"
    )
    found = {
        module: {call for call in calls(module) if speaks.fullmatch(call)}
        for module in FILES
        if module != "cli"
    }
    assert {module: what for module, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("packages", "knower"), [({"dvc", "dvc_data", "dvc_objects"}, "objects"), ({"git"}, "git")]
)
def test_one_module_alone_knows(packages: set[str], knower: str) -> None:
    knowers = {
        module
        for module in FILES
        if packages & {name.partition(".")[0] for name in imports(module)}
    }
    assert knowers == {knower}


def loaded_by(*arguments: str, folder: Path) -> tuple[str, set[str]]:
    """What a command prints, in a new process, and the heavy packages that it imported."""
    code = (
        "import atexit, json, sys\n"
        "show = lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
        "atexit.register(show)\n"
        "from tagship.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, HEAVY & set(json.loads(done.stderr))


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    out, heavy = loaded_by("--help", folder=tmp_path)
    assert out.startswith("Usage: ")
    assert heavy == set()


def test_current_imports_nothing_heavy(tmp_path: Path) -> None:
    name = "v1.0.0_20261120_120000"
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "models" / "churn" / "versions" / name).mkdir(parents=True)
    (tmp_path / "models" / "churn" / "current").symlink_to(f"versions/{name}")
    assert loaded_by("current", "churn", folder=tmp_path) == ("1.0.0\n", set())

"""The storeys of the package: the import contracts in pyproject.toml, and what they cannot see."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.workbench import Workbench

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tools" / "tagship"
FILES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")
}
PUBLIC = (
    "__init__",
    "loaders/__init__",
    "serve/__init__",
)  # an __init__.py of a private package is empty
HEAVY = {"git", "dvc", "tensorflow", "catboost", "keras", "numpy"}


def contracts() -> list[dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tables: list[dict[str, list[str]]] = settings["tool"]["importlinter"]["contracts"]
    return tables


def test_a_package_imports_only_what_its_contract_allows() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": "tools", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Contracts: {len(contracts())} kept, 0 broken." in result.stdout


def test_every_package_has_its_storey() -> None:
    layers = [name for row in contracts()[0]["layers"] for name in row.split(" | ")]
    rooms = {f"tagship.{name.partition('/')[0]}" for name in FILES if not name.startswith("__")}
    assert sorted(layers) == sorted(rooms)


def test_every_package_is_held_from_the_packages_of_others() -> None:
    layers = {name for row in contracts()[0]["layers"] for name in row.split(" | ")}
    ground = {"tagship.errors", "tagship.progress"}  # they import nothing of tagship
    for contract, knower in ((contracts()[2], "tagship.dvc"), (contracts()[3], "tagship.git")):
        assert set(contract["source_modules"]) == layers - ground - {knower}


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith("__init__")))
def test_a_private_package_imports_nothing_by_itself(name: str) -> None:
    assert name in PUBLIC or FILES[name].read_bytes() == b""


@pytest.mark.parametrize("name", sorted(FILES))
def test_imports_are_absolute(name: str) -> None:
    tree = ast.parse(FILES[name].read_bytes())
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


def calls(module: str) -> set[str]:
    tree = ast.parse(FILES[module].read_bytes())
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_only_the_command_line_prints_and_exits() -> None:
    speaks = re.compile(
        r"(.*\.)?(print|echo|secho|exit|_exit|abort|SystemExit)|sys\.std(out|err)\.write"
    )
    by_module = {
        module: {call for call in calls(module) if speaks.fullmatch(call)}
        for module in FILES
        if not module.startswith("cli/")
    }
    # a server that was told to end, and whose model hangs: Python would wait for its thread
    ends = {"serve/listen": {"os._exit", "self.transport.abort"}}  # that is of a connection
    assert {module: what for module, what in by_module.items() if what} == ends


def imported_by(code: str, folder: Path) -> tuple[str, set[str]]:
    """What a program prints, in a new process, and the top-level names that it imported."""
    program = (
        "import atexit, json, sys\n"
        "show = lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
        f"atexit.register(show)\n{code}"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return result.stdout, set(json.loads(result.stderr))


def command(*arguments: str) -> str:
    return f"sys.argv[1:] = {list(arguments)}\nfrom tagship.cli.main import main\nmain()\n"


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    """A workspace in which something is live, without Git."""
    name = "v1.0.0_20261120_120000"
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "models" / "churn" / "versions" / name).mkdir(parents=True)
    (tmp_path / "models" / "churn" / "current").symlink_to(f"versions/{name}")
    return tmp_path


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    out, modules = imported_by(command("--help"), tmp_path)
    assert out.startswith("Usage: ")
    assert modules & HEAVY == set()


def test_current_imports_nothing_heavy(deployed: Path) -> None:
    out, modules = imported_by(command("current", "churn"), deployed)
    assert out == "1.0.0\n"
    assert modules & HEAVY == set()


def test_a_look_at_a_mirror_s_tags_imports_no_gitpython(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/origin.git"
    for command in (("init", "--quiet"), ("clone", "--quiet", "--bare", ".", "origin.git")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    code = (
        "from pathlib import Path\nfrom tagship.git import mirror, run\n"
        "from tagship.registry import seen, tags\n"
        f"repository = mirror.open_or_make(Path('host/mirror.git').absolute(), {url!r})\n"
        f"print(seen.of(mirror.fetch(repository, {url!r}, seen.patterns(['churn']))))\n"
        "print(tags.read_all(repository, 'churn'), tags.ids(repository, 'churn'))\n"
        "print(tags.read_all(run.find(Path('.'))))"
    )
    out, modules = imported_by(code, tmp_path)
    nothing = (
        "Seen(new=(), moved=(), vanished=(), impossible=(), lightweight=(), damaged=(), unread=(),"
        " foreign=(), lost=())"
    )
    assert out == f"{nothing}\n([], []) {{}}\n([], [])\n"
    assert modules & {*HEAVY, "dulwich", "asyncio"} == set()


@pytest.mark.released
def test_an_image_is_written_without_gitpython_and_the_versions_of_tools(bench: Workbench) -> None:
    code = (
        "from tagship import ModelVersionManager\n"
        "print(ModelVersionManager('churn').image_digest())"
    )
    out, modules = imported_by(code, bench.repo)
    assert out.startswith("sha256:")
    assert modules & {*HEAVY, "importlib.metadata"} == set()


def test_every_module_of_the_host_imports_neither_git_nor_dvc(tmp_path: Path) -> None:
    names = [name.replace("/", ".") for name in FILES if name.startswith("host/")]
    assert len(names) > 5
    lines = "".join(f"import tagship.{name.removesuffix('.__init__')}\n" for name in names)
    _, modules = imported_by(lines, tmp_path)
    assert modules & HEAVY == set()
    assert not {"tagship.git", "tagship.dvc"} & modules


ENGINES = {
    "serve/mlserver": "mlserver",
    "serve/ray": "ray",
}  # modules that run inside of another server


def test_another_server_is_imported_by_the_module_that_runs_in_it_alone() -> None:
    of_file = {name: imported_packages(name) & set(ENGINES.values()) for name in FILES}
    assert {name: each for name, each in of_file.items() if each} == {
        name: {engine} for name, engine in ENGINES.items()
    }


def imported_packages(name: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(FILES[name].read_bytes())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    of_from = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {package.partition(".")[0] for package in plain | of_from}


def test_every_module_of_the_server_imports_neither_git_nor_dvc(tmp_path: Path) -> None:
    own = {name for name in FILES if name.startswith("serve/")} - ENGINES.keys()
    names = [name.replace("/", ".") for name in sorted(own)]
    assert len(names) > 20
    lines = "".join(f"import tagship.{name.removesuffix('.__init__')}\n" for name in names)
    _, modules = imported_by(lines, tmp_path)
    assert modules & {"git", "dvc", "tensorflow", "catboost", "keras"} == set()
    assert not {"tagship.git", "tagship.dvc", "tagship.workspace", "tagship.cli"} & modules


def test_the_supervisor_of_a_server_imports_nothing_heavy(tmp_path: Path) -> None:
    _, modules = imported_by("import tagship.serve.supervisor\n", tmp_path)
    assert (
        modules & {*HEAVY, "asyncio", "fastapi", "orjson", "prometheus_client", "uvicorn"} == set()
    )


def test_load_imports_neither_git_nor_dvc(deployed: Path) -> None:
    folder = deployed / "models" / "churn" / "current"
    (folder / "model.txt").write_text("1\n")
    code = (
        "from tagship import TagshipError, load\n"
        "try:\n    load('churn')\n"
        "except TagshipError as error:\n    print(error.message)\n"
    )
    out, modules = imported_by(code, deployed)
    assert "metadata.json is missing" in out
    assert modules & HEAVY == set()
    assert not {"tagship.git", "tagship.dvc"} & modules

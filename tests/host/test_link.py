"""A glance at ``current``: the same as a closer look, or none; and nothing slow is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from tagship.host import live, project
from tests.workbench import MODEL, Workbench


def test_a_glance_is_what_a_closer_look_is(shipped: Workbench) -> None:
    assert project.glance(MODEL, shipped.repo) == live.current(MODEL, shipped.repo)
    below = shipped.folder / "versions"
    assert project.glance(MODEL, below) == live.current(MODEL, below)
    assert project.glance(MODEL, shipped.repo) == ("1.1.0", shipped.current.resolve())


@pytest.mark.parametrize(
    "params",
    [
        "tagship:\n  root: served\n",
        'tagship: {"\\u0072oot": served}\n',
        "{tagship: {root: served}}",
        "deploy:\n  root: served\n",  # the name of the section before
    ],
)
def test_another_models_folder_is_not_overlooked(params: str, shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text(params)
    (shipped.repo / "served").mkdir()
    (shipped.repo / "models" / MODEL).rename(shipped.repo / "served" / MODEL)
    assert project.glance(MODEL, shipped.repo) is None
    assert shipped.cli("current", MODEL).out == "1.1.0\n"


@pytest.mark.parametrize("model", ["sub:churn", "a/b", "..", ".", "", "other"])
def test_a_name_out_of_the_ordinary_gets_a_closer_look(model: str, shipped: Workbench) -> None:
    assert project.glance(model, shipped.repo) is None


@pytest.mark.parametrize("how", ["gone", "foreign", "a folder", "dangling"])
def test_a_link_that_is_not_in_order_gets_a_closer_look(how: str, shipped: Workbench) -> None:
    shipped.current.unlink()
    if how == "foreign":
        shipped.current.symlink_to("/etc")
    elif how == "a folder":
        shipped.current.mkdir()
    elif how == "dangling":
        shipped.current.symlink_to("versions/v9.9.9_20200101_000000")
    assert project.glance(MODEL, shipped.repo) is None
    assert shipped.cli("current", MODEL).code == 1


def test_outside_of_a_project_there_is_nothing_to_see(tmp_path: Path) -> None:
    assert project.glance(MODEL, tmp_path) is None


@pytest.mark.parametrize("command", [["current", MODEL], ["--help"], ["current", MODEL, "--path"]])
def test_no_module_is_imported_that_click_and_the_tool_do_not_need(
    command: list[str], shipped: Workbench
) -> None:
    program = (
        "import sys, click; before = set(sys.modules); sys.argv[0] = 'tagship'\n"
        "import contextlib, io, tagship.cli.main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    tagship.cli.main.main()\n"
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('tagship.')))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=shipped.repo, capture_output=True, text=True, check=True,
    )  # fmt: skip
    others, ours = result.stdout.splitlines()
    names = (
        "cli", "errors", "host", "host.link", "host.project",
        "registry", "registry.project_files", "text", "text.escape", "text.words",
    )  # fmt: skip
    allowed = {f"tagship.{name}" for name in names}
    commands = {name for name in ours.split() if name.startswith("tagship.cli.")}
    assert not commands & {"tagship.cli.complete", "tagship.cli.terminal"}
    assert set(ours.split()) - commands <= allowed
    assert not set(others.split()) & {"git", "dvc", "ruamel", "semver", "rich", "json", "hashlib"}

"""docs/leaving.md: what its commands remove, and that git and dvc alone get every version after it.

Not run: ``pip uninstall``, for the program is the one that the other tests use.
"""

import json
import subprocess

import pytest

from tests.docs import pages
from tests.workbench import Workbench, run

PAGE = pages.page("leaving.md")


def commands(heading: str, number: int = 0) -> str:
    return pages.blocks(pages.section(PAGE, heading))[number]


@pytest.fixture
def settled(shipped: Workbench) -> Workbench:
    """Everything that tagship writes is there: settings, ignore rules, a host's own rules."""
    (shipped.repo / "params.yaml").write_text(
        "train:\n  depth: 4\ntagship:\n  keep: 3\n  # of the team\n  better:\n"
        "    size: lower\nafter: 1\n"
    )
    assert shipped.cli("init").code == 0
    shipped.commit("Keep fewer versions")
    rules = shipped.repo.parent / "home" / ".config" / "tagship"
    rules.mkdir(parents=True)
    (rules / "host.toml").write_text("require_signed = false\n")
    cache = shipped.repo.parent / "home" / ".cache" / "tagship"
    cache.mkdir(parents=True)
    (cache / "vega-1.0-1.js").write_text("// kept by tagship report\n")
    return shipped


def left(bench: Workbench) -> list[str]:
    """Files of the repository and the home that tagship made, or that name it."""
    named = subprocess.run(
        ["grep", "--recursive", "--files-with-matches", "--exclude-dir=objects",
         "--exclude-dir=logs", "--exclude=COMMIT_EDITMSG", "tagship", ".git",
         *bench.git("ls-files").split(), "../home"],
        cwd=bench.repo, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    names = ("versions", "current", "deployment_history.json", ".tagship")
    made = [str(path.relative_to(bench.repo)) for name in names for path in bench.repo.rglob(name)]
    return sorted(named) + sorted(made)


@pytest.mark.parametrize("way", [0, 1], ids=["by undeploy", "by hand"])
def test_after_leaving_nothing_is_left_and_git_and_dvc_get_every_version(
    settled: Workbench, way: int
) -> None:
    events = json.loads((settled.folder / "deployment_history.json").read_bytes())
    assert left(settled) != []
    removal = commands("Remove it from a host", way)
    if way:  # the program is gone already, and what it had in the home
        run(settled.repo, "rm", "-rf", "../home/.config/tagship", "../home/.cache/tagship")
    pages.run(settled.repo, removal)
    pages.run(settled.repo, commands("Remove it from the repository"))
    assert left(settled) == []
    assert (settled.repo / "params.yaml").read_text() == "train:\n  depth: 4\nafter: 1\n"
    assert settled.git("status", "--porcelain") == ""
    if not way:
        kept = json.loads((settled.repo / "../churn-history.json").read_bytes())
        assert kept[: len(events)] == events
        for number, content in enumerate(["model 2\n", "model 1\n"]):
            pages.run(settled.repo, commands("Deploy without tagship", number))
            assert (settled.repo / "live/churn.bin").read_text() == content


def test_a_deployed_host_is_read_without_tagship(settled: Workbench) -> None:
    said = pages.run(settled.repo, commands("Read without tagship"))
    versions, *_ = said.partition("tag churn@v1.0.0")
    assert versions == "churn@v1.0.0\nchurn@v1.1.0\n"
    assert '"accuracy": 0.75' in said
    assert '"action": "deploy"' in said
    assert f"\n{settled.current.readlink()}\n" in said


def test_who_comes_back_has_all_versions(settled: Workbench) -> None:
    pages.run(settled.repo, commands("Remove it from a host", 1))
    pages.run(settled.repo, commands("Remove it from the repository"))
    assert settled.cli("init").code == 0
    settled.manager.deploy("1.0")
    assert settled.live() == "model 1\n"

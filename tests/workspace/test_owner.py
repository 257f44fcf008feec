"""Two DVC repositories in one Git repository: a model belongs to the nearest one."""

import shlex
from pathlib import Path

import pytest

from tagship import ModelVersionManager, Refused
from tests.workbench import Workbench, dvc, run


@pytest.fixture
def sub(bench: Workbench) -> Path:
    """A DVC repository in a folder: the cache of the one around it, and its own remote."""
    folder = bench.repo / "sub"
    folder.mkdir()
    (bench.repo.parent / "other store").mkdir()
    dvc(folder, "init", "--quiet", "--subdir")
    (folder / ".dvc/config").write_text(
        "[core]\n    remote = s\n[cache]\n    dir = ../../.dvc/cache\n"
        "['remote \"s\"']\n    url = ../../../other store\n"
    )
    (folder / "m.bin").write_text("sub\n")
    dvc(folder, "add", "--quiet", "m.bin")
    (folder / "dvc.yaml").write_text("artifacts:\n  wine:\n    path: m.bin\n")
    bench.commit()
    return folder


def stored(bench: Workbench) -> list[str]:
    return [path.name for path in (bench.repo.parent / "other store").rglob("*") if path.is_file()]


def test_a_release_from_another_dvc_repository_is_refused(bench: Workbench, sub: Path) -> None:
    before = bench.state()
    there = f"tagship -C {shlex.quote(str(sub))}"
    what = f"sub:wine belongs to another DVC repository, which has its own remote: {sub}"
    bench.refuses("release sub:wine --push", what, f"{there} release sub:wine")
    bench.refuses("status sub:wine", what, f"{there} status sub:wine")
    with pytest.raises(Refused, match="belongs to another DVC repository"):
        ModelVersionManager("sub:wine", bench.repo).deploy_model(sub / "m.bin")
    assert bench.state() == before
    done = bench.cli_in(sub, "release", "sub:wine", "--push")
    assert done.code == 0, done.err
    assert len(stored(bench)) == 1
    deploy = f"{there} deploy sub:wine@1.0.0"
    bench.refuses("deploy sub:wine@1.0.0 --yes", what, deploy)
    bench.refuses("deploy sub:wine@1.0.0 --dry-run", what, deploy)
    bench.refuses(
        "assign sub:wine@1.0.0 prod --push --capsule", what,
        f"{there} assign sub:wine@1.0.0 prod --capsule",
    )  # fmt: skip
    assert bench.cli_in(sub, "deploy", "sub:wine", "--yes").code == 0
    assert bench.cli("assign", "sub:wine@1.0.0", "prod").code == 0  # tags are of the repository


def test_and_the_other_way_round(bench: Workbench, sub: Path) -> None:
    done = bench.cli_in(sub, "release", "churn")
    assert (done.code, done.err) == (
        1,
        f"error: churn belongs to another DVC repository, which has its own remote: {bench.repo}\n"
        f"hint: tagship -C {shlex.quote(str(bench.repo))} release churn\n",
    )
    assert bench.git("tag") == ""
    assert stored(bench) == []


def test_lists_leave_out_what_belongs_to_another_and_say_so(bench: Workbench, sub: Path) -> None:
    note = (
        "note: left out, of another DVC repository: sub:wine"
        f" (tagship -C {shlex.quote(str(sub))} status)\n"
    )
    for command in ("status", "models"):
        told = bench.cli(command)
        assert note in told.err
        assert "wine" not in told.out
        assert "churn" in told.out
    for command in ("status", "models"):
        assert "churn" not in bench.cli_in(sub, command).out


def test_it_counts_where_it_is_not_checked_out(bench: Workbench, sub: Path) -> None:
    run(bench.repo, "git", "sparse-checkout", "set", "models", ".dvc")
    assert not sub.exists()
    assert "sub:wine belongs to another DVC repository" in bench.cli("release", "sub:wine").err


def test_what_was_deployed_here_before_is_told_and_rolled_back(bench: Workbench, sub: Path) -> None:
    assert bench.cli_in(sub, "release", "sub:wine").code == 0
    assert bench.cli_in(sub, "deploy", "sub:wine", "--yes").code == 0
    (sub / "models/sub%3Awine").rename(bench.repo / "models/sub%3Awine")
    assert "sub:wine: in order, live 1.0.0" in bench.cli("status").out
    assert bench.cli("status", "sub:wine").code == 0
    assert bench.cli("rollback", "sub:wine", "--to", "1.0.0", "--yes").code == 0

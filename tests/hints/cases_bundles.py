"""Trials of the hints of bundles: how they are written, and taken in."""

import os
import shutil
from pathlib import Path

import pytest

from tagship import TagshipError, Workspace
from tagship.manager.agent import Agent
from tests.hints.cases_surfaces import nothing
from tests.hints.trials import edit, trial
from tests.workbench import Workbench, commit

TAKE = "unbundle x.tar place --yes"
MADE = {"MODEL@VERSION": "churn@1.0.0", "FILE": "new.tar"}


def always(_: object) -> bool:
    return True


def a_bundle(bench: Workbench) -> None:
    bench.manager.bundle(bench.repo / "x.tar", "1.0.0")


def damaged(bench: Workbench) -> None:
    a_bundle(bench)
    data = (bench.repo / "x.tar").read_bytes()
    (bench.repo / "x.tar").write_bytes(data.replace(b"model 1", b"model !"))


def a_text(_: Workbench) -> None:
    """README is none."""


def cut_short(bench: Workbench) -> None:
    a_bundle(bench)
    shutil.copy(bench.repo / "x.tar", bench.repo / "y.tar")
    os.truncate(bench.repo / "x.tar", 3000)


trial(
    "carry.bundle", command=TAKE, base="shipped", does="tagship bundle MODEL@VERSION -o FILE",
    fill=MADE, again="unbundle new.tar place --yes",
)(damaged)  # fmt: skip
trial(
    "carry.bundle", command=TAKE, base="shipped", does="copy it again",
    by=lambda bench: shutil.copy(bench.repo / "y.tar", bench.repo / "x.tar"),
)(cut_short)  # fmt: skip
trial(
    "carry.bundle/2", command="unbundle README place --yes", base="shipped",
    does="tagship bundle MODEL@VERSION -o FILE", fill=MADE, again="unbundle new.tar place --yes",
)(a_text)  # fmt: skip


# --- what is written


@trial(
    "export.bundle._check_file", command="bundle churn -o -", base="shipped",
    does="-o x.tar", by=nothing, again="bundle churn -o x.tar",
)  # fmt: skip
def a_bundle_for_a_pipe(_: Workbench) -> None: ...


@trial(
    "export.bundle._release", command="bundle churn@1.0 -o x.tar", base="shipped",
    does="tagship bundle churn@1.0.0 -o FILE", fill={"FILE": "x.tar"}, again="",
)  # fmt: skip
def a_bundle_of_what_was_withdrawn(bench: Workbench) -> None:
    bench.git("tag", "-a", "-m", "wrong data", "churn@v1.0.0!")


def of_dvc_2(bench: Workbench) -> None:
    """The model is tracked as DVC 2 did it."""
    edit("models/churn/model.bin.dvc", "  hash: md5\n", "")(bench)
    (cached,) = (bench.repo / ".dvc/cache/files/md5").glob("*/*")
    old = bench.repo / ".dvc/cache" / cached.parent.name / cached.name
    old.parent.mkdir()
    cached.rename(old)
    commit(bench.repo, "Track it as DVC 2 did")
    bench.manager.release(force=True)


def migrate(bench: Workbench) -> None:
    bench.dvc("cache", "migrate", "--dvc-files", "--quiet")
    bench.git("commit", "--quiet", "-a", "-m", "Migrate")
    bench.manager.release(force=True)


trial(
    "export.bundle._check_new", command="bundle churn -o x.tar",
    does="dvc cache migrate --dvc-files && git commit -a; then release a new version", by=migrate,
)(of_dvc_2)  # fmt: skip


@trial(
    "export.target.check_file", command="bundle churn -o .git/x.tar", base="shipped",
    does="-o ../x.tar", by=nothing, again="bundle churn -o ../x.tar",
)  # fmt: skip
def a_bundle_into_git(_: Workbench) -> None: ...


trial(
    "export.target.check_file/2", command="bundle churn -o x.tar", base="shipped",
    does="give the name of a file that does not exist", by=nothing,
    again="bundle churn -o y.tar",
)(a_bundle)  # fmt: skip


# --- where it comes from, and where it goes


@trial(
    "export.bundle_places.blocks", command="unbundle y.tar place --yes", base="shipped",
    does="ls ...", again=TAKE,
)  # fmt: skip
def another_name(bench: Workbench) -> None:
    a_bundle(bench)


@trial(
    "export.bundle_places.blocks/2", command="unbundle folder place --yes", base="shipped",
    does="give the file that is the bundle", by=nothing, again=TAKE,
)  # fmt: skip
def a_folder_and_not_the_bundle_in_it(bench: Workbench) -> None:
    (bench.repo / "folder").mkdir()
    a_bundle(bench)


@trial(
    "export.bundle_places.blocks/3", command="unbundle pipe place --yes", base="shipped",
    does="give the file", by=nothing, again=TAKE,
)  # fmt: skip
def a_pipe_for_a_file(bench: Workbench) -> None:
    a_bundle(bench)
    os.mkfifo(bench.repo / "pipe")


trial(
    "export.bundle_places.place", command="unbundle x.tar s3://models/dvc --yes", base="shipped",
    does="give a folder", by=nothing, again=TAKE,
)(a_bundle)  # fmt: skip
trial(
    "export.bundle_places.place/2", command="unbundle x.tar --yes", base="shipped",
    does="tagship unbundle FILE DIR", by=nothing, again=TAKE,
)(a_bundle)  # fmt: skip


def a_host(bench: Workbench) -> None:
    a_bundle(bench)
    folder = bench.repo.parent / "host"
    folder.mkdir()
    (folder / "tagship.toml").write_text(
        f'[source]\ngit = "file://{bench.repo.parent}/origin.git"\n[follow.churn]\n'
    )
    shutil.copy(bench.repo / "x.tar", folder)


def with_a_folder(bench: Workbench) -> None:
    place = bench.repo.parent / "bundles"
    (bench.repo.parent / "host/tagship.toml").write_text(
        f'[source]\nbundle = "{place}"\n[follow.churn]\n'
    )


trial(
    "export.bundle_places._followed",
    command=lambda bench: _take(bench.repo.parent / "host"), base="shipped",
    does='or write bundle = "/srv/bundles" in [source], in place of git', by=with_a_folder,
)(a_host)  # fmt: skip


def _take(host: Path, target: Path | None = None) -> object:
    file = (target.parent if target else host) / "x.tar"
    return Workspace(host).unbundle(file, target, accept=always)


def a_link_in_the_place(bench: Workbench) -> None:
    a_bundle(bench)
    (bench.repo / "place").mkdir()
    (bench.repo / "place/tagship").symlink_to(bench.repo)


trial(
    "export.unbundle._made", command=TAKE, base="shipped", does="rm ...", shell=True
)(a_link_in_the_place)  # fmt: skip
trial(
    "export.unbundle.unbundle", command="unbundle x.tar .git/place --yes", base="shipped",
    does="tagship unbundle ...", by=nothing, again="unbundle x.tar ../bundles --yes",
)(a_bundle)  # fmt: skip
trial(
    "export.unbundle.unbundle/2", command="unbundle x.tar README --yes", base="shipped",
    does="give a folder", by=nothing, again=TAKE,
)(a_bundle)  # fmt: skip


# --- whose it is


def not_accepted(bench: Workbench) -> object:
    place = bench.repo / "place"
    return Workspace(bench.repo).unbundle(bench.repo / "x.tar", place, accept=lambda _: False)


trial(
    "export.unbundle._Unpacking._ask/2", command=not_accepted, base="shipped",
    does="--yes", by=nothing, again=TAKE,
)(a_bundle)  # fmt: skip
trial(
    "export.unbundle._Unpacking._ask", command="unbundle x.tar place", base="shipped",
    does="then add --yes", by=nothing, again=TAKE,
)(a_bundle)  # fmt: skip


def moved(bench: Workbench) -> None:
    """A host saw 1.0.0, and it is another one in the bundle."""
    host = bench.repo.parent / "host"
    bench.manager.release(push=True)
    a_host(bench)
    Agent(host).fetch()
    with_a_folder(bench)
    bench.git("tag", "-f", "-a", "-m", "another one", "churn@v1.0.0")
    (bench.repo / "x.tar").unlink()
    a_bundle(bench)
    shutil.copy(bench.repo / "x.tar", host)


def under_another_number(bench: Workbench) -> None:
    bench.manager.release(version="1.3.0", force=True)
    host = bench.repo.parent / "host"
    (host / "x.tar").unlink()
    bench.manager.bundle(host / "x.tar", "1.3.0")


trial(
    "export.unbundle._Unpacking._index", command=lambda bench: _take(bench.repo.parent / "host"),
    does="release it under a new number", by=under_another_number,
)(moved)  # fmt: skip


def a_damaged_index(bench: Workbench) -> None:
    a_bundle(bench)
    Workspace(bench.repo).unbundle(bench.repo / "x.tar", bench.repo / "place", accept=always)
    (bench.repo / "place/tagship/churn/index.json").write_text("{")


trial(
    "export.unbundle._Unpacking._read", command=TAKE, base="shipped", does="rm ...", shell=True,
)(a_damaged_index)  # fmt: skip


def damaged_on_a_host(bench: Workbench) -> None:
    a_host(bench)
    with_a_folder(bench)
    host = bench.repo.parent / "host"
    _take(host)
    (bench.repo.parent / "bundles/tagship/churn/index.json").write_text("{")


def remove_and_take(bench: Workbench) -> None:
    """As ``unbundle`` says then."""
    host = bench.repo.parent / "host"
    index = bench.repo.parent / "bundles/tagship/churn/index.json"
    with pytest.raises(TagshipError, match="is damaged") as caught:
        _take(host)
    assert caught.value.hint.endswith(f": rm {index}")
    index.unlink()
    _take(host)


trial(
    "manager.agent.Agent.fetch", command=lambda bench: Agent(bench.repo.parent / "host").fetch(),
    base="shipped", does="tagship unbundle FILE", by=remove_and_take,
)(damaged_on_a_host)  # fmt: skip

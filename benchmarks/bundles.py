"""Bundles: written and taken in, beside a copy of the bytes that is synced and hashed."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import rows, timing, workspaces
from benchmarks.rows import Case, Claim, Measure
from benchmarks.suite import Site, cached_object, megabytes
from benchmarks.timing import Side
from benchmarks.workspaces import COPIED, PYTHON, TAGSHIP, Trained, Version
from tagship.disk import atomic

BUNDLE, WRITTEN, PLACE = "x.tar", "y.tar", "place"
HASHES = (
    "import hashlib, sys\n"
    "for name in ('sha256', 'md5'):\n"
    "    with open(sys.argv[1], 'rb') as file:\n"
    "        hashlib.file_digest(file, name)\n"
)
COPY = "cp, sync, SHA-256 and MD5 of the file"


@contextlib.contextmanager
def bundle(site: Site) -> Iterator[Case]:
    """A bundle of a large model is written."""
    with site.own("bundle") as folder:
        workspace = _trained(site, folder)
        command = (TAGSHIP, "bundle", "m", "-o", f"../{WRITTEN}")
        ours = _side(f"bundle, {megabytes(site.scale.large)}", command, workspace.repo, folder)
        yield _case("bundle", ours, _copied(folder, cached_object(workspace)))


@contextlib.contextmanager
def unbundle(site: Site) -> Iterator[Case]:
    """A bundle of a large model is taken in."""
    with site.own("unbundle") as folder:
        workspace = _trained(site, folder)
        timing.tell(workspace.repo, TAGSHIP, "bundle", "m", "-o", f"../{BUNDLE}")
        command = (TAGSHIP, "unbundle", BUNDLE, PLACE, "--yes")
        ours = _side(f"unbundle, {megabytes(site.scale.large)}", command, folder, folder)
        yield _case("unbundle", ours, _copied(folder, folder / BUNDLE))


def _trained(site: Site, folder: Path) -> Trained:
    return workspaces.trained(folder, {"m": [Version(site.scale.large)]})


def _side(name: str, command: tuple[str, ...], where: Path, folder: Path) -> Side:
    return Side(name, (command,), where, functools.partial(_clear, folder))


def _copied(folder: Path, source: Path) -> Side:
    copy = ("cp", str(source), COPIED)
    commands = (copy, ("sync", COPIED), (PYTHON, "-c", HASHES, COPIED))
    return Side(COPY, commands, folder, functools.partial(_clear, folder))


def _case(name: str, ours: Side, bare: Side) -> Case:
    claims = (
        Claim(ours.name, bare.name, rows.at_most(1.5)),
        Claim(ours.name, bare.name, None, Measure.MEMORY),
    )
    return Case(name, functools.partial(timing.in_turn, (ours, bare)), claims)


def _clear(folder: Path) -> None:
    for name in (WRITTEN, PLACE, COPIED):
        atomic.remove_tree(folder / name)


CASES: dict[str, Callable[[Site], AbstractContextManager[Case]]] = {
    "bundle": bundle,
    "unbundle": unbundle,
}

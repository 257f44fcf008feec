"""How time and memory grow: over tags, bytes, files and events, each from few to many."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import figures, suite, timing, workspaces
from benchmarks.suite import DEPLOY, KB, MB
from benchmarks.timing import Run, Side, tell
from benchmarks.workspaces import PYTHON, TAGSHIP, Version
from tagship.disk import atomic
from tagship.host import history

MODELS = 10
OURS, RIVAL, LIMIT = "tagship", "rival", "limit"
PARSE = "import json, sys; json.load(open(sys.argv[1], 'rb'))"


@dataclass(frozen=True)
class Curve:
    """One line of a picture; its kind is tagship's own, a rival's, or a limit's."""

    kind: str
    side: Side


Build = Callable[[Path, int], contextlib.AbstractContextManager[list[Curve]]]


@dataclass(frozen=True)
class Axis:
    """What grows: from where to where, and what is measured at each place."""

    title: str
    places: tuple[int, ...]
    quick: tuple[int, ...]
    build: Build


def _named(kind: str, name: str, side: Side) -> Curve:
    return Curve(kind, replace(side, name=name))


def _asked(repo: Path, command: str, *arguments: str) -> Curve:
    return Curve(OURS, Side(f"tagship {command}", ((TAGSHIP, command, *arguments),), repo))


@contextlib.contextmanager
def _tags(folder: Path, count: int) -> Iterator[list[Curve]]:
    workspace = workspaces.tagged(folder, MODELS, count // MODELS)
    tell(workspace.repo, TAGSHIP, "deploy", workspace.model, *DEPLOY)
    released = Side(
        "tagship release",
        ((TAGSHIP, "release", workspace.model),),
        workspace.repo,
        workspace.train,
        workspace.take_back,
    )
    yield [
        *(
            _asked(workspace.repo, name, workspace.model)
            for name in ("current", "list", "show", "status")
        ),
        _asked(workspace.repo, "models"),
        Curve(LIMIT, Side("git for-each-ref", (suite.all_tags(),), workspace.repo)),
        Curve(OURS, released),
    ]


@contextlib.contextmanager
def _sizes(folder: Path, size: int) -> Iterator[list[Curve]]:
    with _bytes(folder, size, 1) as (curves, live):
        target = folder / "copied"
        copied = ("cp", str(live / "model.bin"), str(target))
        forget = Side("", (), folder, lambda: target.unlink(missing_ok=True))
        side = replace(
            forget, name="cp, sync of the file", commands=(copied, ("sync", str(target)))
        )
        yield [*curves, Curve(LIMIT, side)]


@contextlib.contextmanager
def _files(folder: Path, count: int) -> Iterator[list[Curve]]:
    with _bytes(folder, KB, count) as (curves, live):
        target = folder / "copied"
        commands = (("cp", "-r", f"{live}", str(target)), ("sync", "--file-system", str(folder)))
        side = Side("cp -r, sync", commands, folder, lambda: atomic.remove_tree(target))
        yield [*curves, Curve(LIMIT, side)]


@contextlib.contextmanager
def _bytes(folder: Path, size: int, files: int) -> Iterator[tuple[list[Curve], Path]]:
    """Deploy, rollback, verify and dvc get of files of a size; and the folder of such a version."""
    models = {"new": [Version(size, files)], "back": suite.back_to(size, files)}
    workspace = workspaces.trained(folder, models)
    back = suite.rolled_back(workspace, "back", "")
    (live,) = (workspace.repo / "models" / "back" / "versions").glob("v1.0.0_*")
    checked = (TAGSHIP, "verify", "back@1.0.0")
    yield (
        [
            _named(OURS, "tagship deploy", suite.deployed(workspace, "new", "")),
            _named(OURS, "tagship rollback", back),
            Curve(OURS, Side("tagship verify", (checked,), workspace.repo)),
            Curve(RIVAL, suite.dvc_get(workspace, "new")),
        ],
        live,
    )


@contextlib.contextmanager
def _events(folder: Path, count: int) -> Iterator[list[Curve]]:
    workspace = workspaces.trained(folder, {"new": [Version(KB)], "old": [Version(KB)]})
    path = workspace.repo / "models" / "old" / history.FILE_NAME
    yield [
        _named(OURS, "tagship deploy", suite.deploy_with_past(workspace, "new", count)),
        _named(OURS, "tagship history --limit 20", suite.history_shown(workspace, "old", count)),
        Curve(
            LIMIT, Side("python that parses the file", ((PYTHON, "-c", PARSE, str(path)),), folder)
        ),
    ]


AXES = {
    "tags": Axis("tags", (10, 30, 100, 300, 1000, 3000, 10_000), (10, 30, 100, 300), _tags),
    "size": Axis(
        "bytes of the model",
        tuple(megabytes * MB for megabytes in (1, 4, 16, 64, 256, 1000, 2000)),
        tuple(megabytes * MB for megabytes in (1, 4, 16, 64)),
        _sizes,
    ),
    "files": Axis("files of 1 kB", (1, 10, 100, 1000, 3000, 10_000), (1, 10, 100), _files),
    "events": Axis(
        "events in the history", (10, 100, 1000, 10_000, 100_000), (10, 100, 1000), _events
    ),
}


def measure(
    name: str, folder: Path, runs: int, *, quick: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure along an axis. Returns the object for build/growth.json.

    Seconds are ``seconds``, bytes ``peak``, see ``timing.Run``; the exponents are those of the
    medians, see ``figures.exponent``.

    Raises:
        timing.Failed: a command did.
    """
    axis = AXES[name]
    points_by_curve: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for place in axis.quick if quick else axis.places:
        say(f"{name}: {place:,}")
        here = folder / f"{name}-{place}"
        here.mkdir()
        with axis.build(here, place) as curves:
            measured = timing.in_turn([curve.side for curve in curves], runs)
            for curve in curves:
                points = points_by_curve.setdefault((curve.side.name, curve.kind), [])
                points.append(_point(place, measured[curve.side.name]))
        atomic.remove_tree(here)
    series = [
        {"name": label, "kind": kind, "points": points, "exponents": _exponents(points)}
        for (label, kind), points in points_by_curve.items()
    ]
    return {"axis": name, "title": axis.title, "series": series}


def _point(place: int, runs: list[Run]) -> dict[str, Any]:
    return {
        "x": place,
        "seconds": asdict(figures.spread([run.seconds for run in runs])),
        "peak": asdict(figures.spread([run.peak for run in runs])),
    }


def _exponents(points: list[dict[str, Any]]) -> dict[str, float | None]:
    return {
        key: figures.exponent([(point["x"], point[key]["median"]) for point in points])
        for key in ("seconds", "peak")
    }

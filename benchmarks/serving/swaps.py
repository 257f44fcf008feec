"""Swaps under load, counted: ``python -m benchmarks swaps``.

Each server is asked by eight connections while another of three versions goes live again and again,
by deploys and rollbacks of tagship; each answer is compared with what the file of the version that
it claims gives. See ``tests.serve.judge``.
"""

import functools
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import figures, workspaces
from benchmarks.serving import cases, peers, sides
from benchmarks.serving.sides import Server
from benchmarks.suite import Scale, Site
from tests.serve import judge, load, swapping
from tests.serve.judge import Verdict
from tests.serve.load import Answer
from tests.serve.swapping import Shipped

SWAPS, FEW = 50, 10
TOLERANCE = 1e-5  # of one number: single precision
PAUSE = 0.02  # seconds between two requests of a connection to Keras
EVERY = 0.3  # seconds from one swap to the next, at least
HEADING = (
    "server", "connections", "swaps", "answers", "failed", "mixed", "backwards",
    "stalled over 1 s", "link to first answer: median, most",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One server, swapped.

    Attributes:
        lags: seconds from the moment before the link moved to the first answer of each version.
        names_versions: whether its answers say which version they are of.
        compared: whether the outputs were compared with those of the claimed version.
    """

    server: str
    connections: str
    swaps: int
    verdict: Verdict
    lags: tuple[float, ...]
    names_versions: bool = True
    compared: bool = True

    def cells(self) -> tuple[str, ...]:
        """As text, a cell for each of ``HEADING``."""
        verdict = self.verdict
        mixed = f"{len(verdict.mixed):,}" if self.compared else "not compared"
        backwards = f"{len(verdict.backwards):,}" if self.names_versions else "not told"
        lags = [statistics.median(self.lags), max(self.lags)] if self.lags else []
        return (
            self.server, self.connections, str(self.swaps), f"{verdict.answers:,}",
            f"{len(verdict.failed):,}",
            mixed,
            backwards,
            f"{len(verdict.stalled):,}", ", ".join(map(figures.seconds, lags)) or "-",
        )  # fmt: skip


def measure(site: Site, chosen: Collection[str] | None = None) -> Iterator[Row]:
    """Swap under each server, one after the other.

    Args:
        chosen: names of ``SERVERS``; all by default.
    """
    with site.own("swaps") as folder:
        for name, act in SERVERS.items():
            if chosen and name not in chosen:
                continue
            place = folder / name
            place.mkdir()
            yield from act(place, site.scale)


def _trees(folder: Path, scale: Scale, workers: int) -> Iterator[Row]:
    shipped, name = cases.trees(folder, scale), f"tagship serve, {workers} worker(s)"
    for kept in (True, False):
        with sides.tagship(shipped, "--workers", str(workers)) as server:
            yield _row(name, shipped, server, _count(scale), keep_alive=kept)


def _count(scale: Scale) -> int:
    return SWAPS if scale.real else 6


def _keras(folder: Path, scale: Scale) -> Iterator[Row]:
    workspace = workspaces.trained(folder, {})
    path = f"models/{cases.NETWORK}/model.keras"
    shipped = swapping.ship(workspace.repo, cases.NETWORK, path, *swapping.keras_models())
    for kept in (True, False):
        with sides.tagship(shipped) as server:
            gentle = replace(server, plan=replace(server.plan, pause=PAUSE))
            swaps = FEW if scale.real else 2
            yield _row("tagship serve, Keras", shipped, gentle, swaps, keep_alive=kept)


def _before(folder: Path, scale: Scale) -> Iterator[Row]:
    shipped = cases.trees(folder, scale)
    with sides.before(shipped, folder) as server:
        yield _row(cases.BEFORE, shipped, server, _count(scale), keep_alive=False)


def _mlserver(folder: Path, scale: Scale) -> Iterator[Row]:
    """Told of each swap; with the version in its settings, and without."""
    if peers.missing("mlserver"):
        return
    shipped = cases.trees(folder, scale)
    for named in (False, True):
        what = "version in its settings" if named else "no version in its settings"
        name = f"{cases.peer('mlserver')}, POST at each swap, {what}"
        with sides.mlserver(shipped, folder, named=named) as server:
            tell = functools.partial(_tell, shipped, folder, server, named)
            yield _row(name, shipped, server, _count(scale), tell, keep_alive=True, named=named)


def _tell(shipped: Shipped, folder: Path, server: Server, named: bool, version: str) -> None:
    sides.point_mlserver(shipped, folder, version, named=named)
    server.post(f"/v2/repository/models/{shipped.model}/load")


SERVERS: dict[str, Callable[[Path, Scale], Iterator[Row]]] = {
    "tagship": functools.partial(_trees, workers=1),
    "tagship-workers": functools.partial(_trees, workers=2),
    "tagship-keras": _keras,
    "before": _before,
    "mlserver": _mlserver,
}


def _nothing(_: str) -> None:
    pass


def _row(
    name: str,
    shipped: Shipped,
    server: Server,
    swaps: int,
    tell: Callable[[str], None] | None = None,
    *,
    keep_alive: bool,
    named: bool = True,
) -> Row:
    """Swap under load.

    Args:
        tell: tells a server, which does not see it itself, that another version is live.
        keep_alive: the connections stay open; else there is a new one for each request.
    """
    live = [(0.0, shipped.live())]
    with load.under(replace(server.plan, keep_alive=keep_alive)) as running:
        begun = time.monotonic()
        for version in shipped.swaps(swaps):
            live.append((begun, version))
            (tell or server.follows or _nothing)(version)
            time.sleep(max(0.0, begun + EVERY - time.monotonic()))
            begun = time.monotonic()
        time.sleep(EVERY)  # for answers of the last one
    answers = running.answers
    ours = any(answer.generation is not None for answer in answers)
    numbered = answers if ours else judge.numbered(answers, live)
    # MLServer's runtime gives labels, and tagship probabilities: only ours can be compared
    verdict = judge.judge(numbered, {} if tell else shipped.expected, TOLERANCE)
    lags = _lags(answers, live) if named else ()
    kept = "kept" if keep_alive else "a new one each"
    return Row(
        name, f"{server.plan.connections}, {kept}", swaps, verdict, lags, named, tell is None
    )


def _lags(answers: Sequence[Answer], live: Sequence[tuple[float, str]]) -> tuple[float, ...]:
    """From each swap to the first answer of its version."""
    lags = []
    for at, version in live[1:]:  # a version comes again only when the two others have answered
        ends = [a.end for a in answers if a.version == version and a.end >= at]
        lags += [min(ends) - at] if ends else []
    return tuple(lags)

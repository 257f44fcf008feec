"""A time line of one deploy from a store: what happened when, from the wire and from the disk."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks import fetching, figures, proxy, timing
from benchmarks.fetching import Shop
from benchmarks.proxy import Pace, Passed
from benchmarks.suite import Site, megabytes
from benchmarks.timing import Failed, Run
from benchmarks.workspaces import Version
from tagship.host import history

WIDTH = 60  # characters of the bar
LEVELS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Moment:
    """Something that happened, in seconds since the command was started."""

    at: float
    what: str


def measure(site: Site) -> str:
    """Deploy a large model from a store near by, then from one far away; draw what happened.

    Raises:
        Failed: there is no store, or a command failed.
    """
    if why := fetching.missing(site):
        raise Failed(why)
    with fetching.released(site, "timeline", {"m": Version(site.scale.large)}) as shop:
        what = megabytes(site.scale.large)
        timing.run(fetching.deployed(shop, "m", what))  # fills the page cache
        near = _measure(site, shop, what, Pace())
        return f"{near}\n\n{_measure(site, shop, f'{what}, far', fetching.FAR)}"


def _measure(site: Site, shop: Shop, what: str, pace: Pace) -> str:
    with proxy.before(fetching.port(shop), pace) as (port, passed):
        behind = shop.at(f"http://{proxy.LOOPBACK}:{port}")
        side = fetching.deployed(behind, "m", what)
        run = timing.run(side)
        moments = [*_on_the_wire(passed, site.scale.large), *_on_disk(shop, "m")]
    return drawn(side.name, run, moments, passed.answers)


def _on_the_wire(passed: Passed, size: int) -> Iterator[Moment]:
    asked = [at for at, line in passed.requests if fetching.asks_for_object(line)]
    yield Moment(passed.connections[0], "it connects to the store")
    yield Moment(asked[0], "it asks for the first byte of the model")
    answers = [answer for answer in passed.answers if answer[0] >= asked[0]]
    first, last = answers[0][0], answers[-1][0]
    yield Moment(first, "the first bytes arrive")
    sums = list(itertools.accumulate(count for _, count in answers))
    half = next(at for (at, _), total in zip(answers, sums, strict=True) if total >= size / 2)
    yield Moment(half, "half of the bytes are here")
    rate = figures.size(sums[-1] / (last - first))
    ways = f"connections: {len(passed.connections)}, requests for bytes: {len(asked)}"
    yield Moment(last, f"the last bytes arrive ({rate}/s; {ways})")


def _on_disk(shop: Shop, model: str) -> Iterator[Moment]:
    """What the file system noted; a rename changes the ctime of what is renamed."""
    folder = shop.workspace.repo / "models" / model
    version = (folder / "current").resolve()
    yield Moment((version / "model.bin").stat().st_mtime, "the last byte is in the version's file")
    yield Moment((version / "metadata.json").stat().st_mtime, "its metadata.json is written")
    yield Moment(version.stat().st_ctime, "all is on the disk, and renamed into versions/")
    yield Moment((folder / "current").lstat().st_mtime, "current leads to it: it is live")
    yield Moment((folder / history.FILE_NAME).stat().st_mtime, "the history has it")


def drawn(
    name: str, run: Run, moments: Iterable[Moment], answers: Iterable[tuple[float, int]]
) -> str:
    """The time line as text, and below it the rate at which bytes arrived.

    Args:
        name: of what was run.
        run: when it began, and how long it took.
        moments: what happened.
        answers: when how many bytes arrived, in seconds since the epoch.
    """
    begun = Moment(run.begun, "the process starts")
    ended = Moment(run.begun + run.seconds, "the process ends")
    lines = [
        f"{figures.seconds(max(0.0, moment.at - run.begun)):>8}  {moment.what}"
        for moment in sorted([begun, *moments, ended], key=lambda moment: moment.at)
    ]
    widths = [0] * WIDTH
    for at, count in answers:
        widths[min(WIDTH - 1, max(0, int((at - run.begun) / run.seconds * WIDTH)))] += count
    most = max(widths, default=0) or 1
    bar = "".join(LEVELS[-(-count * (len(LEVELS) - 1) // most)] for count in widths)
    scale = f"|{bar}| at most {figures.size(most * WIDTH / run.seconds)}/s arrive"
    total = f"{name}: {figures.seconds(run.seconds)}, CPU {figures.seconds(run.cpu)}"
    return "\n".join([total, *lines, scale])

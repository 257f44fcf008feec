"""The cases of ``tagship serve``: beside other servers, and beside the least that is possible."""

import contextlib
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import processes, rows, timing, workspaces
from benchmarks.rows import Case, Claim, Measure
from benchmarks.serving import alone, asking, peers, sides
from benchmarks.serving.sides import FILE, MODEL, Server
from benchmarks.suite import Scale, Site
from benchmarks.timing import Failed, Run, Runs, Side
from benchmarks.workspaces import PYTHON
from tests.serve import load, swapping
from tests.serve.load import Answer
from tests.serve.swapping import Shipped

TREES, SIDE = 300, 224  # of the trees; pixels of the network's pictures
OURS = "tagship serve"
BEFORE = "api/ before it"
ECHO, ALONE = "ASGI echo", "the model in a loop"
LIMIT = f"{ECHO}, and {ALONE}"
REQUEST = "a request to"
WARM, FIRST, SLOWEST = (
    "median of warm answers", "first answer after a swap, Keras", "slowest first answer of a run"
)  # fmt: skip
NETWORK = "dl_model"


def peer(name: str) -> str:
    """A peer as the rows name it."""
    words = {"mlserver": "MLServer", "litserve": "LitServe"}
    return f"{words[name]} {peers.version_of(name)}"


def trees(folder: Path, scale: Scale) -> Shipped:
    """Three versions of a CatBoost model."""
    workspace = workspaces.trained(folder, {})
    count = TREES if scale.real else 30
    made = swapping.catboost_models(count)
    return swapping.ship(workspace.repo, MODEL, f"models/{MODEL}/{FILE}", *made)


# a request


@contextlib.contextmanager
def requests(site: Site) -> Iterator[Case]:
    """Six rows a request, eight connections at once: throughput, CPU and memory."""
    others = {peer(name): peers.missing(name) for name in peers.NAMES}
    mlserver, litserve = others
    claims = [
        _claim(mlserver, rows.faster(2), Measure.TIME),
        Claim(_asked(OURS), LIMIT, rows.at_most(7.0), Measure.CPU),
        *(_claim(name, None, Measure.TIME) for name in (litserve, BEFORE, ECHO)),
        Claim(_asked(OURS), ALONE),
        *(_claim(name, None, Measure.CPU) for name in (mlserver, litserve, BEFORE)),
        *(_claim(name, None, Measure.HELD) for name in (mlserver, litserve, BEFORE)),
    ]
    told = [
        replace(claim, skipped=why) if (why := others.get(_server(claim.theirs), "")) else claim
        for claim in claims
    ]
    with site.own("serve") as folder, ExitStack() as stack:
        shipped = trees(folder, site.scale)
        started = {OURS: stack.enter_context(sides.tagship(shipped))}
        for name, start in (("mlserver", sides.mlserver), ("litserve", sides.litserve)):
            if not peers.missing(name):
                place = _folder(folder, name)
                started[peer(name)] = stack.enter_context(start(shipped, place))
        started[BEFORE] = stack.enter_context(sides.before(shipped, _folder(folder, "old")))
        started[ECHO] = stack.enter_context(sides.echo(shipped, _folder(folder, "echo")))
        seconds = 3 if site.scale.real else 1
        yield Case("serve", functools.partial(_ask, shipped, started, seconds), tuple(told))


def _claim(other: str, target: rows.Target | None, measure: Measure) -> Claim:
    return Claim(_asked(OURS), _asked(other), target, measure)


def _asked(name: str) -> str:
    return f"{REQUEST} {name}"


def _server(side: str) -> str:
    return side.removeprefix(f"{REQUEST} ")


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def _ask(shipped: Shipped, started: dict[str, Server], seconds: int, runs: int) -> Runs:
    """Each server in turn, while the others wait; and the model without one."""
    for server in started.values():
        _asked_for(server, 1)
    measured: Runs = {name: [] for name in (*map(_asked, started), ALONE, LIMIT)}
    for _ in range(runs):
        for name, server in started.items():
            measured[_asked(name)].append(_asked_for(server, seconds))
        model = _alone(shipped, seconds)
        measured[ALONE].append(model)
        echo = measured[_asked(ECHO)][-1]
        measured[LIMIT].append(Run(echo.seconds + model.seconds, 0, cpu=echo.cpu + model.cpu))
    return measured


def _asked_for(server: Server, seconds: int) -> Run:
    """What one request takes of the clock, and of the CPU of all processes of its server."""
    cpu = processes.cpu(server.pid)
    asked = asking.ask(replace(server.plan, seconds=float(seconds)))
    cpu = processes.cpu(server.pid) - cpu
    held = processes.memory(server.pid)
    return Run(asked.seconds / asked.requests, 0, cpu=cpu / asked.requests, held=held)


def _alone(shipped: Shipped, seconds: int) -> Run:
    folder = shipped.repo.parent
    batches, target = folder / "batches.json", folder / "alone.json"
    batches.write_text(json.dumps(shipped.batches), encoding="utf-8")
    model = str((shipped.folder / "current").resolve() / FILE)
    timing.tell(folder, PYTHON, alone.__file__, model, str(batches), str(seconds), str(target))
    value = json.loads(target.read_bytes())
    return Run(value["seconds"] / value["calls"], 0, cpu=value["cpu"] / value["calls"])


# a start


@contextlib.contextmanager
def start(site: Site) -> Iterator[Case]:
    """From the start of the process to the first time that it says that it is ready."""
    imports = f"import catboost, {', '.join(sides.IMPORTED)}"
    code = f"{imports}\ncatboost.CatBoostClassifier().load_model({{!r}})"
    ours, limit = f"{OURS}, start to ready", "imports of framework and server, and load"
    with site.own("serve-start") as folder:
        shipped = trees(folder, site.scale)
        model = str((shipped.folder / "current").resolve() / FILE)
        names = {ours: functools.partial(_started, shipped)}
        claims = [Claim(ours, limit, rows.at_most(1.3)), Claim(ours, limit, None, Measure.CPU)]
        mlserver = f"{peer('mlserver')}, start to ready"
        claims.append(Claim(ours, mlserver, skipped=peers.missing("mlserver")))
        if not peers.missing("mlserver"):
            names[mlserver] = functools.partial(_mlserver_started, shipped)
        least = Side(limit, ((PYTHON, "-c", code.format(model)),), folder)

        def measure(runs: int) -> Runs:
            took: dict[str, Callable[[], Run]] = {**names, limit: lambda: timing.run(least)}
            measured: Runs = {name: [] for name in took}
            for number in range(runs + 1):
                for name, act in took.items():
                    run = act()
                    measured[name] += [run] if number else []  # the first of each warms up
            return measured

        yield Case("serve-start", measure, tuple(claims))


def _started(shipped: Shipped) -> Run:
    begun = time.perf_counter()
    with sides.tagship(shipped) as server:
        return Run(time.perf_counter() - begun, 0, cpu=processes.cpu(server.pid))


def _mlserver_started(shipped: Shipped) -> Run:
    folder = shipped.repo.parent / "mlserver"
    folder.mkdir(exist_ok=True)
    begun = time.perf_counter()
    with sides.mlserver(shipped, folder) as server:
        return Run(time.perf_counter() - begun, 0, cpu=processes.cpu(server.pid))


# swaps of Keras


@contextlib.contextmanager
def network(site: Site) -> Iterator[Case]:
    """Swaps of a network: the first answer of each generation, and the memory after all."""
    swaps = 10 if site.scale.real else 2
    after, earlier = f"{OURS} after {swaps} swaps of Keras", "before them"
    claims = [
        Claim(FIRST, WARM, rows.at_most(3.0)),
        Claim(SLOWEST, WARM),
        Claim(after, earlier, rows.at_most(1.1), Measure.HELD),
    ]
    with site.own("serve-keras") as folder:
        shipped = networks(folder, small=not site.scale.real)

        def measure(runs: int) -> Runs:
            measured: Runs = {name: [] for name in (FIRST, WARM, SLOWEST, after, earlier)}
            for _ in range(runs):
                with swapping.serving(shipped.repo, NETWORK) as server:
                    warm, first, held = _swapped(shipped, server, swaps)
                measured[WARM].append(Run(statistics.median(warm), 0))
                measured[FIRST].append(Run(statistics.median(first), 0))
                measured[SLOWEST].append(Run(max(first), 0))
                for name, count in zip((earlier, after), held, strict=True):
                    measured[name].append(Run(0.0, 0, held=count))
            return measured

        yield Case("serve-keras", measure, tuple(claims))


def networks(folder: Path, *, small: bool) -> Shipped:
    """Three versions of EfficientNetB0 with random weights; pictures as inputs."""
    workspace = workspaces.trained(folder, {})
    side = 32 if small else SIDE
    made = swapping.vision_models(side)
    return swapping.ship(workspace.repo, NETWORK, f"models/{NETWORK}/model.keras", *made)


def _swapped(
    shipped: Shipped, server: swapping.Server, swaps: int
) -> tuple[list[float], list[float], tuple[int, int]]:
    """Swap; seconds of warm answers, of the first of each generation, memory before and after."""
    data = [picture.tobytes() for picture in shipped.batches]
    shape = shipped.batches[0].shape
    plan = load.binary(server.address, shipped.model, shape, data, connections=1, pause=0.02)
    load.asked(replace(plan, most=20))
    before = processes.memory(server.pid)
    warm = load.asked(replace(plan, most=40))
    with load.under(plan) as running:
        for version in shipped.swaps(swaps):
            server.await_version(shipped.model, version)
    load.asked(replace(plan, most=20))
    after = processes.memory(server.pid)
    answers = [*warm, *running.answers]
    if failed := [answer for answer in answers if answer.status != 200]:
        raise Failed(f"{len(failed)} of {len(answers)} answers failed: {failed[0]}")
    return list(map(_seconds, warm)), list(map(_seconds, _first(running.answers))), (before, after)


def _first(answers: Sequence[Answer]) -> list[Answer]:
    """The first answer of each generation but the first."""
    by_generation: dict[int | None, Answer] = {}
    for answer in answers:
        by_generation.setdefault(answer.generation, answer)
    return list(by_generation.values())[1:]


def _seconds(answer: Answer) -> float:
    return answer.end - answer.begin


CASES: dict[str, Callable[[Site], AbstractContextManager[Case]]] = {
    "serve": requests,
    "serve-start": start,
    "serve-keras": network,
}

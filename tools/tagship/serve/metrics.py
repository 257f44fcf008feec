"""What a server counts, for Prometheus. docs/serve.md describes each metric.

Counters add up over the workers. What is live is asked of the slots of the worker that Prometheus
reached: all workers switch at the same moment.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tagship.serve.tallies import Key, Memory, Tallies

if TYPE_CHECKING:
    from tagship.serve.generation import Facts
    from tagship.serve.observer import Answered
    from tagship.serve.slot import State

    States = Mapping[str, State]  # by the model's name

KEPT = 3  # versions of a model that were freed, and still have their numbers
REQUEST_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SWAP_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds, both
REQUESTS, ROWS, SECONDS = "tagship_requests", "tagship_rows", "tagship_request_seconds"
SWAPS, SWAP_SECONDS = "tagship_swaps", "tagship_swap_seconds"
AUDIT_FAILURES, ACCESS_DROPPED = "tagship_audit_failures", "tagship_access_lines_dropped"
LIVE, READY, REFUSED = "tagship_live", "tagship_ready", "tagship_refused"
GENERATIONS = "tagship_generations"
HELP = {
    REQUESTS: "Requests for an answer of a model, by the status of the answer.",
    ROWS: "Rows of the inputs that were answered.",
    SECONDS: "Time from a request to its answer, of requests that a version worked on.",
    SWAPS: "Versions that were to be live: taken, or refused.",
    SWAP_SECONDS: "Time from the sight of a version to its first answer: loading, the self-test.",
    AUDIT_FAILURES: "Answers that could not be written into the audit.",
    ACCESS_DROPPED: "Lines that the access log has not.",
    LIVE: "1 for the version that answers.",
    READY: "1 where a version can answer.",
    REFUSED: "1 for a version that should answer, and was refused.",
    GENERATIONS: "Versions that are loaded, with those that finish their last requests.",
}
_LABELS = {
    REQUESTS: ("model", "version", "code"),
    ROWS: ("model", "version"),
    SECONDS: ("model", "version"),
    SWAPS: ("model", "result"),
    SWAP_SECONDS: ("model",),
    AUDIT_FAILURES: (),
    ACCESS_DROPPED: (),
}
_OF_VERSION = (REQUESTS, ROWS, SECONDS)
_OF_SWAPS = (SWAPS, SWAP_SECONDS)
_SUM, _LAST_SWAP = "sum", "last_swap"


class Metrics:
    """What one worker counts.

    Args:
        models: the names of the models that are served; no other becomes a label.
        memory: of all workers; None where there is one.
        worker: which of them this is, from 0.
    """

    def __init__(
        self, models: Iterable[str], memory: Memory | None = None, worker: int = 0
    ) -> None:
        self._models = frozenset(models)
        self._memory = memory or Memory()
        self._tallies = Tallies(self._memory.regions[worker])
        self._lock = threading.Lock()  # of the versions
        self._versions = {model: Versions() for model in self._models}
        for key in self._tallies.names():  # of a worker before this one
            if key[0] in _OF_VERSION and key[1] in self._models and key[2]:
                self._versions[key[1]].found(key[2])

    def answered(self, answered: "Answered") -> None:
        """Count a request. Only of what worked on it is the version a label."""
        model = answered.model if answered.model in self._models else ""
        if answered.generation is None or not model or answered.version is None:
            self._tallies.add(((REQUESTS, model, "", str(answered.code)), 1))
            return
        version = answered.version
        if version not in self._versions[model]:  # a challenger, of which nobody told
            with self._lock:
                self._versions[model].loaded(version)
        self._tallies.add(
            ((REQUESTS, model, version, str(answered.code)), 1),
            ((SECONDS, model, version, _bound(REQUEST_BOUNDS, answered.seconds)), 1),
            ((SECONDS, model, version, _SUM), answered.seconds),
            ((ROWS, model, version), answered.rows if answered.code == 200 else 0),
        )

    def swapped(self, model: str, new: "Facts", seconds: float) -> None:
        """Count a swap; once, also where this worker took the place of one that ended."""
        with self._lock:
            self._versions[model].loaded(new.version)
        last: Key = (_LAST_SWAP, model)
        if new.number <= self._tallies.get(last):
            return
        self._tallies.add(
            (last, new.number - self._tallies.get(last)),
            ((SWAPS, model, "taken"), 1),
            ((SWAP_SECONDS, model, _bound(SWAP_BOUNDS, seconds)), 1),
            ((SWAP_SECONDS, model, _SUM), seconds),
        )

    def refused(self, model: str) -> None:
        """Count a version that was not taken."""
        self._tallies.add(((SWAPS, model, "refused"), 1))

    def freed(self, facts: "Facts") -> None:
        """Keep the numbers of the last few versions that were freed, and forget older ones."""
        with self._lock:
            over = self._versions[facts.model].freed(facts.version)
        if over:
            self._tallies.drop(
                lambda key: key[0] in _OF_VERSION and key[1] == facts.model and key[2] in over
            )

    def failed(self, name: str, count: int = 1) -> None:
        """Count what could not be written: ``AUDIT_FAILURES`` or ``ACCESS_DROPPED``."""
        self._tallies.add(((name,), count))

    def exposition(self, states: "States", accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type.

        Args:
            states: of the slots of this worker.
            accept: the header Accept of the request: OpenMetrics where it asks for that.
        """
        registry = CollectorRegistry()
        registry.register(_Families(lambda: self._families(states)))
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it asks for a version that is no number
            encode, content_type = choose_encoder("")
        return encode(registry), content_type

    def _families(self, states: "States") -> Iterator[Metric]:
        yield from gauges(states)
        yield from families(merged(self._memory.read()))


class Versions:
    """The versions of a model whose numbers are kept: what is loaded, and the last few freed."""

    def __init__(self) -> None:
        self._loaded: Counter[str] = Counter()
        self._freed: dict[str, None] = {}  # the oldest first

    def __contains__(self, version: str) -> bool:
        return version in self._loaded or version in self._freed

    def found(self, version: str) -> None:
        """There are numbers of a version, from before."""
        self._freed[version] = None

    def loaded(self, version: str) -> None:
        """A version was loaded, perhaps once more."""
        self._loaded[version] += 1
        self._freed.pop(version, None)

    def freed(self, version: str) -> list[str]:
        """One load of a version is gone. Returns those to forget."""
        self._loaded[version] -= 1
        if self._loaded[version] > 0:
            return []
        del self._loaded[version]
        self._freed.pop(version, None)
        self._freed[version] = None
        over = list(self._freed)[:-KEPT]
        for old in over:
            del self._freed[old]
        return over


class _Families(Collector):
    """What prometheus-client asks for the metrics."""

    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()


def _bound(bounds: tuple[float, ...], seconds: float) -> str:
    """The bound of the bucket that a time falls into."""
    at = bisect_left(bounds, seconds)
    return f"{bounds[at]:.15g}" if at < len(bounds) else "+Inf"


def merged(workers: list[dict[Key, float]]) -> dict[Key, float]:
    """The numbers of all workers as one. Pure.

    They add up, but for swaps: each worker counts each of them. There it is the worker that has
    seen most of them; the others were started later.
    """
    total: dict[Key, float] = {}
    seen = max(workers, key=_swaps, default={})
    for numbers in workers:
        for key, number in numbers.items():
            if key[0] not in _OF_SWAPS or numbers is seen:
                total[key] = total.get(key, 0) + number
    return total


def _swaps(numbers: dict[Key, float]) -> float:
    return sum(number for key, number in numbers.items() if key[0] == SWAPS)


def families(numbers: dict[Key, float]) -> Iterator[Metric]:
    """Counters and histograms from their numbers. Pure."""
    # without a sample of 0, Prometheus would not see the first of these as an increase
    numbers = {(AUDIT_FAILURES,): 0.0, (ACCESS_DROPPED,): 0.0, **numbers}
    for name in (REQUESTS, ROWS, SWAPS, AUDIT_FAILURES, ACCESS_DROPPED):
        counter = CounterMetricFamily(name, HELP[name], labels=_LABELS[name])
        for key in sorted(key for key in numbers if key[0] == name):
            counter.add_metric(key[1:], numbers[key])
        yield counter
    for name, bounds in ((SECONDS, REQUEST_BOUNDS), (SWAP_SECONDS, SWAP_BOUNDS)):
        histogram = HistogramMetricFamily(name, HELP[name], labels=_LABELS[name])
        for labels in sorted({key[1:-1] for key in numbers if key[0] == name}):
            total = numbers.get((name, *labels, _SUM), 0.0)
            histogram.add_metric(labels, _buckets(numbers, (name, *labels), bounds), total)
        yield histogram


def _buckets(
    numbers: dict[Key, float], key: Key, bounds: tuple[float, ...]
) -> list[tuple[str, float]]:
    """How many took at most so long, by each bound."""
    buckets, count = [], 0.0
    for bound in (*(f"{bound:.15g}" for bound in bounds), "+Inf"):
        count += numbers.get((*key, bound), 0)
        buckets.append((bound if bound == "+Inf" else str(float(bound)), count))
    return buckets


def gauges(states: "States") -> Iterator[Metric]:
    """What is live, and what is not, from the states of the slots. Pure."""
    live = GaugeMetricFamily(LIVE, HELP[LIVE], labels=("model", "version", "seq"))
    ready = GaugeMetricFamily(READY, HELP[READY], labels=("model",))
    refused = GaugeMetricFamily(REFUSED, HELP[REFUSED], labels=("model", "version"))
    generations = GaugeMetricFamily(GENERATIONS, HELP[GENERATIONS], labels=("model",))
    for model, state in states.items():
        if state.live is not None:
            live.add_metric((model, state.live.version, str(state.live.seq)), 1)
        refusals = (*filter(None, (state.refused,)), *state.refused_challengers)
        for version in dict.fromkeys(refusal.version for refusal in refusals):
            refused.add_metric((model, version), 1)
        ready.add_metric((model,), float(state.live is not None))
        generations.add_metric((model,), state.generations)
    yield from (live, ready, refused, generations)

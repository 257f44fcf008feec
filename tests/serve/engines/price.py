"""What a server takes of a machine: memory, processes, and CPU a request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import processes
from tests.serve import load
from tests.serve.load import Plan

SECONDS, WARM = 5.0, 200


@dataclass(frozen=True)
class Price:
    """Of a server that is asked all the time, over eight connections.

    Attributes:
        memory: bytes (PSS) of all its processes.
        processes: how many there are.
        cpu: seconds of all of them for a request.
        rate: requests a second.
        median: seconds from a request to its answer.
        failed: requests.
    """

    memory: int
    processes: int
    cpu: float
    rate: float
    median: float
    failed: int

    def __str__(self) -> str:
        return (
            f"{self.memory / 1e6:.0f} MB, {self.processes} processes, {self.cpu * 1e3:.1f} ms of"
            f" CPU a request, {self.rate:.0f} requests/s, median {self.median * 1e3:.1f} ms"
        )


def of(servers: Sequence[int], plan: Plan) -> Price:
    """Measure a server by its first processes, one of each node."""
    load.asked(replace(plan, most=WARM))
    before = sum(map(processes.cpu, servers))
    answers = load.asked(replace(plan, seconds=SECONDS))
    cpu = sum(map(processes.cpu, servers)) - before
    took = sorted(answer.end - answer.begin for answer in answers)
    span = max(a.end for a in answers) - min(a.begin for a in answers)
    return Price(
        sum(map(processes.memory, servers)),
        sum(len(processes.family(pid)) for pid in servers),
        cpu / len(answers),
        len(answers) / span,
        took[len(took) // 2],
        sum(answer.status != 200 for answer in answers),
    )

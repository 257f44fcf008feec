"""What can be seen of a server: metrics, the access log, the audit. It implements ``Observer``."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.errors import Refused
from tagship.serve.access import AccessLog
from tagship.serve.audit import Audit
from tagship.serve.metrics import ACCESS_DROPPED, AUDIT_FAILURES, Metrics
from tagship.serve.tallies import Memory

if TYPE_CHECKING:
    from tagship.serve.generation import Facts
    from tagship.serve.metrics import States
    from tagship.serve.observer import Answered

OK = 200


class Monitor:
    """Counts, and writes down, what one worker does.

    Args:
        models: the names of the models that are served.
        root: the models folder; nothing is written into it.
        access_log: a file, or ``-`` for standard output; None writes no access log.
        audit: the audit file; None writes none.
        audit_inputs: record the inputs too.
        memory: what all workers count in; None where there is one.
        worker: which of them this is, from 0.

    Raises:
        Refused, OSError: a file cannot be opened, or may not be used; see ``disk.appended``.
    """

    def __init__(
        self, models: Iterable[str], root: Path, *, access_log: str | None = None,
        audit: Path | None = None, audit_inputs: bool = False, memory: Memory | None = None,
        worker: int = 0,
    ) -> None:  # fmt: skip
        if audit and access_log and audit.resolve() == Path(access_log).resolve():
            raise Refused(f"{audit} is the audit and the access log", "give each its own file")
        self._metrics = Metrics(models, memory, worker)
        self._audit = None if audit is None else Audit(audit, root, with_inputs=audit_inputs)
        self._access = None if access_log is None else AccessLog(access_log, root, self._dropped)

    def _dropped(self, count: int) -> None:
        self._metrics.failed(ACCESS_DROPPED, count)

    @property
    def wants_outputs(self) -> bool:
        """Whether an answer that was given should come with its outputs, and its sha256."""
        return self._audit is not None

    @property
    def wants_inputs(self) -> bool:
        """Whether it should come with its inputs too."""
        return self._audit is not None and self._audit.with_inputs

    def swapped(
        self,
        model: str,
        old: "Facts | None",  # noqa: ARG002 - of the protocol
        new: "Facts",
        seconds: float,
    ) -> None:
        """Count a swap."""
        self._metrics.swapped(model, new, seconds)

    def refused(self, model: str, version: str | None, reason: str) -> None:  # noqa: ARG002 - same
        """Count a version that was not taken."""
        self._metrics.refused(model)

    def freed(self, facts: "Facts") -> None:
        """Forget old numbers."""
        self._metrics.freed(facts)

    def answered(self, answered: "Answered") -> None:
        """Count a request, and write it down. Call it before the answer is sent."""
        self._metrics.answered(answered)
        is_answer = answered.code == OK and answered.outputs is not None
        if self._audit is not None and is_answer and not self._audit.write(answered):
            self._metrics.failed(AUDIT_FAILURES)
        if self._access is not None:
            self._access.add(answered)

    def exposition(self, states: "States", accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type.

        Args:
            states: of the slots of this worker, by the model's name.
            accept: the header Accept of the request.
        """
        return self._metrics.exposition(states, accept)

    def reopen(self) -> None:
        """Open the files by their names again, for SIGHUP: logrotate moved them."""
        for log in (self._access, self._audit):
            if log is not None:
                log.reopen()

    def close(self) -> None:
        """Write what waits, and close the files."""
        for log in (self._access, self._audit):
            if log is not None:
                log.close()

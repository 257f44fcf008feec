"""What a server says on standard error."""

import logging
import re
from collections.abc import Iterator

import pytest

from tagship.serve import log


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The loggers as they were before."""
    several = [logging.getLogger(name) for name in ("tagship", "uvicorn", "asyncio")]
    server = logging.getLogger("tagship.serve")
    before = [list(each.handlers) for each in several], server.level
    yield
    for each, handlers in zip(several, before[0], strict=True):
        each.handlers[:] = handlers
    server.setLevel(before[1])


def test_standard_error_says_when_which_version_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.show()
    logging.getLogger("tagship.serve").info("churn: %s answers, after %.1f s", "1.1.0", 0.21)
    logging.getLogger("tagship").warning("the audit cannot be written")
    logging.getLogger("uvicorn.error").error("an exception")
    shown = capsys.readouterr()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC "
    lines = ("churn: 1.1.0 answers, after 0.2 s", "the audit cannot be written", "an exception")
    pattern = "".join(f"{stamp}{re.escape(line)}\n" for line in lines)
    assert (bool(re.fullmatch(pattern, shown.err)), shown.out) == (True, ""), shown.err

"""What a server says on standard error."""

import logging
import re
from collections.abc import Iterator

import pytest

from tagship.serve import log


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The loggers as they were before."""
    package, server = logging.getLogger("tagship"), logging.getLogger("tagship.serve")
    before = list(package.handlers), server.level
    yield
    package.handlers[:] = before[0]
    server.setLevel(before[1])


def test_standard_error_says_when_which_version_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.show()
    logging.getLogger("tagship.serve").info("churn: %s answers, after %.1f s", "1.1.0", 0.21)
    logging.getLogger("tagship").warning("the audit cannot be written")
    shown = capsys.readouterr()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC "
    lines = ("churn: 1.1.0 answers, after 0.2 s", "the audit cannot be written")
    pattern = "".join(f"{stamp}{re.escape(line)}\n" for line in lines)
    assert (bool(re.fullmatch(pattern, shown.err)), shown.out) == (True, ""), shown.err

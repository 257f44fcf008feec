"""``tagship serve``, before and beside what it serves; tests/serve has the rest."""

import logging
import re
from collections.abc import Iterator

import pytest

from tagship.cli import serve


@pytest.fixture
def quiet() -> Iterator[logging.Logger]:
    """The logger of the server, without a handler afterwards."""
    logger = logging.getLogger("tagship.serve")
    before = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(before[0])
    logger.handlers[:] = before[1]


def test_standard_error_says_when_which_version_answers(
    quiet: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    serve._show_swaps()
    quiet.info("churn: %s answers, after %.1f s", "1.1.0", 0.21)
    shown = capsys.readouterr()
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC churn: 1\.1\.0 answers, after 0\.2 s\n"
    assert (bool(re.fullmatch(line, shown.err)), shown.out) == (True, ""), shown.err

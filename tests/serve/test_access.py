"""The access log: what is in a line, and a reader that is slow or gone."""

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagship.errors import Refused
from tagship.serve import access
from tagship.serve.access import AccessLog
from tests.serve.seen import answered


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


@pytest.fixture
def lost() -> list[int]:
    """How many lines were dropped, each time."""
    return []


@pytest.fixture
def log(path: Path, lost: list[int]) -> Iterator[AccessLog]:
    opened = AccessLog(str(path), path.parent / "models", lost.append)
    yield opened
    opened.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_who_asked_which_version_how_long_it_took_and_what_came_of_it(
    log: AccessLog, path: Path
) -> None:
    log.add(answered())
    log.add(answered(None, None, code=404, id=None, model="", rows=0))
    log.close()
    answer, refusal = lines(path)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.pop("at"))
    assert answer == {
        "id": "r-1", "client": "127.0.0.1", "model": "churn", "version": "1.0.0", "seq": 1,
        "rows": 2, "ms": 4.0, "code": 200,
    }  # fmt: skip
    assert (refusal["id"], refusal["version"], refusal["code"]) == (None, None, 404)
    assert path.stat().st_mode & 0o7777 == 0o600


def test_what_a_client_chose_cannot_end_a_line_or_reach_a_terminal(
    log: AccessLog, path: Path
) -> None:
    evil = 'a"\n{"code":200}\x1b[31m\x7f\x9b2J\u202e' + "x" * 1000
    log.add(answered(id=evil))
    log.close()
    assert path.read_text().rstrip("\n").isprintable()
    (line,) = lines(path)
    assert line["id"] == evil[: access.LONGEST]


def test_a_reader_that_does_not_read_holds_no_request_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: list[int]
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(access, "MANY", 100)
    monkeypatch.setattr(access, "_write_out", lambda data: os.write(writing, data))
    log = AccessLog("-", tmp_path, lost.append)
    count = 3000  # 400 kB, and a pipe takes 64 kB
    for number in range(count):
        log.add(answered(id=str(number)))
    os.set_blocking(writing, True)
    seen: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 1 << 16):
            seen.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    log.close()
    os.close(writing)
    reader.join()
    written = b"".join(seen).splitlines()
    assert sum(lost) > 0
    assert len(written) + sum(lost) == count
    assert all(json.loads(line)["code"] == 200 for line in written)


def test_what_cannot_be_written_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: list[int]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(access, "_write_out", lambda data: os.write(writing, data))
    log = AccessLog("-", tmp_path, lost.append)
    for _ in range(3):
        log.add(answered())
    log.close()
    os.close(writing)
    assert sum(lost) == 3


def test_it_may_not_be_in_the_models_folder(tmp_path: Path, lost: list[int]) -> None:
    with pytest.raises(Refused, match="is in the models folder"):
        AccessLog(str(tmp_path / "access.jsonl"), tmp_path, lost.append)


def test_several_writers_of_one_pipe_write_pieces_that_it_takes_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: list[int]
) -> None:
    pieces: list[bytes] = []
    monkeypatch.setattr(access, "_write_out", pieces.append)
    log = AccessLog("-", tmp_path, lost.append)
    for _ in range(200):
        log.add(answered(id="x" * 500))
    log.close()
    assert b"".join(pieces).count(b"\n") == 200
    assert max(map(len, pieces)) <= access.TOGETHER
    assert all(piece.endswith(b"\n") for piece in pieces)

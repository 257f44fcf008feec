"""The audit of a server: what a line holds, what is not written, and that it is seen."""

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagship.errors import Refused
from tagship.host import audit as host_audit
from tagship.host.audit import START, Answer, Damaged, Tensor, Wanted
from tagship.serve import lines
from tagship.serve.audit import Audit, _record
from tagship.serve.monitor import Monitor
from tests.serve.seen import answered, facts
from tests.serve.test_metrics import samples

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "audit.schema.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def monitor(path: Path) -> Iterator[Monitor]:
    opened = Monitor(["churn"], path.parent / "models", audit=path)
    yield opened
    opened.close()


def written(path: Path, audit: Audit, **changed: Any) -> dict[str, Any]:
    """The last line after an answer."""
    assert audit.write(answered(**changed))
    value: dict[str, Any] = json.loads(path.read_bytes().splitlines()[-1])
    jsonschema.validate(value, json.loads(SCHEMA.read_bytes()))
    return value


def read(path: Path, wanted: Wanted) -> list[Answer | Damaged]:
    with path.open("rb") as file:
        return list(host_audit.find(file, wanted))


def test_a_line_says_which_version_answered_what(path: Path) -> None:
    value = written(path, Audit(path, path.parent / "models"))
    assert path.read_bytes().startswith(START)
    value.pop("at")
    assert value == {
        "schema": 1, "id": "r-1", "model": "churn", "version": "1.0.0", "seq": 1, "generation": 1,
        "sha256": "cd" * 32, "rows": 2, "ms": 4.0, "outputs": [
            {"name": "output-0", "datatype": "FP64", "shape": [2, 2],
             "data": [0.25, 0.75, 0.5, 0.5]},
        ],
    }  # fmt: skip


def test_inputs_are_recorded_only_where_they_are_asked_for(path: Path) -> None:
    value = written(path, Audit(path, path.parent / "models", with_inputs=True))
    assert value["inputs"] == [
        {"name": "input-0", "datatype": "FP64", "shape": [2, 2], "data": [1, 2, 3, 4]}
    ]
    monitor = Monitor(["churn"], path.parent / "models", audit=path)
    assert (monitor.wants_outputs, monitor.wants_inputs) == (True, False)
    monitor.close()


@pytest.mark.parametrize(
    ("array", "datatype", "data"),
    [
        (np.array([[1.5, np.nan], [np.inf, -np.inf]]), "FP64", [1.5, "nan", "inf", "-inf"]),
        (np.array([1.5], np.float16), "FP16", [1.5]),
        (np.array([[1, 2], [3, 4]], np.int8).T, "INT8", [1, 3, 2, 4]),
        (np.array([2**64 - 1], np.uint64), "UINT64", [2**64 - 1]),
        (np.array([True, False]), "BOOL", [True, False]),
        (np.array([["sun", "é\x1b"]]), "BYTES", ["sun", "é\x1b"]),
        (np.array([b"sun", b"\xff"], object), "BYTES", ["sun", "\ufffd"]),
        (np.zeros((0, 3), np.float32), "FP32", []),
    ],
)
def test_any_tensor_is_recorded(
    path: Path, array: np.ndarray, datatype: str, data: list[Any]
) -> None:
    value = written(path, Audit(path, path.parent / "models"), outputs={"output-0": array})
    assert value["outputs"] == [
        {"name": "output-0", "datatype": datatype, "shape": list(array.shape), "data": data}
    ]


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_answer_is_read_back_whatever_its_id(identity: str) -> None:
    import io

    line = lines.line(_record(answered(id=identity), with_inputs=True))
    assert line.count(b"\n") == 1
    (answer,) = host_audit.find(io.BytesIO(line), Wanted(id=identity, model="churn"))
    assert isinstance(answer, Answer)
    assert (answer.id, answer.seq, answer.rows) == (identity, 1, 2)
    assert answer.outputs == (Tensor("output-0", "FP64", (2, 2), [0.25, 0.75, 0.5, 0.5]),)


def test_only_answers_are_recorded(path: Path, monitor: Monitor) -> None:
    monitor.answered(answered(code=400, outputs=None))
    monitor.answered(answered(None, None, code=503, outputs=None))
    monitor.answered(answered())
    assert len(path.read_bytes().splitlines()) == 1


def test_metrics_access_log_and_audit_agree(path: Path) -> None:
    log = path.with_name("access.jsonl")
    monitor = Monitor(["churn"], path.parent / "models", audit=path, access_log=str(log))
    for number, version in enumerate(("1.0.0", "1.1.0", "1.0.0"), 1):
        monitor.swapped("churn", None, facts(version, number), 0.1)
        for request in range(number):
            monitor.answered(answered(version, number, id=f"{number}.{request}"))
    monitor.close()
    keys = ("id", "version", "seq", "rows", "ms")
    audited, logged = (
        [[json.loads(line)[key] for key in keys] for line in file.read_bytes().splitlines()]
        for file in (path, log)
    )
    assert audited == logged
    found = samples(monitor)
    for version in ("1.0.0", "1.1.0"):
        count = sum(line[1] == version for line in audited)
        assert found["tagship_requests_total", "200", "churn", version] == count


def test_on_a_full_disk_requests_are_answered_and_the_loss_is_seen(
    path: Path, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.answered(answered(id="before"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
    try:
        for _ in range(3):
            monitor.answered(answered(id="lost"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    monitor.answered(answered(id="after"))
    assert samples(monitor)["tagship_audit_failures_total",] == 3
    assert samples(monitor)["tagship_requests_total", "200", "churn", "1.0.0"] == 5
    assert [record.getMessage() for record in caplog.records] == [  # once a minute
        f"answers that are not in {path}: 1; No space left on device: {path}"
    ]
    identities = [a.id if isinstance(a, Answer) else a.line for a in read(path, Wanted())]
    assert identities == ["before", 2, "after"]


def test_a_server_does_not_start_with_an_audit_that_it_may_not_write(path: Path) -> None:
    with pytest.raises(Refused, match="is in the models folder"):
        Monitor(["churn"], path.parent, audit=path)


def test_the_audit_and_the_access_log_are_two_files(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is the audit and the access log"):
        Monitor(["churn"], tmp_path / "models", audit=path, access_log=str(path))


# ---- what is read


def line(**changed: Any) -> bytes:
    return lines.line(_record(answered(**changed), with_inputs=False))


def test_lines_that_are_damaged_are_told_and_hide_no_other(path: Path) -> None:
    whole = line(id="a")
    path.write_bytes(
        b"\n".join(
            [
                whole.strip(),
                whole[:40] + line(id="b").strip(),  # cut short, and the next one after it
                b"no JSON",
                b"",
                b'{"schema":2,"at":"2026"}',
                line(id="c").replace(b'"seq":1', b'"seq":"one"').strip(),
                line(id='{"schema":1,"at":"').strip(),
                whole[:-20],
            ]
        )
    )
    found = read(path, Wanted())
    assert [answer.id for answer in found if isinstance(answer, Answer)] == [
        "a", "b", '{"schema":1,"at":"',
    ]  # fmt: skip
    assert sorted({part.line for part in found if isinstance(part, Damaged)}) == [2, 3, 5, 6, 8]


def test_answers_are_chosen_by_time_and_model(path: Path) -> None:
    for number in range(3):
        at = f"2026-11-2{number}T12:00:00.000Z"
        value = {**_record(answered(id=str(number)), with_inputs=False), "at": at}
        with path.open("ab") as file:
            file.write(lines.line(value))
    wanted = Wanted(since="2026-11-21T00:00:00.000Z", until="2026-11-22T12:00:00.000Z")
    assert [answer.id for answer in read(path, wanted) if isinstance(answer, Answer)] == ["1"]
    assert read(path, Wanted(model="wine")) == []
    assert len(read(path, Wanted(model="churn"))) == 3

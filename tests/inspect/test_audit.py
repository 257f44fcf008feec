"""``tagship audit``: an answer of a server, and why the version that gave it was live."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tagship import InvalidName, NotFound, Workspace
from tagship.host import history
from tagship.inspect.audit import Decision, Decisions
from tagship.text import clock
from tests.workbench import Workbench

START = '{"schema":1,"at":"'


def answer(at: str, **changed: Any) -> bytes:
    """A line of an audit file."""
    value = {
        "schema": 1, "at": at, "id": "r-1", "model": "churn", "version": "1.0.0", "seq": 1,
        "generation": 1, "sha256": "cd" * 32, "rows": 2, "ms": 0.7,
        "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [2], "data": [0.25, 0.5]}],
    }  # fmt: skip
    return json.dumps({**value, **changed}, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def file(shipped: Workbench) -> Path:
    """The audit of a server: 1.0.0 answered, then 1.1.0; both were deployed before."""
    path = shipped.repo.parent / "audit.jsonl"
    now = clock.fine(clock.now())
    path.write_bytes(
        answer("2026-11-20T12:00:00.500Z") + answer(now, id="r-2", seq=2, version="1.1.0")
    )
    return path


def audit(bench: Workbench, file: Path, **asked: Any) -> Decisions:
    return Workspace(bench.repo).audit(file, **asked)


def only(bench: Workbench, file: Path, **asked: Any) -> Decision:
    (decision,) = audit(bench, file, **asked).found
    return decision


def test_an_answer_leads_to_the_event_the_tag_and_the_commit(
    shipped: Workbench, file: Path
) -> None:
    decision = only(shipped, file, identity="r-2")
    assert (decision.answer.version, decision.answer.seq) == ("1.1.0", 2)
    origin = decision.origin
    assert origin.event is not None
    assert origin.tag is not None
    assert origin.commit is not None
    assert (origin.event.seq, origin.event.action) == (2, "deploy")
    assert origin.tag.name == "churn@v1.1.0"
    assert origin.commit.message == "Train another model"
    assert origin.commit.author == "Ada <ada@example.com>"
    assert origin.directory == shipped.current.resolve().name
    assert origin.notes == ()


def test_it_reads_as_a_chain(shipped: Workbench, file: Path) -> None:
    event = shipped.manager.get_deployment_history()[-1]
    result = shipped.cli("audit", str(file), "--id", "r-2")
    at = only(shipped, file, identity="r-2").answer.at
    said = result.out.splitlines()
    assert said[:5] == [
        f"churn 1.1.0 answered request r-2 at {at[:10]} {at[11:-1]} UTC",
        f"  request:    2 rows, sha256 {'cd' * 32}",
        "  answer:     output-0 FP64 [2]: [0.25, 0.5]",
        "  took:       0.7 ms, in generation 1",
        f"  made live:  {event.at[:10]} {event.at[11:-1]} UTC by {event.actor} on {event.host},"
        f" deploy {event.id}",
    ]
    assert said[5].startswith("  tag:        churn@v1.1.0 (")
    assert said[7].endswith(" Train another model")
    assert (result.code, result.err, len(said)) == (0, "", 9)


def test_another_version_live_at_that_time_is_noted(shipped: Workbench, file: Path) -> None:
    with file.open("ab") as more:  # a challenger, asked for by name
        more.write(answer(clock.fine(clock.now()), id="r-3"))
    (note,) = only(shipped, file, identity="r-3").origin.notes
    assert note.startswith("1.1.0 was live then, by the history: the request asked for 1.0.0")


def test_that_it_was_made_live_again_meanwhile_is_noted(shipped: Workbench, file: Path) -> None:
    shipped.manager.rollback_to_version()
    event = shipped.manager.get_deployment_history()[-1]
    with file.open("ab") as more:
        more.write(answer(clock.fine(clock.now() + timedelta(seconds=9)), id="r-3"))
    (note,) = only(shipped, file, identity="r-3").origin.notes
    assert note == f"event 3 had made it live again: rollback by {event.actor}"


def test_a_version_that_is_gone_is_known_by_its_tag(shipped: Workbench, file: Path) -> None:
    shipped.manager.cleanup_old_versions(keep=1)
    assert [name for name in shipped.store.directories() if "1.0.0" in name]  # the rollback target
    shutil.rmtree(shipped.folder / "versions", ignore_errors=True)
    origin = only(shipped, file, identity="r-2").origin
    assert origin.event is not None
    assert origin.tag is not None
    assert origin.commit is not None
    assert (origin.directory, origin.tag.name, origin.notes) == (None, "churn@v1.1.0", ())
    assert origin.commit.author == "Ada <ada@example.com>"
    shipped.git("tag", "--delete", "churn@v1.1.0")
    origin = only(shipped, file, identity="r-2").origin
    assert origin.event is not None
    assert (origin.tag, origin.commit) == (None, None)
    assert origin.notes == ("churn has no tag of 1.1.0 here",)


def test_a_tag_that_was_moved_since_is_noted(shipped: Workbench, file: Path) -> None:
    before = shipped.git("rev-parse", "churn@v1.1.0").strip()
    shutil.rmtree(shipped.current.resolve(), ignore_errors=True)
    shipped.git("tag", "--force", "--annotate", "-m", "another", "churn@v1.1.0", "HEAD~1")
    origin = only(shipped, file, identity="r-2").origin
    assert origin.notes == (f"churn@v1.1.0 was moved since: it was {before}",)


@pytest.mark.parametrize("left", ["[]", "nothing", '[{"seq": 2}]'])
def test_without_the_event_the_version_is_known(shipped: Workbench, file: Path, left: str) -> None:
    path = shipped.folder / history.FILE_NAME
    path.unlink()
    if left != "nothing":
        path.write_text(left)
    origin = only(shipped, file, identity="r-2").origin
    assert origin.event is None
    assert origin.tag is not None
    assert origin.tag.name == "churn@v1.1.0"
    (note,) = origin.notes
    assert note == "event 2 of 1.1.0 is not in the history here" or "is not a valid history" in note


def test_an_event_of_its_number_and_of_another_version_is_not_taken(
    shipped: Workbench, file: Path
) -> None:
    file.write_bytes(answer("2026-11-20T12:00:00.500Z", seq=2))
    origin = only(shipped, file, identity="r-1").origin
    assert origin.event is None
    assert origin.notes == ("event 2 of 1.0.0 is not in the history here",)


def test_an_unknown_model_is_told(bench: Workbench) -> None:
    path = bench.repo.parent / "audit.jsonl"
    path.write_bytes(answer("2026-11-20T12:00:00.500Z", model="wine"))
    origin = only(bench, path, identity="r-1").origin
    assert (origin.event, origin.tag) == (None, None)
    assert origin.notes == (
        "event 1 of 1.0.0 is not in the history here", "wine has no tag of 1.0.0 here",
    )  # fmt: skip


def test_without_a_workspace_the_answer_itself_is_shown(bench: Workbench, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = elsewhere / "audit.jsonl"
    path.write_bytes(answer("2026-11-20T12:00:00.500Z", id=None))
    result = bench.cli_in(elsewhere, "audit", str(path), "--at", "2026-11-20T12:00")
    assert result.out.startswith("churn 1.0.0 answered a request without an id at 2026-11-20")
    assert "  note:       " in result.out
    assert result.out.endswith("\n  note:       churn has no tag of 1.0.0 here\n")
    assert (result.code, result.err) == (0, "")


# ---- which answers


@pytest.mark.parametrize(
    ("at", "identities"),
    [
        ("2026-11-20", ["a", "b", "c", "d"]),
        ("2026-11-20T12", ["a", "b", "c"]),
        ("2026-11-20T12:00", ["a", "b"]),
        ("2026-11-20 12:00:00Z", ["a"]),
        ("2026-11-20T13:00:00+01:00", ["a"]),
    ],
)
def test_a_time_is_as_long_as_it_says(bench: Workbench, at: str, identities: list[str]) -> None:
    path = bench.repo.parent / "audit.jsonl"
    times = {"a": "20T12:00:00", "b": "20T12:00:59", "c": "20T12:59:00", "d": "20T23:59:59",
             "e": "21T00:00:00"}  # fmt: skip
    path.write_bytes(b"".join(answer(f"2026-11-{t}.000Z", id=name) for name, t in times.items()))
    assert [d.answer.id for d in audit(bench, path, at=at).found] == identities
    with pytest.raises(NotFound):
        audit(bench, path, at=at, model="wine")


def test_the_first_so_many_are_shown(bench: Workbench) -> None:
    path = bench.repo.parent / "audit.jsonl"
    path.write_bytes(b"".join(answer("2026-11-20T12:00:00.500Z", rows=n) for n in range(30)))
    assert [d.answer.rows for d in audit(bench, path, identity="r-1", limit=3).found] == [0, 1, 2]
    result = bench.cli("audit", str(path), "--id", "r-1", "--json")
    assert result.err == "note: there are more: --limit 200\n"
    printed = json.loads(result.out)
    assert (len(printed["found"]), printed["is_more"]) == (20, True)
    assert not audit(bench, path, identity="r-1", limit=30).is_more


def test_an_answer_that_is_not_there_is_an_error(bench: Workbench) -> None:
    path = bench.repo.parent / "audit.jsonl"
    path.write_bytes(answer("2026-11-20T12:00:00.500Z") + b'{"cut')
    result = bench.cli("audit", str(path), "--id", "other")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "error: the file has no such answer; these lines are damaged: 2\n"
        "hint: look in older files too: zcat FILE.2.gz | tagship audit - --id other\n"
    )
    result = bench.cli("audit", str(path), "--id", "r-1")
    assert result.code == 0
    assert result.err == "note: damaged, or not whole: line 2\n"
    assert bench.cli("audit", str(path)).code == 2
    with pytest.raises(InvalidName):
        audit(bench, path, at="yesterday")
    with pytest.raises(InvalidName):
        audit(bench, path, identity="r-1", limit=0)

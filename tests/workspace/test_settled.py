"""A pass of sync that finds nothing new is quick, and says what a full pass would say."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tagship
from tagship.disk import home, lock
from tagship.git import mirror
from tagship.git.bounded import Limit
from tagship.host import agent, history, process
from tagship.host.agent import Settled
from tagship.manager.agent import Agent
from tagship.progress import nobody
from tagship.text import clock
from tagship.workspace import settled, state, witness
from tagship.workspace.state import Followed, Reason, Why
from tests.hosts import Following
from tests.workbench import PATH, Result

STORIES, EVENTS = 1, 10  # 24 of 16 were run once
LIVE = "churn: in order, live 1.0.0\n"
# What a quick pass imports none of, after it has printed
HEAVY = (
    "asyncio", "dvc", "filelock", "git", "semver", "tagship.deploy", "tagship.dvc",
    "tagship.host.journal", "tagship.registry.refs", "tagship.signing", "tomllib", "yaml",
)  # fmt: skip


def look(host: Following, *models: str) -> tuple[Followed, ...] | None:
    """A quick pass; None where a full one is needed."""
    return settled.look(host.folder, models or None, nobody)


def kept(host: Following) -> Settled:
    """What the last pass that found all in order has kept."""
    found = agent.read(host.folder).settled
    assert found is not None
    return found


def keep(host: Following, **how: Any) -> None:
    """Something else was kept."""
    changed = replace(kept(host), **how)
    agent.write(host.folder, replace(agent.read(host.folder), settled=changed))


@pytest.fixture
def calm(host: Following, monkeypatch: pytest.MonkeyPatch) -> Following:
    """A host whose last pass found all in order, and kept that."""
    monkeypatch.setattr(witness, "TICK", 0)  # of this disk it is some milliseconds
    host.sync()
    host.passes(0, LIVE)
    assert look(host) is not None
    return host


def _release(host: Following, *models: str) -> None:
    """Declare and release other models, of the same bytes."""
    file = host.bench.repo / "dvc.yaml"
    more = "".join(f"  {model}:\n    path: {PATH}\n" for model in models)
    file.write_text(file.read_text().replace("artifacts:\n", f"artifacts:\n{more}"))
    host.bench.commit()
    for model in models:
        assert host.bench.cli("release", model, "--push").code == 0


def test_a_quick_pass_says_what_a_full_one_says_and_notes_that_it_fetched(calm: Following) -> None:
    full = calm.report("--no-smoke-test")
    before = calm.bench.state()
    calm.at(clock.now() + timedelta(minutes=5))
    rows = look(calm)
    assert rows == look(calm, "churn")
    assert rows == (Followed("churn", (), "1.0.0", Why.IN_ORDER, rows[0].reasons),) if rows else 0
    assert calm.report() == full
    assert agent.read(calm.folder).fetched_at == clock.stamp(clock.now())
    assert calm.bench.changes(before) == {"host/.tagship/agent.json"}


def test_what_was_passed_over_is_told_each_time(calm: Following) -> None:
    calm.serve("tag", "-a", "-m", "x", "churn@v1.1.0", "churn@v1.0.0^{commit}")
    calm.sync()
    assert calm.cli("rollback", "churn", "--yes").code == 0
    full = calm.report()
    rows = look(calm)
    assert rows is not None
    assert [each.what for each in rows[0].reasons] == [each["what"] for each in full["reasons"]]
    assert "1.1.0 is passed over: rolled back to 1.0.0" in rows[0].reasons[0].what
    assert calm.report() == full


def test_a_quick_pass_runs_git_once_and_imports_nothing_that_it_can_do_without(
    calm: Following,
) -> None:
    _release(calm, "other", "third")
    calm.follow(more="[follow.other]\n[follow.third]\n")
    calm.sync()
    calm.sync()  # the first deployed them
    code = (
        "import sys\nfrom tagship.cli.main import main\n"
        "started = []\n"
        "sys.addaudithook(lambda what, _: what == 'subprocess.Popen' and started.append(what))\n"
        "for words in (['-q'], ['churn'], ['--json', '--wait', '1']):\n"
        f"    sys.argv = ['tagship', '-C', {str(calm.folder)!r}, 'sync', *words]\n"
        "    try: main()\n    except SystemExit as stop: print(stop.code)\n"
        f"print(len(started), [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = calm.process(code=code)
    assert done.err == ""
    assert done.out.startswith(f"0\n{LIVE}0\n")  # nothing was said by the first
    assert done.out.endswith("\n0\n3 []\n")


@pytest.mark.parametrize("option", ["--retry", "--dry-run", "--smoke-test"])
def test_a_pass_that_is_asked_for_more_is_a_full_one(calm: Following, option: str) -> None:
    code = (
        "import sys\nfrom tagship.cli.main import main\n"
        f"sys.argv = ['tagship', '-C', {str(calm.folder)!r}, 'sync', {option!r}]\n"
        "try: main()\nexcept SystemExit as stop: print(stop.code)\n"
        "print('tagship.deploy.sync' in sys.modules)\n"
    )
    assert calm.process(code=code) == Result(0, LIVE + "0\nTrue\n", "")


def _rewrite(path: Path) -> None:
    """The same bytes in the same file, at the same time as far as a program can say."""
    status = path.stat()
    data = path.read_bytes()
    mode = status.st_mode
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _point_anew(link: Path) -> None:
    target = link.readlink()
    link.unlink()
    link.symlink_to(target)


def _in_version(host: Following, change: Callable[[Path], object]) -> None:
    """Change a folder of a version, which is read-only."""
    folder = (host.model / "current").resolve()
    folder.chmod(0o755)
    change(folder)
    folder.chmod(0o555)


def _tag(host: Following, name: str, *more: str) -> None:
    host.serve("tag", *more, "-a", "-m", name, name, "churn@v1.0.0^{commit}")


Change = Callable[[Following], object]
# What each of these leaves is in order again, after a full pass or two
CHANGES: dict[str, Change] = {
    "tagship.toml": lambda host: host.follow("^1.0"),
    "tagship.toml, the same bytes": lambda host: _rewrite(host.file),
    "its mode": lambda host: host.file.chmod(0o640),
    "another file in its place": lambda host: (
        shutil.copy2(host.file, host.top / "t"), (host.top / "t").rename(host.file)
    ),
    "host.toml appears": lambda host: _host_toml(""),
    "host.toml says something else": lambda host: _host_toml("require_signed = false\n"),
    "host.toml goes": lambda host: (_configured() / "host.toml").unlink(),
    "current, anew": lambda host: _point_anew(host.model / "current"),
    "current goes": lambda host: (host.model / "current").unlink(),
    "the history, the same bytes": lambda host: _rewrite(host.model / history.FILE_NAME),
    "a pin, by an event": lambda host: host.cli("pin", "churn@1.0.0"),
    "the model file, the same size": lambda host: _in_version(
        host, lambda folder: _rewrite(folder / "model.bin")
    ),
    "the model file goes": lambda host: _in_version(
        host, lambda folder: (folder / "model.bin").unlink()
    ),
    "metadata.json": lambda host: _in_version(
        host, lambda folder: _rewrite(folder / "metadata.json")
    ),
    "versions go": lambda host: shutil.rmtree(host.model / "versions"),
    "a tag on the server": lambda host: _tag(host, "churn#dev#1"),
    "a tag that vanishes there": lambda host: host.serve("tag", "-d", "churn#dev#1"),
    "a pack, the same bytes": lambda host: _rewrite(next(host.mirror.glob("objects/pack/*.pack"))),
    "a pack, cut short": lambda host: _cut(next(host.mirror.glob("objects/pack/*.pack"))),
    "the mirror's configuration": lambda host: _append(host.mirror / "config", "[core]\n"),
    "a ref of the mirror": lambda host: _append(host.mirror / "packed-refs", ""),
    "the mirror goes": lambda host: shutil.rmtree(host.mirror),
    "agent.json goes": lambda host: agent.place_in(host.folder).unlink(),
    "agent.json is damaged": lambda host: agent.place_in(host.folder).write_text("["),
    "another account kept it": lambda host: keep(host, account=os.geteuid() + 1),
    "it was kept of another folder": lambda host: keep(host, folder=str(host.top)),
    "it is an hour old": lambda host: keep(host, at=_shifted(-timedelta(hours=1))),
    "the clock was set back": lambda host: keep(host, at=_shifted(timedelta(minutes=1))),
}  # fmt: skip


def _shifted(by: timedelta) -> str:
    return clock.stamp(clock.now() + by)


def _configured() -> Path:
    folder = home.configuration()
    assert folder is not None
    return folder / "tagship"


def _host_toml(text: str) -> None:
    _configured().mkdir(parents=True, exist_ok=True)
    (_configured() / "host.toml").write_text(text)


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
    path.chmod(0o600)


def _cut(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, 40)


def test_each_change_of_what_a_pass_depends_on_makes_a_full_one(calm: Following) -> None:
    for what, change in CHANGES.items():
        change(calm)
        assert look(calm) is None, what
        results = [calm.sync()]
        while look(calm) is None:  # what a pass repairs is too young to be kept
            assert len(results) < 4, what
            results.append(calm.sync())
        assert (results[-1].code, results[-1].out) == (0, LIVE), what


# What is undone is as it was before
UNDONE: dict[str, tuple[Change, Change]] = {
    "others may write to the folder": (
        lambda host: host.folder.chmod(0o777), lambda host: host.folder.chmod(0o755)
    ),
    "others may write to a folder above": (
        lambda host: host.top.chmod(0o775), lambda host: host.top.chmod(0o755)
    ),
    "others may write what is kept": (
        lambda host: (host.folder / ".tagship").chmod(0o777),
        lambda host: (host.folder / ".tagship").chmod(0o755),
    ),
    "it is in a DVC repository": (
        lambda host: (host.top / ".dvc").mkdir(), lambda host: (host.top / ".dvc").rmdir()
    ),
    "it is in a Git repository": (
        lambda host: (host.top / ".git").mkdir(), lambda host: (host.top / ".git").rmdir()
    ),
    "an act is under way": (
        lambda host: host.store.intent_file.touch(), lambda host: host.store.intent_file.unlink()
    ),
    "another HOME": (
        lambda host: host.bench.monkeypatch.setenv("XDG_CONFIG_HOME", str(host.top)),
        lambda host: host.bench.monkeypatch.delenv("XDG_CONFIG_HOME"),
    ),
    "the server is gone": (
        lambda host: host.origin.rename(host.top / "aside"),
        lambda host: (host.top / "aside").rename(host.origin),
    ),
}  # fmt: skip


def test_each_change_that_is_undone_makes_a_full_pass_until_then(calm: Following) -> None:
    calm.top.chmod(0o755)
    assert calm.sync().code == 0
    calm.bench.monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    calm.sync()
    for what, (change, undo) in UNDONE.items():
        change(calm)
        assert look(calm) is None, what
        undo(calm)
        assert look(calm) is not None, what


def test_a_new_tagship_makes_a_full_pass(calm: Following) -> None:
    file = str(Path(tagship.__file__))
    assert kept(calm).entries[file] == settled.stamp(file)
    keep(calm, entries={**kept(calm).entries, file: "1:2:100644:0:0:3:4:5"})
    assert look(calm) is None


def test_one_pass_at_a_time_and_a_quick_one_is_named_too(calm: Following) -> None:
    file, owner = agent.lock_in(calm.folder), process.owner("sync")
    with lock.at_once(file, owner) as is_free:
        assert is_free
        assert look(calm) is None
        result = calm.sync()
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: sync is under way: {process.actor()}@")
    with lock.locked(file, owner), lock.at_once(file, owner) as is_free:
        assert not is_free
    assert not lock.card(file).exists()
    assert look(calm) is not None
    assert not lock.card(file).exists()


def test_a_model_that_is_not_followed_is_named(calm: Following) -> None:
    assert look(calm, "churn", "nope") is None
    assert "this host does not follow nope" in calm.sync("nope").err


def test_a_folder_that_is_no_host_has_no_quick_pass(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    assert settled.look(folder, None, nobody) is None
    folder.mkdir()
    assert settled.look(folder, None, nobody) is None
    assert list(folder.iterdir()) == []


def test_a_server_that_is_silent_is_waited_for_once(
    calm: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Limit(silence=0.3, total=60)
    monkeypatch.setattr(mirror.look, "__defaults__", (nobody, limit))
    monkeypatch.setattr(mirror.fetch, "__defaults__", (nobody, limit))
    helper = calm.top / "silent"
    helper.write_text("#!/bin/sh\nexec sleep 60\n")
    helper.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(helper))
    silent = "url.ssh://git@127.0.0.1/models.git.insteadOf"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", silent)
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"file://{calm.origin}")
    before = agent.read(calm.folder)
    rows = look(calm)
    assert rows is not None
    (row,) = rows
    what = f"nothing could be fetched: file://{calm.origin} did not answer within 0.3 seconds"
    fix = f"check its address: git ls-remote --heads file://{calm.origin}"
    assert row.reasons == (Reason(Why.IN_ORDER, "1.0.0 is live"), Reason(Why.UNKNOWN, what, fix))
    now = agent.read(calm.folder)
    assert (row.why, row.live, now.fetched_at) == (Why.UNKNOWN, "1.0.0", before.fetched_at)
    assert (now.failing_since, now.settled) != ("", None)
    assert Agent(calm.folder).sync(smoke_test=True) == rows  # a full pass


# --- what is kept


def test_what_was_changed_a_moment_ago_is_not_kept(host: Following) -> None:
    for _ in range(2):
        assert host.sync().code == 0
        assert agent.read(host.folder).settled is None
        assert look(host) is None


@pytest.mark.parametrize(
    ("changed", "is_kept"), [(-1, True), (0, False), (1, False), (10**9, False)]
)
def test_a_stamp_as_old_as_the_tick_tells_every_change(
    tmp_path: Path, changed: int, is_kept: bool
) -> None:
    agent.place_in(tmp_path).parent.mkdir()
    agent.write(tmp_path, agent.Agent())
    written = agent.place_in(tmp_path).stat().st_mtime_ns
    young = f"1:2:100644:0:0:3:4:{written - witness.TICK + changed}"
    before = Settled(str(tmp_path), "", 0, None, "", "", [], {}, {}, {"/nowhere": "2"}, {}, {})
    assert witness._is_old(before)
    assert witness._is_old(replace(before, entries={"/a": young})) is is_kept
    assert witness._is_old(replace(before, targets={"/a": young})) is is_kept


ROW = Followed("churn", (), "1.0.0", Why.IN_ORDER, (Reason(Why.IN_ORDER, "1.0.0 is live"),))


@pytest.mark.parametrize(
    ("row", "is_settled"),
    [
        (ROW, True),
        (replace(ROW, live=None), True),
        (replace(ROW, did=("1.0.0 is live",)), False),
        (replace(ROW, until=clock.now()), False),
        *(
            (replace(ROW, reasons=(*ROW.reasons, Reason(why, "so"))), why is Why.IN_ORDER)
            for why in Why
        ),
    ],
)
def test_only_what_is_in_order_is_kept(row: Followed, is_settled: bool) -> None:
    assert witness.is_settled([row]) is is_settled
    assert witness.is_settled([ROW, row]) is is_settled


def test_a_pass_over_some_of_the_models_keeps_nothing_and_one_over_all_is_for_each(
    calm: Following,
) -> None:
    _release(calm, "other")
    calm.follow(more="[follow.other]\n")
    calm.sync()
    calm.at(clock.now() + timedelta(minutes=1))
    before = kept(calm)
    assert calm.sync("churn").code == 0
    assert kept(calm) == before
    assert calm.sync().out == f"{LIVE}other: in order, live 1.0.0\n"
    assert [row.model for row in look(calm, "other") or ()] == ["other"]
    assert [row.model for row in look(calm) or ()] == ["churn", "other"]


def test_a_version_of_very_many_files_is_looked_at_each_time(
    calm: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "MOST", 3)
    _rewrite(calm.file)
    for _ in range(2):
        calm.passes(0, LIVE)
        assert look(calm) is None


# --- random stories: two hosts, of which one makes full passes alone


@dataclass(frozen=True)
class Other(Following):
    """Another host that follows the same repository; nothing is kept there."""

    @property
    def folder(self) -> Path:
        """Another one."""
        return self.top / "other"

    def rows(self) -> tuple[Followed, ...]:
        """A full pass."""
        found = agent.read(self.folder)
        agent.write(self.folder, replace(found, settled=None))
        return Agent(self.folder).sync()


class Stories:
    """Events at random, which both hosts have at the same time."""

    def __init__(self, host: Following, seed: int) -> None:
        self.dice = random.Random(seed)
        self.host, self.other = host, Other(host.bench)
        self.now, self.number, self.quick = clock.now(), 0, 0
        self.names: set[str] = set()
        self.other.follow()

    def on_both(self, change: Callable[[Following], object]) -> None:
        """Something happens on each of the hosts."""
        for each in (self.host, self.other):
            change(each)

    def happen(self) -> str:
        """The next event."""
        events: dict[str, Callable[[], object]] = {
            "release": self._release,
            "stage": lambda: self._publish(f"churn#prod#{self._count()}"),
            "withdraw": lambda: self._publish(f"churn@v1.{self.number}.0!"),
            "move": lambda: self._publish("churn@v1.0.0", "-f"),
            "vanish": lambda: self.host.serve("update-ref", "-d", "refs/tags/churn@v1.0.0"),
            "rollback": lambda: self._say("rollback", "churn", "--yes"),
            "hold": lambda: self._say("hold", "churn"),
            "resume": lambda: self._say("resume", "churn"),
            "older": lambda: self._say("deploy", "churn@1.0.0", "--yes"),
            "damage": lambda: self.on_both(_damage),
            "unlink": lambda: self.on_both(lambda each: (each.model / "current").unlink(True)),
            "edit": lambda: self._edit("latest", "^1.0", "#prod"),
            "window": lambda: self._edit("latest", more='[window]\nstart="03:00"\nlength="1m"\n'),
        }
        event = self.dice.choice((*events, "release", "time", "nothing"))
        if event in events:
            events[event]()
        self._pass_time(timedelta(hours=self.dice.choice((2, 200))) if event == "time" else None)
        return event

    def _count(self) -> int:
        self.number += 1
        return self.number

    def _release(self) -> None:
        self._publish(f"churn@v1.{self._count()}.0")

    def _publish(self, name: str, *more: str) -> None:
        if name in self.names and not more:
            return
        self.names.add(name)
        self.host.serve("tag", *more, "-a", "-m", name, name, "main")

    def _say(self, *words: str) -> None:
        self.on_both(lambda each: each.cli(*words))

    def _edit(self, *tracks: str, more: str = "") -> None:
        track = self.dice.choice(tracks)
        self.on_both(lambda each: each.follow(track, more=more))

    def _pass_time(self, by: timedelta | None) -> None:
        self.now += by or timedelta(minutes=1)
        self.host.at(self.now)

    def compare(self, story: list[str]) -> None:
        """Passes on both: they say and do the same."""
        for _ in range(3):
            rows = look(self.host)
            self.quick += rows is not None
            rows = rows or Agent(self.host.folder).sync()
            assert _alike(rows) == _alike(self.other.rows()), story
            self._pass_time(None)


def _alike(rows: Iterable[Followed]) -> str:
    """The rows, without the moments in the names of directories: hosts deploy one after another."""
    return re.sub(r"(v\d+\.\d+\.\d+)_\d{8}_\d{6}", r"\1", repr(tuple(rows)))


def _damage(host: Following) -> None:
    """Other bytes of the same size, where something is live, and the time that was there."""
    file = host.model / "current" / "model.bin"
    if file.exists():
        status = file.stat()
        file.chmod(0o644)
        file.write_bytes(b"X" * status.st_size)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("seed", range(STORIES))
def test_random_stories_come_to_the_same_with_full_passes_alone(
    host: Following, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(witness, "TICK", 0)
    host.sync()
    stories, story = Stories(host, seed), ["the beginning"]
    stories.other.rows()
    stories.compare(story)
    for _ in range(EVENTS):
        story.append(stories.happen())
        stories.compare(story)
    assert stories.quick
    assert host.actions() == stories.other.actions()


def test_the_words_for_what_could_not_be_fetched_are_those_of_a_full_pass() -> None:
    error = tagship.Unavailable("it is away")
    assert state.unfetched(error) == Reason(Why.UNKNOWN, "nothing could be fetched: it is away")


def test_agent_json_of_before_has_nothing_kept(calm: Following) -> None:
    file = agent.place_in(calm.folder)
    values = json.loads(file.read_text())
    del values["settled"]
    file.write_text(json.dumps(values))
    assert look(calm) is None
    calm.passes(0, LIVE)
    assert look(calm) is not None

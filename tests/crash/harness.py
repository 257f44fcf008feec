"""One point of a sweep: a command cut short at one call, what it leaves, and what mends it."""

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tagship.disk import atomic, files
from tagship.errors import TagshipError
from tagship.host import actions, history, journal, link, metadata
from tagship.host.history import Event
from tagship.host.link import LinkState
from tagship.host.store import Store
from tests.crash import cases, made, tracing
from tests.crash.cases import MEND, Case
from tests.workbench import MODEL, Result

REMOVING = ("unlink", "unlinkat", "rmdir", "chmod", "fchmod")  # what could not be removed stays
TRIES = 60  # a store's threads wake each other by writes that strace counts too
# A slow machine is told whom it waits for first; and a check that was cut short comes first.
PLAIN_ERROR = (
    r"(note: (waiting for|the check of|churn \S+ failed its check) .*\n)*error: (?!this should not)"
)
# What fails, and the command succeeds all the same: a pattern of case, call and error; the reason.
HARMLESS = (
    (".*: ioctl .*", "where a file cannot be cloned, it is copied"),
    (".*: mkdir .*", "the folder was there before"),
    (".*: flock .*/versions/.*",
     "a file system without such locks: who uses a version is looked up in /proc alone"),
    (r".*bundle: flock .*/?\.(x\.tar|unbundle)\.tmp \w+",
     "without a lock the next call does not sweep what is left there; nothing else asks for it"),
    (r"(export|unpack).*: flock out/\.image\.tmp .*",
     "without the lock, what a kill leaves could not be told from what is being written"),
    (r".*/\.tagship/\.lock\.json\.tmp.*", "the lock holds, and does not name its holder"),
    (r".*: fsync .*/\.tagship \w+", "that of the lock's card: as above"),
    (r".*/\.tagship/\.history\.sha256\.tmp.*", "the history is read whole where the mark lacks"),
    (".*: (chmod|unlink|openat) dvc-remote/.*", "DVC tries another way; the bytes are compared"),
    (".*: sendfile .*", "Python copies it another way, and the bytes are hashed or compared"),
    (".*: link .*objects/.*", "Git renames what it cannot link"),
    (".*: (unlink|rmdir) .*objects/.*tmp_.*", "Git leaves a temporary file; git gc removes it"),
    (r"deploy with a cleanup, act 2: \w+ repo/models/churn.*",
     "the cleanup comes last, with the lock taken again, and a note tells that it failed"),
    (r"undeploy.*: \w+ .*/\.intent\.json\.tmp.* ENOSPC", "it makes room, so it needs none"),
    (r".*sync.*: \w+ host/\.tagship(/\.?(sync|agent)\.json.*| \w+)",
     "the lock holds, and does not name its holder; what is waited for is tried sooner"),
    (r".*sync.*: \w+ host/churn( |/\.?deployment_history|/\.tagship/\.?intent|/\.tagship ).*ENOSPC",
     "the disk is cleaned up, which puts that in order in the same pass"),
    (r".*sync.*: flock host/\.tagship/sync .*", "no quick look then; the full pass takes the lock"),
    (r".*(sync|unbundle).*: openat .*objects/pack/(tmp_(pack|idx)_TMP|pack-\w+\.promisor) \w+",
     "Git makes it once more"),
    (r".*unbundle: openat .*objects/pack/pack-\w+\.promisor \w+", "Git needs it for a fetch alone"),
    (r".*sync.*: (unlink .*/lock\.json|flock .*/lock) \w+", "the lock goes with its process"),
    (r"recovery of an undeploy: \w+ .*/(trash|versions)(/.*| \w+)",
     "what cannot be removed stops no other command: a note and the history tell it"),
    (r"cleanup: (chmod|unlink|rmdir) .*/trash/v.*", "it is tried once more, and then told"),
    (r"recovery .*: \w+ .*/((trash|staging)(/.*| \w+)|\..*\.tmp \w+)",
     "what cannot be removed stops no other command: a note tells it"),
    (r"recovery of a check: \w+ .*/(\.?(intent|deployment_history)\.json|\.current\.tmp).* ENOSPC",
     "the next command is a cleanup: it makes room first, and goes back then"),
    (r"recovery .*: \w+ .*/(\.?deployment_history.json.*|intent\.json|churn) ENOSPC",
     "the next command is a cleanup: it makes room first, and recovers then"),
)  # fmt: skip


def harmless_of(words: str) -> str:
    """Why a command may succeed although a call failed; empty if it may not."""
    return next((why for what, why in HARMLESS if re.fullmatch(what, words)), "")


@dataclass(frozen=True)
class Point:
    """A call of a case's command, and what is done to it: ``KILL``, or the name of an error.

    ``TERM`` is no point of a sweep: the sample has some.

    Attributes:
        program: whose call it is, as for ``tracing.run``.
        step: the call's place among those of the program, from 0.
        act: how often the command took the lock until then, 1 where it did not yet.
    """

    case: str
    program: str
    step: int
    call: tracing.Call
    inject: str
    act: int = 1

    @property
    def in_words(self) -> str:
        """Case, act after the first, call and error, as ``HARMLESS`` has them."""
        act = f", act {self.act}" if self.act > 1 else ""
        return f"{self.case}{act}: {self.call.what} {self.inject}"

    @property
    def key(self) -> str:
        """What names it in every run."""
        return f"{self.case}|{self.program}|{self.step}|{self.call.what}|{self.inject}"


@dataclass(frozen=True)
class Found:
    """What came of a point.

    Attributes:
        code: the exit code of the command; negative for a signal.
        live: ``old`` or ``new``: what was live, or released, after it.
        mended: what the next command said that it mended.
        harmless: why the command may succeed although a call failed.
        problems: what should not be; empty where all is well.
    """

    key: str
    case: str
    call: str
    inject: str
    code: int
    live: str
    mended: list[str] = field(default_factory=list)
    harmless: str = ""
    problems: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Sweep:
    """The points of all cases.

    Attributes:
        templates: a folder with the workspace of each case, which ``cases.build`` made.
        scratch: where they are copied to.
    """

    templates: Path
    scratch: Path

    def points(self, case: Case) -> list[Point]:
        """Every call of the case's command, killed once, and failed once with each error."""
        return [
            Point(case.name, program, step, call, inject, act)
            for program in (tracing.PYTHON, *case.gits)
            for step, (act, call) in enumerate(
                acts(tracing.calls(self.whole(case, program).log, self.scratch))
            )
            for inject in (tracing.KILL, *tracing.ERRORS)
        ]

    def whole(self, case: Case, program: str = tracing.PYTHON) -> tracing.Done:
        """The case's command, to its end, in a new copy of its workspace."""
        self._copy(case)
        result = tracing.run(self.scratch, case.command, program, site=case.site, where=case.where)
        assert result.code == case.code, result
        return result

    def attempt(self, point: Point) -> Found:
        """Cut a command short, look, run the next command, look again."""
        case = cases.named(point.case)
        result, problems, missed = self.strike(case, point)
        if case.makes:
            return self._made(case, point, result, problems, missed)
        place = Place(case, self.scratch)
        problems += [f"afterwards: {text}" for text in place.damage()]
        if case.host:
            return self._followed_by_sync(case, point, result, place, problems, missed)
        live = place.live()
        harmless = ""
        if point.inject in (tracing.KILL, tracing.TERM):
            problems += _not_ended(point, result)
        elif result.code == 0:
            harmless = missed or harmless_of(point.in_words)
            problems += [] if harmless else ["the call failed, and the command did not"]
            problems += [] if live == "new" else ["exit code 0, and it is not done"]
        elif result.code != 1 or not re.match(PLAIN_ERROR, result.err):
            problems.append(f"no plain error: exit code {result.code}, {result.err}")
        litter = place.litter()
        version = place.version()
        # it changes nothing by itself; a cleanup would remove what a recovery forgot
        mend = f"rollback {MODEL} --to {version} --yes" if version else MEND
        expected = live
        if version == case.fails and version:  # a command that checks it, and goes back from it
            mend, expected = MEND, "new"
        first = cases.command(place.repo, mend, case.site)
        mended = re.findall(r"^note: (.*)$", first.err, re.MULTILINE)
        nothing = (
            None in (case.before, case.after) and f"{MODEL} was never deployed here" in first.err
        )
        if first.code != 0 and not (nothing and not litter):
            problems.append(f"the next command fails: {first.err}")
        if litter and not mended:
            problems.append(f"the next command mended without a word: {litter}")
        problems += [f"after the next command: {text}" for text in place.disorder()]
        if place.live() != expected:
            problems.append(f"the next command made what is live the {place.live()} version")
        problems += [f"tried again: {text}" for text in place.again()]
        return Found(
            point.key, point.case, point.call.name, point.inject, result.code, live, mended,
            harmless, problems,
        )  # fmt: skip

    def _made(
        self, case: Case, point: Point, result: tracing.Done, problems: list[str], missed: str
    ) -> Found:
        """The same of what makes a file or a folder: an error leaves nothing of it.

        What a kill leaves, the same command sweeps when it is tried again.
        """
        place, harmless = made.of(case, self.scratch), ""
        live = place.live()
        problems += [f"afterwards: {text}" for text in place.damage()]
        if point.inject in (tracing.KILL, tracing.TERM):
            problems += _not_ended(point, result)
            if point.inject == tracing.TERM and (litter := place.litter()):
                problems.append(f"SIGTERM left {litter}")
        elif result.code == 0:
            harmless = missed or harmless_of(point.in_words)
            problems += [] if harmless else ["the call failed, and the command did not"]
            problems += [] if live == "new" else ["exit code 0, and it is not done"]
        elif result.code != 1 or not made.PLAIN.search(result.err):
            problems.append(f"no plain error: exit code {result.code}, {result.err}")
        elif (litter := place.litter()) and point.call.name not in REMOVING:
            problems.append(f"an error left {litter}")
        problems += place.again()
        return Found(
            point.key, point.case, point.call.name, point.inject, result.code, live,
            harmless=harmless, problems=problems,
        )  # fmt: skip

    def _followed_by_sync(
        self, case: Case, point: Point, result: tracing.Done, place: "Place", problems: list[str],
        missed: str,
    ) -> Found:  # fmt: skip
        """The same of a pass of ``sync``: an hour later the next one mends what it left."""
        live, harmless = place.live(), ""
        if point.inject == tracing.TERM:
            problems += _not_ended(point, result)
        elif point.inject == tracing.KILL:
            problems += [] if result.code != case.code else ["the command was not killed"]
        elif result.code == case.code:
            harmless = missed or harmless_of(point.in_words)
            problems += [] if harmless else ["the call failed, and the command did not"]
            problems += [] if live == "new" else [f"exit code {case.code}, and it is not done"]
        elif result.code not in (1, 3, 4, 5) or "this should not" in result.err:
            problems.append(f"no plain error: exit code {result.code}, {result.err}")
        litter = place.litter()
        next_pass = place.later("sync")
        mended = re.findall(r"^(?:note: |  )(.*)$", next_pass.out + next_pass.err, re.MULTILINE)
        if next_pass.code != case.code:
            problems.append(f"the next pass: {next_pass.out}{next_pass.err}")
        if litter and not mended:
            problems.append(f"the next pass mended without a word: {litter}")
        problems += [f"after the next pass: {text}" for text in place.disorder()]
        if place.live() != "new":
            problems.append("the next pass does not do it")
        problems += [f"the pass after it: {text}" for text in place.settled()]
        return Found(
            point.key, point.case, point.call.name, point.inject, result.code, live, mended,
            harmless, problems,
        )  # fmt: skip

    def strike(self, case: Case, point: Point) -> tuple[tracing.Done, list[str], str]:
        """Run the command, with the injection at the right call.

        strace counts the calls of each process of a push for itself, so others may be struck at the
        same count, and the one that is meant never be reached. If the command went on all the same,
        that is said: what was struck only read, or each call is harmless by what it is.
        """
        call = point.call
        kind = "signal" if point.inject in (tracing.KILL, tracing.TERM) else "error"
        others: list[tuple[tracing.Done, list[str]]] = []
        for _ in range(TRIES):
            self._copy(case)
            inject = f"{call.name}:{kind}={point.inject}:when={call.when}"
            result = tracing.run(
                self.scratch, case.command, point.program, inject, site=case.site, where=case.where
            )
            struck_calls = tracing.struck(result.log, self.scratch)
            if point.inject == tracing.TERM:
                struck_calls = tracing.met(result.log, self.scratch, call)
            hit = [struck_call.what for struck_call in struck_calls]
            of_push = point.program != tracing.PYTHON and point.call.what in hit
            if hit == [point.call.what] or of_push:  # or in each of several processes
                return result, [], ""
            struck = re.search(r"= \?$|INJECTED", result.log, re.MULTILINE)
            if point.program != tracing.PYTHON and struck:
                if result.code != 0:
                    return result, [], ""
                others.append((result, hit))  # try to strike what is meant
            log = self.whole(case, point.program).log
            call = tracing.calls(log, self.scratch)[point.step]
        for other, hit in others:
            reasons = [harmless_of(f"{case.name}: {what} {point.inject}") for what in hit]
            if all(reasons):
                return other, [], "; ".join(reasons) or "a read in another process of the push"
        return result, [f"the call was not hit, but {hit}"], ""

    def _copy(self, case: Case) -> None:
        atomic.remove_tree(self.scratch)
        shutil.copytree(self.templates / case.name, self.scratch, symlinks=True)


def _not_ended(point: Point, result: tracing.Done) -> list[str]:
    """What is wrong with how a signal ended a command."""
    if point.inject == tracing.KILL:
        return [] if result.code != 0 else ["the command was not killed"]
    said = result.err.startswith("interrupted by SIGTERM\n")
    # no signal ends the first process of a /proc of its own
    if (
        result.code in (-signal.SIGTERM, 128 + signal.SIGTERM)
        and said
        and "Traceback" not in result.err
    ):
        return []
    return [f"not ended in order: exit code {result.code}, {result.err}"]


@dataclass(frozen=True)
class Place:
    """A workspace that a command was cut short in, and what must hold there."""

    case: Case
    folder: Path

    @property
    def repo(self) -> Path:
        """The Git repository."""
        return self.folder / "repo"

    @property
    def store(self) -> Store:
        """The model's folder."""
        within = () if self.case.host else ("models",)
        return Store(self.folder.joinpath(self.case.where, *within, MODEL))

    def events(self) -> tuple[Event, ...]:
        """The history."""
        return tuple(journal.read(self.store.folder / history.FILE_NAME))

    def live(self) -> str:
        """Whether the old or the new state holds: of the link, or of the tags."""
        if self.case.releases:
            return "new" if self.case.after in self._tags(self.repo) else "old"
        return "new" if self.version() == self.case.after else "old"

    def version(self) -> str | None:
        """The version that the link means."""
        directory = self.store.link().directory
        return link.version_of(directory) if directory else None

    def damage(self) -> Iterator[str]:
        """What must never be, at no moment: what is half, other bytes, a link that leads astray."""
        link, version = self.store.link(), self.version()
        if link.state not in (LinkState.OK, LinkState.NONE):
            yield f"current is {link.state}: {link.target}"
        events: tuple[Event, ...] = ()
        try:
            events = self.events()
            if [event.seq for event in events] != list(range(1, len(events) + 1)):
                yield "the history is not numbered on"
        except TagshipError as error:
            yield error.message
        allowed = [self.case.before] if self.case.releases else [self.case.before, self.case.after]
        if journal.intent(self.store) or history.ungated(events):  # it has no verdict yet
            allowed.append(self.case.fails)
        if version not in allowed:
            yield f"{version} is live"
        for directory in self.store.directories():
            yield from self._half(directory)
        yield from self._bad_objects()
        yield from self._bad_tags()

    def _half(self, directory: str) -> Iterator[str]:
        path = self.store.path(directory)
        try:
            described = metadata.read(path)
        except TagshipError as error:
            yield f"versions/: {error.message}"
            return
        for problem in files.verify(path, described.files, deep=True):
            yield f"versions/{directory}: {problem.path} {problem.what}"
        if (path / "model.bin").read_bytes() != cases.content(described.version):
            yield f"versions/{directory} has the bytes of another version"
        for file in path.iterdir():
            if stat.S_IMODE(file.stat().st_mode) != 0o444:
                yield f"versions/{directory}/{file.name} can be written"

    def _bad_objects(self) -> Iterator[str]:
        """In DVC's cache no object may be another than its name says: DVC would trust it."""
        for file in (self.repo / ".dvc" / "cache" / "files" / "md5").glob("??/*"):
            if not _is_object(file) and not atomic.is_temporary(file.name):
                yield f"DVC's cache has other bytes: {file.name}"

    def _bad_tags(self) -> Iterator[str]:
        """A tag is whole, its bytes are in the DVC remote, and Git's remote has no other one."""
        here, there = self._tags(self.repo), self._tags(self.folder / "origin.git")
        for version, (kind, message, _) in here.items():
            digest = hashlib.md5(cases.content(version)).hexdigest()
            stored = self.folder / "dvc-remote" / "files" / "md5" / digest[:2] / digest[2:]
            if kind != "tag" or f"Digest: md5:{digest}" not in message:
                yield f"the tag of {version} is not whole"
            if not stored.is_file() or stored.read_bytes() != cases.content(version):
                yield f"{version} is tagged, and its bytes are not in the DVC remote"
        for version, tag in there.items():
            if here.get(version) != tag:
                yield f"Git's remote has another tag of {version}"

    @staticmethod
    def _tags(repository: Path) -> dict[str, tuple[str, str, str]]:
        """Version to kind, message and id, of every tag."""
        form = "--format=%(refname:strip=2)%00%(objecttype)%00%(contents)%00%(objectname)%01"
        listed = subprocess.run(
            ["git", "for-each-ref", form, "refs/tags"], cwd=repository, capture_output=True,
            text=True, check=True,
        ).stdout  # fmt: skip
        rows = [row.strip().split("\0") for row in listed.split("\1") if row.strip()]
        return {
            name.rpartition("@v")[2]: (kind, message, identity)
            for name, kind, message, identity in rows
        }

    def litter(self) -> list[str]:
        """What a run that was cut short left, and the next one has to speak of."""
        private = self.store.private
        litter = [path for name in ("staging", "trash") for path in _inside(private / name)]
        litter += [
            path
            for folder in (self.store.folder, private)
            for path in _inside(folder)
            if atomic.is_temporary(path.name)
        ]
        litter += [
            self.store.path(name) for name in self.store.directories() if self._can_be_written(name)
        ]
        intent = journal.intent(self.store)
        if intent and intent.event.id not in {event.id for event in self.events()}:
            litter.append(private / "intent.json")  # else all is done but to remove it
        return sorted(path.relative_to(self.store.folder).as_posix() for path in litter)

    def _can_be_written(self, directory: str) -> bool:
        return stat.S_IMODE(self.store.path(directory).stat().st_mode) != 0o555

    def disorder(self) -> Iterator[str]:
        """What must not be once a command has mended what was left."""
        yield from self.damage()
        yield from self.litter()
        if journal.intent(self.store):
            yield "an intent is open"
        if not self.case.host and (self.store.private / "lock.json").exists():
            yield "somebody seems to hold the lock"
        link, events = self.store.link(), self.events()
        line = [
            event for event in events
            if event.switched or event.undeployed or event.action == actions.REJECT
        ]  # fmt: skip
        recorded = line[-1].directory if line and line[-1].action != actions.REJECT else None
        if link.directory != recorded:
            yield f"{link.directory} is live, and the history tells {recorded}"
        for directory in self.store.directories():
            if directory not in {event.directory for event in line}:
                yield f"versions/{directory} never went live"

    def again(self) -> Iterator[str]:
        """Try again, as a user would: now it is done, once, and nothing is left to mend."""
        result = cases.command(self.repo, self.case.again or self.case.command, self.case.site)
        if ".lock'" in result.err:
            result = self._without_lock_of_git(result)
        is_there = "carries churn" in result.err or "the bytes of churn are those of" in result.err
        fails = self.case.fails is not None and f"{self.case.fails} failed its check" in result.err
        if result.code != 0 and not fails and not (self.case.releases and is_there):
            yield result.err
        yield from self.disorder()
        if self.live() != "new":
            yield "it is not done"
        if self.case.releases:
            yield from self._released_otherwise()
            return
        if self.case.fails:
            yield from self._blocked(self.case.fails)
            return
        status = cases.command(self.repo, f"status {MODEL}")
        behind = re.search(
            "is released|was rolled back to|nothing is deployed", status.out
        )  # which is as it should be
        if status.code != 0 and not behind:
            yield f"status: {status.out}"

    def later(self, text: str) -> Result:
        """A command in the host's folder, when nothing is waited for any more."""
        (self.folder / "host" / ".tagship" / "agent.json").unlink(missing_ok=True)
        return cases.command(self.folder / "host", text, self.case.site)

    def settled(self) -> Iterator[str]:
        """Another pass changes nothing, and the mirror has what the server has."""
        before = self.events()
        result = self.later("sync")
        if result.code != self.case.code or self.events() != before:
            yield f"{result.out}{result.err}"
        mirror = self.folder / "host" / ".tagship" / "mirror.git"
        if self._tags(mirror) != self._tags(self.folder / "origin.git"):
            yield "the mirror has other tags than the server"
        if left := [p.name for p in mirror.rglob("*") if p.suffix == ".lock" or "tmp_" in p.name]:
            yield f"the mirror has {left}"
        failures = [each for each in before if each.action == actions.GATE]
        if [each.version for each in failures] != [self.case.fails] * bool(self.case.fails):
            yield f"verdicts: {failures}"

    def _blocked(self, version: str) -> Iterator[str]:
        """What failed its check was rejected once, and is not tried again by itself."""
        rejections = [event for event in self.events() if event.action == actions.REJECT]
        if [event.version for event in rejections] != [version]:
            yield f"rejected: {rejections}"
        before = self.events()
        result = cases.command(self.repo, self.case.again or self.case.command, self.case.site)
        refused = self.case.after is None and f"is blocked: {version} failed" in result.err
        if (result.code != 0 and not refused) or self.events() != before:
            yield f"it is tried again: {result.out}{result.err}"
        status = cases.command(self.repo, f"status {MODEL}")
        if status.code != 4 or f"{version} failed" not in status.out:
            yield f"status: {status.out}"

    def _without_lock_of_git(self, result: Result) -> Result:
        """What the error says, in place of a user: a Git that was killed left its lock."""
        for lock in re.findall(r"Unable to create '([^']+\.lock)'", result.err):
            Path(lock).unlink()
        return cases.command(self.repo, self.case.again or self.case.command)

    def _released_otherwise(self) -> Iterator[str]:
        here = self._tags(self.repo)
        if sorted(here) != ["1.0.0", "1.1.0"]:
            yield f"released: {sorted(here)}"
        there = self._tags(self.folder / "origin.git")
        if "--push" in self.case.command and there.get("1.1.0") != here.get("1.1.0"):
            yield "Git's remote lacks the tag"


def acts(calls: list[tracing.Call]) -> Iterator[tuple[int, tracing.Call]]:
    """Each call, and how often the model's lock was taken until then: taken, released, taken."""
    locked = 0
    for call in calls:
        yield locked // 2 + 1, call
        locked += call.what.startswith("flock ") and call.what.endswith("/.tagship/lock")


def _inside(folder: Path) -> list[Path]:
    return [Path(entry) for entry in os.scandir(folder)] if folder.is_dir() else []


def _is_object(file: Path) -> bool:
    return hashlib.md5(file.read_bytes()).hexdigest() == file.parent.name + file.name

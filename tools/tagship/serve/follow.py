"""The swap: what the link says becomes what answers, step by step, and every step may fail.

``Follow`` is the rule for one model: it is told the time and what others say, and does not wait.
The proposer (``proposer.py``) drives it.
"""

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from tagship.errors import TagshipError, explain
from tagship.host import history
from tagship.host import link as host_link
from tagship.host import live as host_live
from tagship.host.link import VERSIONS
from tagship.host.live import Live
from tagship.host.store import Store
from tagship.registry import refs
from tagship.serve import reasons, room
from tagship.serve.epoch import Cell
from tagship.serve.orders import (
    Amend,
    Drop,
    Failed,
    Name,
    Note,
    Order,
    Prepare,
    Ready,
    Switched,
)
from tagship.serve.slot import Refusal
from tagship.text import escape, words

logger = logging.getLogger("tagship.serve")
FIRST, LONGEST = 2.0, 60.0  # seconds until a version that failed is tried again: 2, 4, ... 60
# Seconds that members have to load a version: as a load with a framework takes long on busy cores,
# LOADS times the longest one so far, if that is more; UNKNOWN where none was seen yet.
PATIENCE, LOADS, UNKNOWN = 30.0, 10, 600.0
REMEMBERED = 32  # directories that failed


def back_off(tries: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(FIRST * 2 ** min(tries - 1, 10), LONGEST))


@dataclass(frozen=True)
class Look:
    """What a link says, read without opening anything else.

    Attributes:
        directory: the name of the version directory, or what the link says instead of one; empty
            where there is no link.
        identity: of the link itself: it is another one after each switch, also after one that goes
            back to a directory that was live before.
        history: of the file that says which event made it live.
    """

    directory: str
    identity: str = ""
    history: str = ""


class Target(Protocol):
    """What is followed: a link, or a version that is kept."""

    def look(self) -> Look:
        """What it is now. Takes a few microseconds."""

    def resolve(self) -> Live:
        """The version, with a lock on its directory.

        Raises:
            TagshipError: there is none, or it cannot be read.
        """


@dataclass(frozen=True)
class LiveLink:
    """The link ``current`` of a model."""

    store: Store
    model: str

    def look(self) -> Look:
        """The text of the link, and stamps of it and of the history."""
        try:
            status = os.lstat(self.store.current)
            text = os.readlink(self.store.current)
        except OSError as error:  # else a folder, or nobody may read it: resolve() says why
            nothing = "" if isinstance(error, FileNotFoundError) else "current"
            return self._unpacked() or Look(nothing)
        identity = f"{status.st_ino}:{status.st_ctime_ns}"
        return Look(text.removeprefix(f"{VERSIONS}/"), identity, _stamp(self.store))

    def _unpacked(self) -> Look | None:
        """The folder of all models, where that is a version: then there is no link."""
        directory = host_live.unpacked(self.store)
        return Look(directory.name) if directory is not None else None

    def resolve(self) -> Live:
        """What the link leads to."""
        return host_live.resolve(self.model, root=self.store.folder.parent)


@dataclass
class Kept:
    """A version that stays the same. Once it was resolved, it is the directory that it was then."""

    store: Store
    model: str
    version: str

    def look(self) -> Look:
        """Always the same."""
        return Look(self.version)

    def resolve(self) -> Live:
        """The version as it is kept here."""
        live = host_live.at(self.model, self.version, root=self.store.folder.parent)
        self.version = live.directory.name
        return live


def _stamp(store: Store) -> str:
    try:
        status = os.stat(store.folder / history.FILE_NAME)  # noqa: PTH116 - fast
    except OSError:
        return ""
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


@dataclass(frozen=True)
class _Bad:
    """A directory that failed: what the link was then, how often, and until when it rests."""

    identity: str
    tries: int
    until: float


@dataclass
class _Pending:
    """A generation that members are loading: all of them, or first one, as it may kill it."""

    number: int
    look: Look
    live: Live
    began: float
    first: int | None = None  # the others are asked once this one is ready; None asks all at once
    ready: dict[int, tuple[int, ...]] = field(default_factory=dict)  # processes, by member


@dataclass
class _Answering:
    """The generation that answers."""

    number: int
    look: Look
    live: Live
    processes: dict[int, tuple[int, ...]]  # that have its memory, by member


class Crowd(Protocol):
    """The members, as the rule sees them: by numbers that are never used again."""

    def tell(self, order: Order, member: int | None = None) -> None:
        """Tell one of them, or all."""

    def voters(self) -> Collection[int]:
        """Those that answer requests: all of them must be ready before anything changes."""

    def members(self) -> Collection[int]:
        """All of them, with those that are starting."""


class Follow:
    """The rule for one model, or one challenger.

    Args:
        name: of what is followed.
        target: where it is looked at.
        cell: says to all processes what answers. A store in it is the commit point.
        crowd: the members.
        root: the folder of all models.
    """

    def __init__(self, name: Name, target: Target, cell: Cell, crowd: Crowd, root: Path) -> None:
        self.name = name
        self._target, self._cell, self._crowd, self._root = target, cell, crowd, root
        self._number = 0  # the last that was given
        self._live: _Answering | None = None
        self._pending: _Pending | None = None
        self._bad: dict[str, _Bad] = {}
        self._refusal: Refusal | None = None
        self._longest = 0.0  # seconds that a load took
        self._retries: dict[int, tuple[int, float]] = {}  # members that lack what is live
        self._has_link = True  # when it was looked at last

    def step(self, now: float) -> None:
        """Look, and begin what is to be done.

        Args:
            now: seconds of a clock that never goes back.
        """
        self._retry(now)
        look = self._target.look()
        self._say(look)
        if self._pending is not None:
            self._go_on(self._pending, look, now)
        elif self._live is not None and look.directory == self._live.look.directory:
            self._settled(look, self._live)
        elif look.directory:
            self._propose(look, now)
        elif self._live is not None:
            self._note(Refusal("", "", "no version is live", 0))

    def _settled(self, look: Look, live: _Answering) -> None:
        """What should be live is live; perhaps once more, by another event."""
        self._note(None)
        if look == live.look:
            return
        live.look = look
        try:
            again = self._target.resolve()
        except (TagshipError, OSError):  # it is loaded, and goes on answering
            return
        is_later = again.directory == live.live.directory and again.seq != live.live.seq
        if is_later:
            live.live, before = again, live.live
            before.lock.close()
            self._crowd.tell(Amend(self.name, live.number, again.seq, again.since))

    def _say(self, look: Look) -> None:
        """Say it once in the log where there is no link."""
        had_link, self._has_link = self._has_link, bool(look.directory)
        if self._has_link or not had_link:
            return
        then = "it is ready once one is"
        if self._live is not None:
            then = f"{self._live.live.version} goes on answering"
        elif others := self._others():
            then += f" (there is no folder {self.name.model}; there are: {', '.join(others)})"
        logger.warning("%s: no version is live; %s", self.name, then)

    def _others(self) -> list[str]:
        """The models that were deployed here, where the name of this one may have an error."""
        folder = self._root / refs.folder_name(self.name.model)
        return [] if folder.is_dir() else host_live.nearest(folder)

    def _propose(self, look: Look, now: float) -> None:
        """Have all members load a version, unless it rests after a failure."""
        bad = self._bad.get(look.directory)
        if bad is not None and bad.identity == look.identity and now < bad.until:
            return
        try:
            live = self._target.resolve()
            self._check_room(live)
        except (TagshipError, OSError) as error:
            said = "; hint: ".join(filter(None, explain(error)))
            self._reject(look, self._version(look), reasons.of(error, self._root), now, said)
            return
        self._number += 1
        here = replace(look, directory=live.directory.name)  # the link may have moved since
        self._pending = _Pending(self._number, here, live, now, self._first())
        self._crowd.tell(self._prepare(self._number, live), self._pending.first)

    def _first(self) -> int | None:
        """The member that loads a version before the others; None where all may load it at once.

        A version that is loaded into the members themselves can end them: one, and not all.
        """
        voters = self._crowd.voters()
        is_alone = self._live is None or len(voters) < 2
        return None if is_alone or self._in_own_processes() else min(voters)

    def _in_own_processes(self) -> bool:
        """Whether what is live is in processes that members started for it."""
        return self._live is not None and any(self._live.processes.values())

    def _prepare(self, number: int, live: Live) -> Prepare:
        return Prepare(self.name, number, live.directory.name, live.seq, live.since)

    def _version(self, look: Look) -> str:
        """The version in the name of a directory."""
        is_directory = history.is_directory(look.directory)
        return host_link.version_of(look.directory) if is_directory else ""

    def _check_room(self, live: Live) -> None:
        """Check the memory before a second version is loaded beside the first."""
        if self._live is None:
            return
        now = sum(room.used(p) for each in self._live.processes.values() for p in each)
        size = live.metadata.size
        if now:  # in processes of their own: the new one needs about as much as the old one
            more = max(0, size - self._live.live.metadata.size) * len(self._crowd.members())
        else:
            more = size * len(self._crowd.members())
        room.check(f"{live.model} {live.version}", now + more)

    def _go_on(self, pending: _Pending, look: Look, now: float) -> None:
        """Give a generation up that should not be live any more, or whose members take too long."""
        limit = max(PATIENCE, LOADS * self._longest) if self._longest else UNKNOWN
        if look.directory != pending.look.directory:
            self._abandon(pending)
        elif now - pending.began > limit:
            silent = len(set(self._crowd.voters()) - set(pending.ready))
            who = words.count(silent, "worker") if silent else "no worker is there that"
            self._give_up(pending, f"{who} did not load it in {limit:g} s", now)

    def _abandon(self, pending: _Pending) -> None:
        """Let go of a generation, which is not bad."""
        self._pending = None
        self._crowd.tell(Drop(self.name, pending.number))
        pending.live.lock.close()

    def _give_up(self, pending: _Pending, reason: str, now: float, said: str = "") -> None:
        self._abandon(pending)
        self._reject(pending.look, pending.live.version, reason, now, said)

    def _reject(self, look: Look, version: str, reason: str, now: float, said: str = "") -> None:
        """Remember that a version failed, and let it rest. ``said``: more, for the log alone."""
        before = self._bad.pop(look.directory, None)
        tries = before.tries + 1 if before else 1
        wait = back_off(tries)
        self._bad[look.directory] = _Bad(look.identity, tries, now + wait)
        if len(self._bad) > REMEMBERED:
            del self._bad[next(iter(self._bad))]
        directory = look.directory if history.is_directory(look.directory) else ""
        logger.warning(
            "%s: %s is not taken: %s; tried again in %g s",
            self.name, escape.line(version or look.directory), escape.line(said or reason), wait,
        )  # fmt: skip
        self._note(Refusal(version, directory, reason, tries))

    def _note(self, refusal: Refusal | None) -> None:
        if refusal != self._refusal:
            self._refusal = refusal
            self._crowd.tell(Note(self.name, refusal))

    # What is heard of members.

    def ready(self, member: int, reply: Ready, now: float) -> None:
        """A member has a generation ready."""
        self._longest = max(self._longest, reply.seconds)
        if self._pending is not None and reply.number == self._pending.number:
            self._pending.ready[member] = reply.processes
            self._ask_others(self._pending, member)
            self._commit_if_all(self._pending, now)
        elif self._live is not None and reply.number == self._live.number:
            self._live.processes[member] = reply.processes
            self._retries.pop(member, None)
            self._crowd.tell(Switched(self.name, reply.number, reply.seconds), member)

    def _ask_others(self, pending: _Pending, member: int) -> None:
        """Have the others load a version that the first one could load."""
        if member != pending.first:
            return
        pending.first = None
        for other in set(self._crowd.members()) - {member}:
            self._crowd.tell(self._prepare(pending.number, pending.live), other)

    def failed(self, member: int, reply: Failed, now: float) -> None:
        """A member cannot take a generation: one is enough, where it is not live yet."""
        if self._pending is not None and reply.number == self._pending.number:
            self._give_up(self._pending, reply.reason, now, reply.said)
        elif self._live is not None and reply.number == self._live.number:
            tries = self._retries.get(member, (0, 0.0))[0] + 1
            self._retries[member] = (tries, now + back_off(tries))
            logger.warning(
                "%s: worker %d does not load %s: %s; tried again in %g s", self.name, member,
                self._live.live.version, escape.line(reply.said or reply.reason), back_off(tries),
            )  # fmt: skip

    def joined(self, member: int) -> None:
        """A member has come: it loads what is live, and what is about to be."""
        if self._live is not None:
            self._crowd.tell(self._prepare(self._live.number, self._live.live), member)
        if self._pending is not None and self._pending.first is None:
            self._crowd.tell(self._prepare(self._pending.number, self._pending.live), member)
        self._crowd.tell(Note(self.name, self._refusal), member)

    def left(self, member: int, now: float, *, voted: bool) -> None:
        """A member has ended. Where it was loading a version, that may be why: it counts as no."""
        self._retries.pop(member, None)
        if self._live is not None:
            self._live.processes.pop(member, None)
        if self._pending is None:
            return
        was_ready = self._pending.ready.pop(member, None) is not None
        if voted and not was_ready:
            self._give_up(self._pending, "a worker ended while it loaded it", now)
        else:
            self._commit_if_all(self._pending, now)

    def is_current(self, member: int) -> bool:
        """Whether a member has what is live."""
        return self._live is None or member in self._live.processes

    def lacks(self, member: int) -> bool:
        """Whether a member tried to load what is live, and could not."""
        return member in self._retries

    def _retry(self, now: float) -> None:
        """Have a member that could not load what is live try it again."""
        for member, (tries, when) in self._retries.items():
            if when <= now and self._live is not None:
                self._retries[member] = (tries, float("inf"))
                self._crowd.tell(self._prepare(self._live.number, self._live.live), member)

    def _commit_if_all(self, pending: _Pending, now: float) -> None:
        voters = self._crowd.voters()
        if not voters or not pending.ready.keys() >= set(voters):
            return
        if self._target.look().directory != pending.look.directory:  # someone went back meanwhile
            self._abandon(pending)
            return
        before, self._pending = self._live, None
        self._live = _Answering(pending.number, pending.look, pending.live, pending.ready)
        self._cell.write(pending.number)  # the commit point
        self._retries.clear()
        self._bad.pop(pending.look.directory, None)
        seconds = now - pending.began
        self._crowd.tell(Switched(self.name, pending.number, seconds))
        self._note(None)
        logger.info("%s: %s answers, after %.1f s", self.name, pending.live.version, seconds)
        if before is not None:
            before.live.lock.close()

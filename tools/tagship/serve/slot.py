"""A slot: what answers for one model in this process. One reference moves; nothing else changes."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tagship.errors import NotFound, Unavailable
from tagship.serve.epoch import Cell
from tagship.serve.generation import Facts, Generation, Runner
from tagship.serve.observer import Nobody, Observer

LONGEST = 100  # characters of a version that a client chose, in an error


class NotReady(Unavailable):
    """No version of the model is loaded."""


class NoVersion(NotFound):
    """The version that was asked for is not loaded here."""


@dataclass(frozen=True)
class Refusal:
    """A version that was to answer, and does not.

    Attributes:
        version, directory: empty where they are not known.
        reason: without a path of this machine, and without what a framework said.
        tries: how often it was tried.
    """

    version: str
    directory: str
    reason: str
    tries: int = 1


@dataclass(frozen=True)
class State:
    """How a slot is.

    Attributes:
        live: what answers; None where nothing does.
        others: the challengers that are loaded.
        refused: what was to be live last and is not; None where what is live is what should be.
        generations: how many are loaded: more than one and its challengers while an old one has
            requests, or a new one is about to be live.
        refused_challengers: those that are to answer and do not.
    """

    live: Facts | None
    others: tuple[Facts, ...]
    refused: Refusal | None
    generations: int
    refused_challengers: tuple[Refusal, ...] = ()


@dataclass(eq=False)
class Track:
    """The generations of what a slot follows: the live version, or a challenger.

    Its cell says which of them answers. ``settled`` is the one of which the observer was told:
    those below it are of the past, those above are not live yet, or were never.
    """

    cell: Cell
    generations: dict[int, Generation] = field(default_factory=dict)
    settled: int = 0
    facts: Facts | None = None
    refused: Refusal | None = None

    @property
    def answering(self) -> Generation | None:
        """What answers now."""
        return self.generations.get(self.cell.read())

    def take_idle(self) -> list[Generation]:
        """Take out what was replaced and has no more requests."""
        idle = [g for n, g in self.generations.items() if n < self.settled and not g.users]
        for generation in idle:
            del self.generations[generation.facts.number]
        return idle


class Slot:
    """What answers for one model, and what still does.

    Args:
        name: the model's.
        live: the cell of its live version.
        challengers: the cell of each version that answers beside it, by the version as it was
            asked for.
        observer: is told of swaps.
    """

    def __init__(
        self,
        name: str,
        live: Cell,
        challengers: Mapping[str, Cell] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.name = name
        self._observer: Observer = observer or Nobody()
        self._lock = threading.Lock()
        self._live = Track(live)
        self._challengers = {v: Track(cell) for v, cell in (challengers or {}).items()}

    def acquire(self, version: str | None = None) -> Generation:
        """What answers now, or a certain version; held until the end of its with-block.

        Raises:
            NotReady: nothing is loaded yet.
            NoVersion: that version is neither live nor a challenger, or was refused.
        """
        with self._lock:  # between the look at the cell and the count nothing may be freed
            generation = self._live.answering
            if version is not None and (generation is None or generation.facts.version != version):
                generation = self._challenger(version)
            if generation is None:
                raise NotReady(f"{self.name} is not ready: no version is loaded yet")
            generation.users += 1
            return generation

    def _challenger(self, version: str) -> Generation:
        """A challenger, by its version or as it was asked for."""
        for asked, track in self._challengers.items():
            generation = track.answering
            if generation is not None and version in (asked, generation.facts.version):
                return generation
        why = self._reason(version)
        raise NoVersion(f"version {version[:LONGEST]} of {self.name} is not loaded{why}")

    def _reason(self, version: str) -> str:
        """Why a challenger does not answer.

        Raises:
            NotReady: it is being loaded.
        """
        for refusal in self._refused_challengers():
            if refusal.version == version:
                return f": {refusal.reason}"
        track = self._challengers.get(version)
        if track is None:
            return ""
        if track.refused is None:
            raise NotReady(f"version {version} of {self.name} is not ready: it is not loaded yet")
        return f": {track.refused.reason}"

    def _refused_challengers(self) -> tuple[Refusal, ...]:
        """Those that should answer and do not, by their version, or as they were asked for."""
        tracks = self._challengers.items()
        pairs = [(asked, track.refused) for asked, track in tracks if track.refused is not None]
        return tuple(replace(refusal, version=refusal.version or v) for v, refusal in pairs)

    def _release(self, generation: Generation) -> None:
        """A request has ended: the last one of a version that was replaced frees it."""
        with self._lock:
            generation.users -= 1
            if generation.users:
                return
            idle = [old for track in self._tracks() for old in track.take_idle()]
        self._free(idle)

    @property
    def is_ready(self) -> bool:
        """Whether the live version can answer now."""
        with self._lock:
            generation = self._live.answering
        return generation is not None and generation.runner.is_alive

    def state(self) -> State:
        """How it is now."""
        with self._lock:
            live = self._live.answering
            beside = [track.answering for track in self._challengers.values()]
            count = sum(len(track.generations) for track in self._tracks())
            refused, refused_beside = self._live.refused, self._refused_challengers()
        others = tuple(generation.facts for generation in beside if generation)
        return State(live.facts if live else None, others, refused, count, refused_beside)

    def _tracks(self) -> Iterable[Track]:
        return (self._live, *self._challengers.values())

    def _track(self, challenger: str | None) -> Track:
        return self._live if challenger is None else self._challengers[challenger]

    # What a member does with it, when the proposer asks. ``challenger`` is the version as it was
    # asked for; None is the live one.

    def add(self, facts: Facts, runner: Runner, challenger: str | None = None) -> None:
        """Keep a version ready: it answers from the moment that the cell has its number."""
        generation = Generation(facts, runner, self._release)
        with self._lock:
            self._track(challenger).generations[facts.number] = generation

    def settle(self, number: int, seconds: float, challenger: str | None = None) -> None:
        """The cell has the number of a generation: tell of it, and free what it replaced."""
        track = self._track(challenger)
        with self._lock:
            generation = track.generations.get(number)
            if generation is None or number <= track.settled:
                return
            old, track.facts, track.settled = track.facts, generation.facts, number
            track.refused = None
            idle = track.take_idle()
        if challenger is None:
            self._observer.swapped(self.name, old, generation.facts, seconds)
        self._free(idle)

    def amend(self, number: int, seq: int, since: str, challenger: str | None = None) -> None:
        """The same directory was made live once more, by another event."""
        track = self._track(challenger)
        with self._lock:
            generation = track.generations.get(number)
            if generation is not None:
                generation.facts = replace(generation.facts, seq=seq, since=since)
                if number == track.settled:
                    track.facts = generation.facts

    def drop(self, number: int, challenger: str | None = None) -> None:
        """Free a generation that will not be live."""
        with self._lock:
            generation = self._track(challenger).generations.pop(number, None)
        if generation is not None:
            generation.runner.close()

    def note(self, refusal: Refusal | None, challenger: str | None = None) -> None:
        """Say that a version was not taken; None: what is live is what should be."""
        with self._lock:
            self._track(challenger).refused = refusal
        if refusal is not None:
            self._observer.refused(self.name, refusal.version or None, refusal.reason)

    def close(self) -> None:
        """Free all of it, at the end of the server."""
        with self._lock:
            generations = [g for track in self._tracks() for g in track.generations.values()]
            for track in self._tracks():
                track.generations.clear()
        for generation in generations:
            generation.runner.close()

    def _free(self, idle: Iterable[Generation]) -> None:
        for generation in idle:
            generation.runner.close()
            self._observer.freed(generation.facts)

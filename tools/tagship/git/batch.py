"""Objects, asked for one after the other: ``git cat-file``, as one process for all of them."""

import contextlib
import re
import shlex
import subprocess
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from tagship.disk import scratch
from tagship.errors import TagshipError, Unavailable
from tagship.git import clone, run
from tagship.git.run import CommandFailed, Repository

BLOCK = 1 << 20  # bytes copied at a time
AT_ONCE = 300  # questions, of 41 bytes: as many as any pipe holds while nobody reads
_HEAD = re.compile(rb"([0-9a-f]{40}) ([a-z]+) (\d+)\n")  # git-cat-file(1), "BATCH OUTPUT"

T = TypeVar("T")


class Header(NamedTuple):
    """What an object is; ``size`` is in bytes."""

    id: str
    kind: str
    size: int


class Batch:
    """A process that answers for one object after the other; started by the first question.

    Where it dies (a missing object of a partial clone ends it, as does a damaged pack, or the
    system), the question fails in Git's own words, and the next one starts another process.

    Args:
        repository: whose objects.
        option: ``--batch``, or ``--batch-check`` for headers alone.
    """

    def __init__(self, repository: Repository, option: str = "--batch") -> None:
        self._repository, self._option = repository, option
        self._process: Any = None
        self._errors: BinaryIO | None = None

    def header(self, name: str) -> Header | None:
        """What ``name`` is, an id or ``COMMIT:PATH`` on one line; None where Git has no such thing.

        Raises:
            Unavailable: Git's process ended.
        """
        self._ask([name])
        return self._header()

    def headers(self, names: Sequence[str]) -> Iterator[Header | None]:
        """The same of many, asked at once. All of them must be taken."""
        return self._each(names, self._header)

    def read(self, name: str) -> tuple[Header, bytes] | None:
        """An object and its content; as ``header`` else."""
        self._ask([name])
        return self._object()

    def objects(self, names: Sequence[str]) -> Iterator[tuple[Header, bytes] | None]:
        """The same of many, asked at once. All of them must be taken."""
        return self._each(names, self._object)

    def _each(self, names: Sequence[str], answer: Callable[[], T]) -> Iterator[T]:
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            self._ask(part)
            for _ in part:
                yield answer()

    def _ask(self, names: Sequence[str]) -> None:
        process = self._running()
        try:
            process.stdin.write("".join(f"{n}\n" for n in names).encode("utf-8", "surrogateescape"))
            process.stdin.flush()
        except BrokenPipeError:
            raise self._last_words() from None

    def _header(self) -> Header | None:
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._last_words()
        head = _HEAD.fullmatch(line)
        return Header(head[1].decode(), head[2].decode(), int(head[3])) if head else None

    def _object(self) -> tuple[Header, bytes] | None:
        header = self._header()
        if header is None:
            return None
        content = self._process.stdout.read(header.size + 1)
        if len(content) <= header.size:
            raise self._last_words()
        return header, content[:-1]

    def copy(self, name: str, target: BinaryIO) -> Header | None:
        """Write the content of an object, of any size, into a file; as ``header`` else."""
        header = self.header(name)
        if header is None:
            return None
        missing = header.size
        while missing and (block := self._process.stdout.read(min(missing, BLOCK))):
            target.write(block)
            missing -= len(block)
        if missing or not self._process.stdout.read(1):
            raise self._last_words()
        return header

    def _running(self) -> Any:
        """The process; without GitPython, whose import takes longer than most answers."""
        if self._process is None:
            self._errors = scratch.file()  # not a pipe: Git blocks while one is full
            self._process = run.started(
                self._repository, ("cat-file", self._option), subprocess.PIPE, self._errors
            )
            weakref.finalize(self, _end, self._process, self._errors)
        return self._process

    def _last_words(self) -> TagshipError:
        """The error of a process that closed its output."""
        process, self._process = self._process, None
        errors = cast("BinaryIO", self._errors)
        if (status := process.wait()) != 0:
            errors.seek(0)
            words = run.as_text(errors.read())
            return run.failure(CommandFailed(status, words, str(self._repository.top)))
        return Unavailable("git cat-file ended without an answer", "git fsck")


def _end(process: Any, errors: BinaryIO) -> None:
    """End a process that nobody asks any more."""
    with contextlib.suppress(OSError):  # it ended before it read all
        process.stdin.close()
    process.stdout.close()
    process.wait()
    errors.close()


def lacks(repository: Repository, what: str, name: str) -> TagshipError:
    """The error for an object that Git should have: it is missing, or its bytes are damaged.

    Args:
        repository: the clone.
        what: the object, for a person.
        name: the object, for Git.
    """
    damaged = damage(repository, what, name)
    return damaged or Unavailable(f"Git lacks {what}", clone.fetch_objects(repository))


def damage(repository: Repository, what: str, name: str) -> TagshipError | None:
    """The error for an object whose bytes are damaged, or that a partial clone cannot fetch.

    Args:
        repository: the clone.
        what: the object, for a person.
        name: the object, for Git.

    Returns:
        None where it is just missing.
    """
    try:
        run.ask_fast(repository, "cat-file", "-t", name)
    except Unavailable as error:
        if "promisor" in error.message:
            return error
        if re.search("inflate|unpack|corrupt|does not match index", error.message):
            words = error.message.removeprefix("git: error: ")
            hint = "clone it again; git fsck shows what else is damaged"
            if repository.ours:
                hint = f"fetch it again: rm -r {shlex.quote(str(repository.top))} && tagship fetch"
            return Unavailable(f"Git cannot read {what}: {words}", hint)
    return None

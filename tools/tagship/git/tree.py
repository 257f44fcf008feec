"""Files in a commit: their paths, modes and bytes."""

import contextlib
import posixpath
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

from tagship.disk import files
from tagship.errors import Unavailable
from tagship.git import run
from tagship.git.run import NO_HOOKS, QUIET, Repository
from tagship.text.recent import Recent

LINK, FOLDER, SUBMODULE = "120000", "040000", "160000"  # modes, as ls-tree has them
# An entry of a tree object (git-mktree(1) writes them): mode, name, and the 20 bytes of the id.
_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
# Bytes of folders and of files that are kept: commits share most of them.
MOST_FOLDERS, MOST_CONTENT = 4 << 20, 8 << 20
AT_ONCE = 300  # questions, of 41 bytes: as many as any pipe holds while nobody reads
LARGEST = 1 << 20  # bytes of a file that is worth keeping


@dataclass(frozen=True)
class Entry:
    """A file in a commit's tree; ``mode`` is Git's (100644, 100755, 120000, 160000)."""

    path: str
    mode: str
    blob: str
    size: int


class Named(NamedTuple):
    """A path in a commit, and what has it: Git's mode, and the id of the object."""

    path: str
    mode: str
    id: str


class _Batch:
    """A ``git cat-file`` process that is asked for many objects at once.

    Args:
        repository: where the objects are.
        option: ``--batch``, or ``--batch-check`` for the sizes alone.
    """

    def __init__(self, repository: Repository, option: str) -> None:
        self._repository, self._option = repository, option

    @cached_property
    def _process(self) -> Any:
        command = ["git", *QUIET, "-c", NO_HOOKS, "cat-file", self._option]
        return run.execute(self._repository.git, command, as_process=True, istream=PIPE)

    def ask(self, ids: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """The size of each object, and its content with ``--batch``.

        Raises:
            ValueError: one of them is missing, or Git ended.
        """
        for start in range(0, len(ids), AT_ONCE):
            yield from self._ask(ids[start : start + AT_ONCE])

    def _ask(self, ids: Sequence[str]) -> list[tuple[int, bytes]]:
        try:
            self._process.stdin.write("".join(f"{name}\n" for name in ids).encode())
            self._process.stdin.flush()
            return [self._answer() for _ in ids]
        except (BrokenPipeError, ValueError):
            del self._process  # the other answers were not read: the next question has a new one
            raise ValueError("Git lacks an object, or ended") from None

    def _answer(self) -> tuple[int, bytes]:
        """A line ``<id> <type> <size>``; then the bytes and a line end."""
        _, _, size = self._process.stdout.readline().split()
        if self._option != "--batch":
            return int(size), b""
        return int(size), self._process.stdout.read(int(size) + 1)[:-1]


class Blobs:
    """Reads files of commits, all through one ``git cat-file --batch`` process.

    A folder or a small file that many commits share is read once: an id of Git stands for the same
    bytes forever.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository, self._git = repository, repository.git
        self._roots: dict[str, str] = {}  # the id of the top folder, by commit
        self._folders: Recent[str, dict[str, Named]] = Recent(MOST_FOLDERS)
        self._contents: Recent[str, bytes | None] = Recent(MOST_CONTENT)
        self._endings: Recent[tuple[str, str, tuple[str, ...]], tuple[Named, ...]] = Recent(
            MOST_FOLDERS
        )

    def read(self, commit_id: str, path: str) -> bytes | None:
        """The content of a file at a commit; None if the commit has no such file."""
        if not _is_plain(path):
            return self._ask(commit_id, path)
        try:
            named = self._find(commit_id, path)
        except ValueError:  # Git may find a file where not every folder on the way can be read
            return self._ask(commit_id, path)
        if named is None or named.mode in (FOLDER, SUBMODULE):
            return None
        return self.content(named.id)

    def _ask(self, commit_id: str, path: str) -> bytes | None:
        """The same, by Git's own walk through the folders."""
        # a question is one line; and a path outside of the repository would end Git's process
        if "\n" in path or not _is_inside(path):
            return None
        try:
            _, kind, _, data = self._git.get_object_data(f"{commit_id}:{path}")
        except ValueError:
            return None
        return data if kind in ("blob", b"blob") else None

    def content(self, blob: str) -> bytes | None:
        """The content of a blob by its id, or None where Git lacks it."""

        def read() -> tuple[bytes | None, int]:
            data = self._read_blob(blob)
            # neither a large one is kept, nor that it is missing: a fetch may bring it
            if data is None or len(data) > LARGEST:
                return data, MOST_CONTENT + 1
            return data, len(data)

        return self._contents.get(blob, read)

    def _read_blob(self, blob: str) -> bytes | None:
        try:
            return bytes(self._git.get_object_data(blob)[3])
        except ValueError:
            return None

    def entries(self, commit_id: str, path: str) -> list[Entry]:
        """Every file at or below ``path`` in a commit.

        Raises:
            Unavailable: Git cannot read the commit's files.
        """
        if _is_plain(path):
            with contextlib.suppress(ValueError):  # ls-tree below gives the error
                named = self._find(commit_id, path)
                return self._with_sizes(list(self._files(named))) if named else []
        return entries(self._repository, commit_id, path)

    def _with_sizes(self, files: list[Named]) -> list[Entry]:
        """The files with their sizes; ValueError where Git lacks one."""
        sizes = self._batch_check.ask([file.id for file in files if file.mode != SUBMODULE])
        return [
            Entry(file.path, file.mode, file.id, 0 if file.mode == SUBMODULE else next(sizes)[0])
            for file in files
        ]

    @cached_property
    def _batch_check(self) -> _Batch:
        return _Batch(self._repository, "--batch-check")

    @cached_property
    def _batch(self) -> _Batch:
        return _Batch(self._repository, "--batch")

    def small(self, ids: list[str]) -> list[bytes]:
        """The contents of small blobs.

        Raises:
            Unavailable: Git lacks one of them.
        """
        try:
            return [data for _, data in self._batch.ask(ids)]
        except ValueError:
            raise Unavailable(f"Git cannot read all of {len(ids)} files", "git fsck") from None

    def ending(self, commit_id: str, *endings: str) -> tuple[Named, ...]:
        """Every file of a commit whose name ends so, in Git's order.

        Raises:
            Unavailable: Git cannot read the commit's files.
        """
        try:
            return self._ending(self._root(commit_id), "", endings)
        except ValueError:
            files = entries(self._repository, commit_id, ".")
            return tuple(
                Named(file.path, file.mode, file.blob)
                for file in files
                if file.path.endswith(endings)
            )

    def _ending(self, folder: str, path: str, endings: tuple[str, ...]) -> tuple[Named, ...]:
        def find() -> tuple[tuple[Named, ...], int]:
            chosen: list[Named] = []
            for named in self._below(folder, path):
                if named.mode == FOLDER:
                    chosen += self._ending(named.id, named.path, endings)
                elif named.path.endswith(endings):
                    chosen.append(named)
            return tuple(chosen), 100 * (1 + len(chosen))

        return self._endings.get((folder, path, endings), find)

    def _find(self, commit_id: str, path: str) -> Named | None:
        """What a commit has at a path; None if there is nothing.

        Raises:
            ValueError: Git lacks an object on the way, or it is not of Git's form.
        """
        object_id, mode = self._root(commit_id), FOLDER
        for name in path.split("/"):
            named = self._folder(object_id).get(name) if mode == FOLDER else None
            if named is None:
                return None
            object_id, mode = named.id, named.mode
        return Named(path, mode, object_id)

    def _files(self, named: Named) -> Iterator[Named]:
        """A file itself; of a folder every file below it."""
        if named.mode != FOLDER:
            yield named
            return
        for inner in self._below(named.id, named.path):
            yield from self._files(inner)

    def _below(self, folder: str, path: str) -> Iterator[Named]:
        """What is in a folder, with the path from the top."""
        above = f"{path}/" if path else ""
        for name, named in self._folder(folder).items():
            yield Named(above + name, named.mode, named.id)

    def has(self, commit_id: str) -> bool:
        """Whether this clone has a commit, and the list of its files."""
        try:
            return bool(self._root(commit_id))
        except ValueError:
            return False

    def _root(self, commit_id: str) -> str:
        """The id of a commit's top folder; ValueError where Git lacks it."""
        if commit_id not in self._roots:
            object_id, _, _, data = self._git.get_object_data(f"{commit_id}^{{tree}}")
            self._roots[commit_id] = object_id
            self._folders.get(object_id, lambda: (_parse_folder(data), len(data)))
        return self._roots[commit_id]

    def _folder(self, object_id: str) -> dict[str, Named]:
        """The entries of a folder by name; ValueError where Git lacks it, or it is none."""

        def read() -> tuple[dict[str, Named], int]:
            _, kind, _, data = self._git.get_object_data(object_id)
            if kind not in ("tree", b"tree"):
                raise ValueError(f"{object_id} is a {kind!r}")
            return _parse_folder(data), len(data)

        return self._folders.get(object_id, read)

    def write(self, blob: str, target: Path) -> None:
        """Write the content of a blob to a new file, as it is stored: without filters.

        Raises:
            Unavailable: it is missing, or Git cannot read it.
        """
        with files.create(target) as file:
            try:
                *_, stream = self._git.stream_object_data(blob)
            except (ValueError, BrokenPipeError):
                raise Unavailable(f"Git cannot read the blob {blob[:10]}", "git fsck") from None
            shutil.copyfileobj(stream, file, files.BLOCK)


def _parse_folder(data: bytes) -> dict[str, Named]:
    """The entries of a tree object.

    Raises:
        ValueError: it is not of Git's form.
    """
    folder: dict[str, Named] = {}
    end = 0
    for entry in _ENTRY.finditer(data):
        if entry.start() != end:
            break
        end = entry.end()
        mode, raw, object_id = entry.groups()
        name = raw.decode(errors="surrogateescape")
        folder[name] = Named(name, mode.decode().zfill(6), object_id.hex())
    if end != len(data):
        raise ValueError("not the form of a folder")
    return folder


def _is_plain(path: str) -> bool:
    """Whether the words between the slashes are names: Git reads ``.`` and ``..`` otherwise."""
    return "\0" not in path and not {"", ".", ".."}.intersection(path.split("/"))


def _is_inside(path: str) -> bool:
    """Whether a path stays in the repository: it is not absolute, and no ``..`` leaves it."""
    return "\0" not in path and posixpath.normpath(path).split("/")[0] not in ("", "..")


def entries(repository: Repository, commit_id: str, path: str) -> list[Entry]:
    """Every file at or below ``path`` in a commit."""
    if not _is_inside(path):
        return []
    answer = run.ask(
        repository,
        "--literal-pathspecs",
        "ls-tree",
        "-r",
        "-z",
        "-l",
        "--full-tree",
        commit_id,
        "--",
        path,
    )
    return [_parse_entry(line) for line in answer.split("\0")[:-1]]


def _parse_entry(line: str) -> Entry:
    facts, _, path = line.partition("\t")
    mode, _, blob, size = facts.split()
    return Entry(path, mode, blob, 0 if size == "-" else int(size))

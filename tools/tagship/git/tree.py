"""Files in a commit: their paths, modes and bytes."""

import contextlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tagship.disk import files
from tagship.errors import TagshipError, Unavailable
from tagship.git import batch, clone, run
from tagship.git.batch import Batch, Header
from tagship.git.run import Repository
from tagship.text.recent import Recent

LINK, FOLDER, SUBMODULE = "120000", "040000", "160000"  # modes, as ls-tree has them
# An entry of a tree object (git-mktree(1) writes them): mode, name, and the 20 bytes of the id.
_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
# Bytes of folders and of files that are kept: commits share most of them.
MOST_FOLDERS, MOST_CONTENT = 4 << 20, 8 << 20
LARGEST = 1 << 20  # bytes of a file that is worth keeping


@dataclass(frozen=True)
class Entry:
    """A file in a commit's tree; ``mode`` is Git's (100644, 100755, 120000, 160000)."""

    path: str
    mode: str
    blob: str
    size: int


class MissingBlobs(Unavailable):
    """Commits have these blobs, and they are not here: this clone was made without them.

    Args:
        message: as of every error.
        hint: the same.
        ids: of the blobs, as far as they are known.
    """

    def __init__(self, message: str, hint: str, ids: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.ids = ids


class Named(NamedTuple):
    """A path in a commit, and what has it: Git's mode, and the id of the object."""

    path: str
    mode: str
    id: str


class Blobs:
    """Reads files of commits, all through one ``git cat-file --batch`` process.

    A folder or a small file that many commits share is read once: an id of Git stands for the same
    bytes forever.

    Every method raises Unavailable where Git's process ended, or an object is missing that the
    commit has: MissingBlobs, where it is blobs alone.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects, self._headers = Batch(repository), Batch(repository, "--batch-check")
        self._roots: dict[str, str] = {}  # the id of the top folder, by commit
        self._folders: Recent[str, dict[str, Named]] = Recent(MOST_FOLDERS)
        self._contents: Recent[str, bytes | None] = Recent(MOST_CONTENT)
        self._endings: Recent[tuple[str, str, tuple[str, ...]], tuple[Named, ...]] = Recent(
            MOST_FOLDERS
        )
        self._used: set[str] | None = None  # what is read, while somebody wants to know

    @contextlib.contextmanager
    def recorded(self) -> Iterator[set[str]]:
        """The ids of the folders and files that are asked for in this block, as it goes on."""
        self._used = used = set[str]()
        try:
            yield used
        finally:
            self._used = None

    def _note(self, *ids: str) -> None:
        if self._used is not None:
            self._used.update(ids)

    def headers(self, ids: Sequence[str]) -> list[Header]:
        """What some objects are, of any kind.

        Raises:
            Unavailable: one is not here.
        """
        headers = list(self._headers.headers(ids))
        for object_id, header in zip(ids, headers, strict=True):
            if header is None:
                raise self._lacks(f"the object {object_id[:10]}", object_id)
        return [header for header in headers if header]

    def objects(self, ids: Sequence[str]) -> Iterator[tuple[Header, bytes]]:
        """Some objects of any kind, as they are stored.

        Raises:
            Unavailable: one is not here.
        """
        for object_id in ids:
            answer = self._objects.read(object_id)
            if answer is None:
                raise self._lacks(f"the object {object_id[:10]}", object_id)
            yield answer

    def read(self, commit_id: str, path: str) -> bytes | None:
        """The content of a file at a commit; None if the commit has no such file."""
        try:
            named = self._find(commit_id, path) if _is_plain(path) else None
        except ValueError:  # Git may find a file where a folder on the way is not of its form
            answer = self._objects.read(f"{commit_id}:{path}")
            return answer[1] if answer and answer[0].kind == "blob" else None
        if named is None or named.mode in (FOLDER, SUBMODULE):
            return None
        data = self._content(named.id)
        if data is None:
            raise self._missing(f"{path} of commit {commit_id[:10]}", [named.id])
        return data

    def absent(self, ids: Iterable[str]) -> list[str]:
        """Those of some blobs that are not here, all from one question."""
        questions = list(dict.fromkeys(ids))
        answers = list(self._headers.headers(questions))
        return [blob for blob, header in zip(questions, answers, strict=True) if header is None]

    def content(self, blob: str) -> bytes | None:
        """The content of a blob by its id, or None where Git lacks it.

        Raises:
            MissingBlobs: Git lacks it in a mirror of ours, which can bring it.
        """
        data = self._content(blob)
        if data is None and self._repository.ours:
            raise self._missing(f"the blob {blob[:10]}", [blob])
        return data

    def _content(self, blob: str) -> bytes | None:
        self._note(blob)

        def read() -> tuple[bytes | None, int]:
            answer = self._objects.read(blob)
            data = answer[1] if answer else None
            # neither a large one is kept, nor that it is missing: a fetch may bring it
            if data is None or len(data) > LARGEST:
                return data, MOST_CONTENT + 1
            return data, len(data)

        return self._contents.get(blob, read)

    def entries(self, commit_id: str, path: str) -> list[Entry]:
        """Every file at or below ``path`` in a commit."""
        if _is_plain(path):
            with contextlib.suppress(ValueError):  # ls-tree below gives the error
                named = self._find(commit_id, path)
                return self._with_sizes(list(self._files(named))) if named else []
        return entries(self._repository, commit_id, path)

    def _with_sizes(self, files: list[Named]) -> list[Entry]:
        blobs = [file.id for file in files if file.mode != SUBMODULE]
        self._note(*blobs)
        headers = dict(zip(blobs, list(self._headers.headers(blobs)), strict=True))
        missing = [blob for blob, header in headers.items() if header is None]
        if missing:
            path = next(file.path for file in files if file.id == missing[0])
            raise self._missing(f"{path}, the blob {missing[0][:10]}", missing)
        sizes = {blob: header.size for blob, header in headers.items() if header}
        return [Entry(file.path, file.mode, file.id, sizes.get(file.id, 0)) for file in files]

    def _lacks(self, what: str, name: str) -> TagshipError:
        return batch.lacks(self._repository, what, name)

    def _missing(self, what: str, ids: list[str]) -> TagshipError:
        """The error for blobs that are not here, of which the first is in words."""
        damaged = batch.damage(self._repository, what, ids[0])
        if damaged:
            return damaged
        more = f", and {len(ids) - 1} more" if len(ids) > 1 else ""
        hint = clone.fetch_objects(self._repository)
        return MissingBlobs(f"Git lacks {what}{more}", hint, tuple(ids))

    def small(self, ids: list[str]) -> list[bytes]:
        """The contents of small blobs."""
        self._note(*ids)
        answers = list(self._objects.objects(ids))
        missing = [blob for blob, answer in zip(ids, answers, strict=True) if answer is None]
        if missing:
            raise self._missing(f"the blob {missing[0][:10]}", missing)
        return [answer[1] for answer in answers if answer]

    def ending(self, commit_id: str, *endings: str) -> tuple[Named, ...]:
        """Every file of a commit whose name ends so, in Git's order."""
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

        if self._used is not None:  # each folder is asked for
            return find()[0]
        return self._endings.get((folder, path, endings), find)

    def _find(self, commit_id: str, path: str) -> Named | None:
        """What a commit has at a path; None if there is nothing.

        Raises:
            ValueError: a folder on the way is not of Git's form.
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
        except Unavailable:
            return False

    def _root(self, commit_id: str) -> str:
        """The id of the top folder of a commit."""
        if commit_id not in self._roots:
            name = f"{commit_id}^{{tree}}"
            answer = self._objects.read(name)
            if answer is None:
                raise self._lacks(f"the files of commit {commit_id[:10]}", name)
            header, data = answer
            self._roots[commit_id] = header.id
            with contextlib.suppress(ValueError):  # it is read again, and tells
                self._folders.get(header.id, lambda: (_parse_folder(data), len(data)))
        self._note(self._roots[commit_id])
        return self._roots[commit_id]

    def _folder(self, object_id: str) -> dict[str, Named]:
        """The entries of a folder by name; ValueError where it is not of Git's form."""
        self._note(object_id)

        def read() -> tuple[dict[str, Named], int]:
            answer = self._objects.read(object_id)
            if answer is None:
                raise self._lacks(f"a folder of a commit, the tree {object_id[:10]}", object_id)
            header, data = answer
            if header.kind != "tree":
                raise ValueError(f"{object_id} is a {header.kind}")
            return _parse_folder(data), len(data)

        return self._folders.get(object_id, read)

    def write(self, blob: str, target: Path) -> None:
        """Write the content of a blob to a new file, as it is stored: without filters."""
        with files.create(target) as file:
            if self._objects.copy(blob, file) is None:
                raise self._missing(f"the blob {blob[:10]}", [blob])


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

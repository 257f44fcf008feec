"""Files in a commit: their paths, modes and bytes."""

import contextlib
import posixpath
import shutil
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tagship.disk import files
from tagship.errors import Unavailable
from tagship.git import run
from tagship.git.run import QUIET, CommandFailed, Repository

LINK, FOLDER, SUBMODULE = "120000", "040000", "160000"  # modes, as ls-tree has them


@dataclass(frozen=True)
class Entry:
    """A file in a commit's tree; ``mode`` is Git's (100644, 100755, 120000, 160000)."""

    path: str
    mode: str
    blob: str
    size: int


class Blobs:
    """Reads files of commits, all through one ``git cat-file --batch`` process."""

    def __init__(self, repository: Repository) -> None:
        self._repository, self._git = repository, repository.git

    def read(self, commit_id: str, path: str) -> bytes | None:
        """The content of a file at a commit; None if the commit has no such file."""
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
        try:
            return bytes(self._git.get_object_data(blob)[3])
        except ValueError:
            return None

    def entries(self, commit_id: str, path: str) -> list[Entry]:
        """Every file at or below ``path`` in a commit. Only a folder needs another process.

        Raises:
            Unavailable: Git cannot read the commit's files.
        """
        if not _is_inside(path):
            return []
        if "\n" not in path and posixpath.basename(path) not in ("", ".", ".."):
            with contextlib.suppress(ValueError):  # ls-tree below gives the error
                entry = self._entry(commit_id, path)
                if entry is None or entry.mode != FOLDER:
                    return [entry] if entry else []
        return entries(self._repository, commit_id, path)

    def _entry(self, commit_id: str, path: str) -> Entry | None:
        """The entry of ``path`` in the folder that contains it; None if there is none.

        Raises:
            ValueError: the commit has no such folder, or an object is missing.
        """
        from git.objects.fun import tree_entries_from_data

        folder, name = posixpath.split(path)
        _, kind, _, data = self._git.get_object_data(f"{commit_id}:{folder}")
        if kind not in ("tree", b"tree"):  # the bytes of a file could look like a tree's
            raise ValueError(f"{folder} is a {kind!r}")
        for object_id, number, entry_name in tree_entries_from_data(data):
            if entry_name == name:
                mode, blob = f"{number:06o}", object_id.hex()
                is_file = mode not in (FOLDER, SUBMODULE)
                size = self._git.get_object_header(blob)[2] if is_file else 0
                return Entry(path, mode, blob, size)
        return None

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


def small_blobs(repository: Repository, ids: list[str]) -> list[bytes]:
    """The contents of small blobs, all read by one process.

    Raises:
        Unavailable: one of them is missing, or Git cannot read it.
    """
    with tempfile.TemporaryFile() as questions:
        questions.write("".join(f"{blob}\n" for blob in ids).encode())
        questions.seek(0)
        command = ["git", *QUIET, "cat-file", "--batch"]
        as_bytes = {"stdout_as_string": False, "strip_newline_in_stdout": False}
        try:
            answer = BytesIO(run.execute(repository.git, command, istream=questions, **as_bytes))
        except CommandFailed as error:
            raise run.failure(error) from None
    contents = []
    for blob in ids:  # a line "<id> blob <size>", the bytes, a line end
        head = answer.readline().split()
        if len(head) != 3:
            raise Unavailable(f"Git cannot read the blob {blob[:10]}", "git fsck")
        contents.append(answer.read(int(head[2])))
        answer.read(1)
    return contents


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


def paths(repository: Repository, commit_id: str) -> list[str]:
    """The path of every file in a commit."""
    answer = run.ask(repository, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit_id)
    return answer.split("\0")[:-1]

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
from tagship.git.run import QUIET, Repository, Stopped

LINK, FOLDER, SUBMODULE = "120000", "040000", "160000"  # modes, as ls-tree has them


@dataclass(frozen=True)
class Entry:
    """A file in a commit's tree; ``mode`` is Git's (100644, 100755, 120000, 160000)."""

    path: str
    mode: str
    blob: str
    size: int


class Blobs:
    """Files at commits, all read through one ``git cat-file --batch`` process."""

    def __init__(self, repository: Repository) -> None:
        self._repository, self._git = repository, repository.git

    def read(self, commit_id: str, path: str) -> bytes | None:
        """The content of a file at a commit, or None where the commit has no such file."""
        # one question is one line; and a path out of the repository would end Git's process
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

    def tree(self, commit_id: str, path: str) -> list[Entry]:
        """Every file at or below ``path`` in a commit: a folder alone takes a process of its own.

        Raises:
            Unavailable: Git cannot read the commit's files.
        """
        if not _is_inside(path):
            return []
        if "\n" not in path and posixpath.basename(path) not in ("", ".", ".."):
            with contextlib.suppress(ValueError):  # what the batch does not tell, ls-tree explains
                found = self._entry(commit_id, path)
                if found is None or found.mode != FOLDER:
                    return [found] if found else []
        return entries(self._repository, commit_id, path)

    def _entry(self, commit_id: str, path: str) -> Entry | None:
        """What the folder that ``path`` lies in has of its name.

        Raises:
            ValueError: the commit has no such folder, or Git lacks an object.
        """
        from git.objects.fun import tree_entries_from_data

        above, name = posixpath.split(path)
        _, kind, _, data = self._git.get_object_data(f"{commit_id}:{above}")
        if kind not in ("tree", b"tree"):  # a file may hold what looks like a folder's list
            raise ValueError(f"{above} is a {kind!r}")
        for binary, number, one in tree_entries_from_data(data):
            if one == name:
                mode, blob = f"{number:06o}", binary.hex()
                is_file = mode not in (FOLDER, SUBMODULE)
                size = self._git.get_object_header(blob)[2] if is_file else 0
                return Entry(path, mode, blob, size)
        return None

    def write(self, blob: str, target: Path) -> None:
        """Write the content of a blob to a new file, as it is stored: no filter is run.

        Raises:
            Unavailable: Git has it not, or cannot read it.
        """
        with files.create(target) as file:
            try:
                *_, stream = self._git.stream_object_data(blob)
            except (ValueError, BrokenPipeError):
                raise Unavailable(f"Git cannot read the blob {blob[:10]}", "git fsck") from None
            shutil.copyfileobj(stream, file, files.BLOCK)


def small_blobs(repository: Repository, ids: list[str]) -> list[bytes]:
    """The contents of small blobs, all by one process.

    Raises:
        Unavailable: Git has one of them not, or cannot read it.
    """
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{one}\n" for one in ids).encode())
        asked.seek(0)
        command = ["git", *QUIET, "cat-file", "--batch"]
        options = {"istream": asked, "stdout_as_string": False, "strip_newline_in_stdout": False}
        try:
            answer = BytesIO(run.execute(repository.git, command, **options))
        except Stopped as stopped:
            raise run.failure(stopped) from None
    found = []
    for one in ids:  # a line "<id> blob <size>", the bytes, a line end
        head = answer.readline().split()
        if len(head) != 3:
            raise Unavailable(f"Git cannot read the blob {one[:10]}", "git fsck")
        found.append(answer.read(int(head[2])))
        answer.read(1)
    return found


def _is_inside(path: str) -> bool:
    """Whether a commit could have a file of that name: no absolute path, nor one that leads out."""
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
    entries = []
    for line in answer.split("\0")[:-1]:
        facts, _, name = line.partition("\t")
        mode, _, blob, size = facts.split()
        entries.append(Entry(name, mode, blob, 0 if size == "-" else int(size)))
    return entries


def paths(repository: Repository, commit_id: str) -> list[str]:
    """The path of every file in a commit."""
    answer = run.ask(repository, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit_id)
    return answer.split("\0")[:-1]

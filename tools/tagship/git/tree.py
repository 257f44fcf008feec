"""Files in a commit: their paths, modes and bytes."""

import posixpath
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tagship.disk import files
from tagship.git import batch, run
from tagship.git.batch import Batch
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
    """Reads files of commits, all through one ``git cat-file --batch`` process.

    Every method raises Unavailable where Git's process ended, or an object is missing that the
    commit has.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._objects, self._headers = Batch(repository), Batch(repository, "--batch-check")

    def read(self, commit_id: str, path: str) -> bytes | None:
        """The content of a file at a commit; None if the commit has no such file."""
        # a question is one line; and a path outside of the repository would end Git's process
        if "\n" in path or not _is_inside(path):
            return None
        answer = self._objects.read(f"{commit_id}:{path}")
        if answer is None:
            self._check_absent(commit_id, path)
            return None
        header, data = answer
        return data if header.kind == "blob" else None

    def _check_absent(self, commit_id: str, path: str) -> None:
        """Check that the commit has no such file: Git's answer is the same where it lacks the blob.

        Raises:
            Unavailable: a tree of the commit has the path, or Git lacks the tree.
        """
        folder, name = posixpath.split(path)
        tree_name = f"{commit_id}:{folder}"
        answer = self._objects.read(tree_name)
        if answer is None and not folder:
            raise batch.lacks(self._repository, f"the files of commit {commit_id[:10]}", tree_name)
        if answer is None:
            return self._check_absent(commit_id, folder)
        header, data = answer
        entry = _find(data, name) if header.kind == "tree" else None
        if entry is not None and entry[1] != SUBMODULE:
            what = f"{path} of commit {commit_id[:10]}"
            raise batch.lacks(self._repository, what, entry[0])
        return None

    def content(self, blob: str) -> bytes | None:
        """The content of a blob by its id, or None where Git lacks it."""
        answer = self._objects.read(blob)
        return answer[1] if answer else None

    def entries(self, commit_id: str, path: str) -> list[Entry]:
        """Every file at or below ``path`` in a commit. Only a folder needs another process."""
        if not _is_inside(path):
            return []
        if "\n" not in path and posixpath.basename(path) not in ("", ".", ".."):
            folder, name = posixpath.split(path)
            answer = self._objects.read(f"{commit_id}:{folder}")
            if answer and answer[0].kind == "tree":  # the bytes of a file could look like a tree's
                entry = self._entry(path, _find(answer[1], name))
                if entry is None or entry.mode != FOLDER:
                    return [entry] if entry else []
        return entries(self._repository, commit_id, path)

    def _entry(self, path: str, found: tuple[str, str] | None) -> Entry | None:
        """An entry of a tree, with the size of its blob."""
        if found is None:
            return None
        blob, mode = found
        if mode in (FOLDER, SUBMODULE):
            return Entry(path, mode, blob, 0)
        header = self._headers.header(blob)
        if header is None:
            raise batch.lacks(self._repository, f"{path}, the blob {blob[:10]}", blob)
        return Entry(path, mode, blob, header.size)

    def write(self, blob: str, target: Path) -> None:
        """Write the content of a blob to a new file, as it is stored: without filters."""
        with files.create(target) as file:
            if self._objects.copy(blob, file) is None:
                raise batch.lacks(self._repository, f"the blob {blob[:10]}", blob)


def _find(tree: bytes, name: str) -> tuple[str, str] | None:
    """The id and the mode of an entry of a tree: ``<mode> <name>\\0<20 bytes of id>`` for each."""
    encoded, start = name.encode("utf-8", "surrogateescape"), 0
    if b" %b\0" % encoded not in tree:  # a large one is slow to walk through
        return None
    while (end := tree.find(b"\0", start)) >= 0:
        mode, _, entry_name = tree[start:end].partition(b" ")
        if entry_name == encoded:
            return tree[end + 1 : end + 21].hex(), mode.decode("ascii", "replace").rjust(6, "0")
        start = end + 21
    return None


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
            raise batch.lacks(repository, f"the blob {blob[:10]}", blob)
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

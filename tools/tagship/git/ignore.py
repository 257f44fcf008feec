"""What Git ignores, and the exclude file of one clone, see gitignore(5)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tagship.disk import atomic
from tagship.git import run
from tagship.git.run import NO_HOOKS, QUIET, CommandFailed, Repository

NONE_IGNORED = 1  # exit code of git check-ignore


def ignores(repository: Repository, paths: Sequence[str]) -> bool:
    """Whether Git ignores each path, from the repository's top; they need not exist.

    Where sparse-checkout left a ``.gitignore`` out, the index has it, so the index is read: a path
    that Git tracks is not ignored.

    What Git cannot say of a path, since it is behind a link or in a submodule, is none of its.
    """
    command = ["git", *QUIET, "-c", NO_HOOKS, "check-ignore", "--", *paths]
    try:
        answer = run.execute(repository.git, command)
    except CommandFailed as error:
        return error.status != NONE_IGNORED
    return len(str(answer).splitlines()) == len(paths)


def exclude_file(repository: Repository) -> Path:
    """``info/exclude`` of a work tree's repository, found without Git: its worktrees share one.

    Raises:
        OSError: the work tree has no ``.git`` that can be read.
    """
    folder = repository.top / ".git"
    if folder.is_file():  # of a worktree, a submodule, or made with --separate-git-dir
        folder = repository.top / folder.read_text().strip().removeprefix("gitdir: ")
    common = folder / "commondir"
    if common.is_file():
        folder = folder / common.read_text().strip()
    return folder.resolve(strict=True) / "info" / "exclude"


def has_lines(file: Path, lines: Iterable[str]) -> bool:
    """Whether a file of ignore rules has all lines; not if it cannot be read."""
    try:
        known = {line.rstrip() for line in file.read_text(errors="replace").splitlines()}
    except OSError:
        return False
    return known.issuperset(lines)


def add_lines(file: Path, heading: str, lines: Iterable[str]) -> None:
    """Append what a file of ignore rules lacks of lines, durably; a link to it stays a link.

    Raises:
        OSError: it cannot be written.
    """
    file = file.resolve()
    atomic.make_folder(file.parent)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    atomic.write(file, with_lines(file, heading, lines) or b"", mode)


def with_lines(file: Path, heading: str, lines: Iterable[str]) -> bytes | None:
    """The bytes of a file with the lines that it lacks; None where it has them all."""
    data = file.read_bytes() if file.exists() else b""
    known = {line.rstrip() for line in data.split(b"\n")}
    lacking = [line.encode() for line in lines if line.encode() not in known]
    if not lacking:
        return None
    title = [] if heading.encode() in known else [heading.encode()]
    end = b"" if not data or data.endswith(b"\n") else b"\n"
    return data + end + b"\n".join([*title, *lacking]) + b"\n"

"""The work tree and the index: which files differ from HEAD, and commits of just those."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tagship.errors import Refused, Unavailable
from tagship.git import commits, run
from tagship.git.run import NO_HOOKS, Repository
from tagship.git.tree import LINK, SUBMODULE

MOST = 500  # names on a command line


def changed(repository: Repository, names: Iterable[str]) -> list[str]:
    """The paths among ``names`` that differ from HEAD, in index or work tree, or are untracked.

    A path in a submodule is compared with the submodule's HEAD, and that with the index.
    """
    plain: list[str] = []
    modules: dict[str, list[str]] = {}
    for name in names:
        module = submodule(repository.top, name)
        if module is None:
            plain.append(name)
        else:
            modules.setdefault(module, []).append(name.removeprefix(module).strip("/") or ".")
    differing = _status(repository, plain) if plain or not modules else []
    if modules:
        differing += _status(repository, modules, "--ignore-submodules=dirty")
    for module, inner in modules.items():
        checked_out = Repository(repository.top / module, bare=False)
        differing += [f"{module}/{path}" for path in changed(checked_out, inner)]
    return differing


def _status(repository: Repository, names: Iterable[str], *options: str) -> list[str]:
    answer = run.ask(
        repository,
        "--literal-pathspecs",
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        *options,
        "--",
        *names,
    )
    return [line[3:] for line in answer.split("\0")[:-1]]


def submodule(top: Path, name: str) -> str | None:
    """The outermost repository below ``top`` that a path is, or is in; None where there is none."""
    parts = name.split("/") if name != "." else []
    folders = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next((folder for folder in folders if (top / folder / ".git").exists()), None)


def links(repository: Repository, names: Iterable[str]) -> list[str]:
    """The symbolic links in the index at or below ``names``."""
    return [name for name, mode in index(repository.top, *names).items() if mode == LINK]


def absent_submodules(repository: Repository, names: Iterable[str]) -> list[str]:
    """The submodules that ``names`` are, or are in, and that are not checked out."""
    folders = {
        "/".join(parts[:count])
        for parts in (name.split("/") for name in names)
        for count in range(1, len(parts) + 1)
    }
    top = repository.top
    empty = [name for name in folders if (top / name).is_dir() and not any((top / name).iterdir())]
    return sorted(name for name, mode in index(top, *empty).items() if mode == SUBMODULE)


def tracked(repository: Repository, names: Iterable[str]) -> set[str]:
    """The files in the index at or below ``names``; none where no name is given."""
    names = tuple(names)
    if not names:
        return set()
    answer = run.ask(repository, "--literal-pathspecs", "ls-files", "-z", "--", *names)
    return set(answer.split("\0")[:-1])


def filters(repository: Repository, names: Iterable[str]) -> dict[str, str]:
    """The files among ``names`` that an attribute sends through a filter, and its name."""
    found = {}
    for part in _parts(names):
        answer = run.ask(repository, "check-attr", "-z", "filter", "--", *part).split("\0")
        for path, value in zip(answer[::3], answer[2::3], strict=False):
            if value not in ("unspecified", "unset", "set"):
                found[path] = value
    return found


def converted(repository: Repository, blobs: Mapping[str, str]) -> list[str]:
    """The files, of those that Git keeps as ``blobs``, that have other bytes in the work tree."""
    here = [name for name in blobs if (repository.top / name).is_file()]
    ids: list[str] = []
    for part in _parts(here):
        ids += run.ask(repository, "hash-object", "--no-filters", "--", *part).split()
    return [name for name, blob in zip(here, ids, strict=True) if blobs[name] != blob]


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    """As many at a time as a command line takes."""
    every = list(names)
    return (every[start : start + MOST] for start in range(0, len(every), MOST))


# What Git has under way, by its file in the Git directory: in words, how to go on, how to give up
UNDER_WAY = {
    "rebase-merge": ("a rebase", "git rebase --continue", "git rebase --abort"),
    "rebase-apply": ("a rebase", "git rebase --continue", "git rebase --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue", "git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue", "git revert --abort"),
    "MERGE_HEAD": ("a merge", "git commit", "git merge --abort"),
}


@dataclass(frozen=True)
class Conflict:
    """Files that a merge could not merge, or another command of Git.

    Attributes:
        paths: from the repository's top.
        under_way: ``a merge``, ``a rebase``, ...; empty where ``git stash pop`` left it, say.
        finish: the command that goes on, once the files are resolved.
        give_up: the command that goes back to where it began.
    """

    paths: tuple[str, ...]
    under_way: str
    finish: str
    give_up: str


def conflict(repository: Repository) -> Conflict | None:
    """The files with a conflict that nobody resolved yet; None where there are none."""
    if repository.bare:
        return None
    answer = run.ask(repository, "ls-files", "--unmerged", "-z")
    paths = dict.fromkeys(line.partition("\t")[2] for line in answer.split("\0")[:-1])
    if not paths:
        return None
    folder = Path(run.ask(repository, "rev-parse", "--absolute-git-dir").strip())
    of_git = (words for name, words in UNDER_WAY.items() if (folder / name).exists())
    under_way = next(of_git, ("", "git commit", "git reset --merge"))
    return Conflict(tuple(paths), *under_way)


def index(folder: Path, *names: str) -> dict[str, str]:
    """Mode by path of the files in the index at or below ``names``; relative to ``folder``."""
    if not names:
        return {}
    arguments = ("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *names)
    answer = run.output(run.runner(folder), "-c", NO_HOOKS, *arguments)
    entries = (line.partition("\t") for line in answer.split("\0")[:-1])
    return {path: facts[:6] for facts, _, path in entries}


def commit_only(repository: Repository, names: list[str], message: str) -> str:
    """Commit just these files; other changes, staged or not, stay as they were.

    Returns:
        The id of the new commit, or of HEAD if the files have not changed.
    """
    run.act(repository, "--literal-pathspecs", "add", "--", *names)
    if changed(repository, names):
        run.act(
            repository, "--literal-pathspecs", "commit", "--quiet", f"--message={message}",
            "--only", "--", *names,
        )  # fmt: skip
    return commits.commit(repository, "HEAD").id


def unstage(repository: Repository, names: list[str]) -> None:
    """Reset these files in the index to HEAD."""
    run.act(repository, "--literal-pathspecs", "reset", "--quiet", "HEAD", "--", *names)


def identity(repository: Repository) -> str:
    """``Name <mail>`` of the committer that Git is configured with; empty if there is none."""
    return committer(repository)[0]


def committer(repository: Repository) -> tuple[str, int]:
    """``identity``, and the date that Git would give a tag now, in seconds since 1970.

    Raises:
        Refused: the environment names a date that is none.
    """
    try:
        line = run.ask(repository, "var", "GIT_COMMITTER_IDENT")
    except Unavailable as error:
        if "invalid date format" in error.message:
            what = error.message.removeprefix("git: ")
            raise Refused(f"GIT_COMMITTER_DATE: {what}", "unset GIT_COMMITTER_DATE") from None
        return "", 0
    who, end, date = line.rpartition(">")
    seconds = date.strip().partition(" ")[0]
    return who + end, int(seconds) if seconds.isdecimal() else 0

"""Git as a process: which repository, which settings, one question, one answer."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from tagship.errors import NotFound, Refused, TagshipError, Unavailable
from tagship.text import redact

if TYPE_CHECKING:
    from git import Git

# `git rev-parse --local-env-vars` (Git 2.39). Git exports these to its hooks: a deploy started
# from a post-receive hook would otherwise ask the repository that the hook runs in.
LOCAL_ENVIRONMENT = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
)
BLOCK = 1 << 16  # bytes of an answer that are read at a time: what a pipe of Linux holds
# A repository's own configuration may name programs (githooks(5), gitattributes(5), and in
# git-config(1) core.fsmonitor, gpg.program, remote helpers), and change what is printed.
SETTINGS = (
    "core.fsmonitor=false",
    "core.quotePath=false",
    "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8",
    "protocol.ext.allow=never",
)
QUIET = tuple(word for setting in SETTINGS for word in ("-c", setting))
# A question runs no hook either; whoever tags, commits or pushes runs their own.
NO_HOOKS = "core.hooksPath=/dev/null"
# refs/replace/ and grafts would say another thing than the commit of a tag does.
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
}
# A partial clone would fetch what it lacks, by a program that its configuration names. The second
# holds for every version of Git, the first gives the better error (2.39.4, 2.45).
OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}


@dataclass(frozen=True)
class Repository:
    """A Git repository: ``top`` is its work tree, or the bare repository itself."""

    top: Path
    bare: bool

    @property
    def git(self) -> "Git":
        """GitPython's runner, one for each use: its batch process is not shared."""
        return runner(self.top)


def find(start: Path) -> Repository:
    """The repository that ``start`` lies in.

    Raises:
        NotFound: ``start`` is in no Git repository.
    """
    for name in LOCAL_ENVIRONMENT:
        os.environ.pop(name, None)
    questions = ("--show-object-format", "--show-toplevel")
    try:
        answer = execute(runner(start), ["git", "rev-parse", *questions])
        object_format, top, bare = *str(answer).split("\n"), False
    except CommandFailed as error:
        if "must be run in a work tree" not in error.stderr:
            if "not a git repository" not in error.stderr:
                raise failure(error) from None  # "dubious ownership", which Git explains
            raise NotFound(f"{start} is in no Git repository", "git init && dvc init") from None
        questions = ("--show-object-format", "--absolute-git-dir")
        answer = execute(runner(start), ["git", "rev-parse", *questions])
        object_format, top, bare = *str(answer).split("\n"), True
    if object_format != "sha1":
        raise Refused(
            f"the repository has {object_format} objects, which GitPython does not read",
            "use a repository with sha1 objects, Git's default",
        )
    return Repository(Path(top), bare)


class CommandFailed(Exception):
    """Git ended with an error: its exit code, and what it said."""

    def __init__(self, status: object, stderr: str) -> None:
        super().__init__(stderr)
        self.status = status
        # without the frame that GitPython puts around it
        self.stderr = stderr.strip().removeprefix("stderr:").strip(" '\n")


def execute(runner: "Git", command: list[str], **options: Any) -> Any:
    """Run Git to its end.

    Raises:
        CommandFailed: it ended with an error.
        Unavailable: there is no Git.
    """
    return _translated(runner.execute, command, **options)


def _translated(act: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What GitPython gives, and its errors as ours: those of ``execute``."""
    from git.exc import GitCommandError, GitCommandNotFound

    try:
        return act(*arguments, **options)
    except GitCommandNotFound as error:
        raise Unavailable("git is not installed", "install it first") from error
    except GitCommandError as error:
        raise CommandFailed(error.status, str(error.stderr)) from None


def _new(folder: Path) -> "Git":
    """GitPython's runner. To import it takes as long as Git's answer: who asks nothing does not."""
    # without git, GitPython would refuse to be imported; we tell it in our words
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git import Git

    return Git(folder)


def runner(folder: Path) -> "Git":
    """GitPython's runner, which asks offline and runs nothing that the repository names."""
    found = _new(folder)
    found.set_persistent_git_options(c=[*SETTINGS, NO_HOOKS])  # of its batch process
    found.update_environment(**ENVIRONMENT, **OFFLINE)
    return found


def ask(repository: Repository, *arguments: str) -> str:
    """A question: it runs no hook, and talks to nobody."""
    return output(repository.git, "-c", NO_HOOKS, *arguments)


def read_fields(repository: Repository, *arguments: str) -> Iterator[list[str]]:
    """A question whose answer is fields, each ended by NUL: read while Git still writes.

    What is no UTF-8 is replaced.

    Raises:
        Unavailable: Git has ended with an error; what came before it counts for nothing.
    """
    command = ["git", *QUIET, "-c", NO_HOOKS, *arguments]
    process = execute(repository.git, command, as_process=True)
    said: list[bytes] = []
    # Git waits for whoever reads its complaints, too
    listener = Thread(target=lambda errors: said.append(errors.read()), args=[process.stderr])
    listener.start()
    begun: list[bytes] = []
    while block := process.stdout.read(BLOCK):
        ended, nul, rest = block.rpartition(b"\0")
        if nul:
            yield b"".join([*begun, ended]).decode(errors="replace").split("\0")
            begun = []
        begun.append(rest)
    listener.join()
    try:
        _translated(process.wait, stderr=said[0])
    except CommandFailed as error:
        raise failure(error) from None


def act(repository: Repository, *arguments: str) -> str:
    """A change, or a talk with a remote: it runs the user's hooks, and fetches no object."""
    runner = _new(repository.top)
    runner.update_environment(**ENVIRONMENT)
    return output(runner, *arguments)


def output(runner: "Git", *arguments: str) -> str:
    """Run Git to its end; its output.

    Raises:
        TagshipError: it ended with an error, told in its own words.
    """
    command = ["git", *QUIET, *arguments]
    try:
        return str(execute(runner, command, strip_newline_in_stdout=False))
    except CommandFailed as error:
        raise failure(error) from None


def failure(error: CommandFailed) -> TagshipError:
    """The error in Git's own words."""
    lines = [line for line in error.stderr.splitlines() if line.strip()]
    lines = lines or [f"exit code {error.status}"]
    told = [line for line in lines if line.startswith(("fatal:", "error:", " ! "))] or lines
    words = redact.text(told[0].removeprefix("fatal: ").strip())
    # what a hook of the remote says is the reason that a person needs
    hook = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    reason = "; ".join([words, *(redact.text(line) for line in hook if line)])
    hint = "git remote -v" if "does not appear to be a git repository" in words else ""
    if "missing object" in words:
        hint = "git fetch --tags --force; else see what git fsck says"
    lock = re.search(r"Unable to create '([^']+\.lock)': File exists", words)
    if lock:
        hint = f"a git that was killed left it, unless one runs: rm {shlex.quote(lock[1])}"
    return Unavailable(f"git: {reason}", hint)


def as_utf8(raw: str) -> str:
    """Text that can be written as UTF-8: GitPython keeps other bytes as surrogates."""
    if raw.isascii():  # of ten thousand tags most is
        return raw
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def time_of(seconds: str) -> datetime:
    """A time in UTC, from seconds since 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)

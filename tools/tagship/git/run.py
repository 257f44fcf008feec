"""Git as a process: find a repository, ask it something, change something in it."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tagship.disk import access, scratch
from tagship.errors import NotFound, Refused, TagshipError, Unavailable
from tagship.git import readable
from tagship.text import redact

if TYPE_CHECKING:
    from git import Git

# What says which repository is meant, or which objects, refs and files of one: Git exports these to
# its hooks, and a deploy started from a hook would otherwise ask the repository that the hook runs
# in. They are those of `git rev-parse --local-env-vars` (Git 2.39), and what belongs to them: a
# quarantine (githooks(5), pre-receive) forbids to change a ref, in any repository. GIT_CONFIG names
# a file that `git config` alone reads. What else is in the environment is the user's, and counts:
# GIT_CONFIG_COUNT and GIT_CONFIG_PARAMETERS (tokens, mirrors, safe.directory), GIT_SSH_COMMAND, ...
WHICH_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
# Paths are given as they are (--literal-pathspecs), with which Git refuses these.
PATHSPECS = ("GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_NOGLOB_PATHSPECS")
SHORT = 30.0  # seconds in which a short question is answered, also by a disk that is slow
BLOCK = 1 << 16  # bytes of an answer that are read at a time: the size of a pipe in Linux
# A repository's own configuration may name programs (githooks(5), gitattributes(5), and in
# git-config(1) core.fsmonitor, gpg.program, remote helpers), and change what is printed. Given by
# -c, these also win over GIT_CONFIG_COUNT and GIT_CONFIG_PARAMETERS (config.c of Git 2.39).
SETTINGS = (
    "core.fsmonitor=false",
    "core.quotePath=false",
    "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8",
    "protocol.ext.allow=never",
)
QUIET = tuple(word for setting in SETTINGS for word in ("-c", setting))
# What Git writes is on disk when it ends, whatever is configured.
FSYNC = ("-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync")
# For questions: they run no hook either. Tags, commits and pushes run the user's hooks.
NO_HOOKS = "core.hooksPath=/dev/null"
# refs/replace/ and grafts would show something else than what the commit of a tag has.
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
}
# A partial clone would fetch missing objects, by a program that its configuration names. The second
# works in every version of Git, the first gives the better error (2.39.4, 2.45).
OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}

# What Git says where a ref or an object is missing, or may not be read
UNREAD = re.compile(
    r"(?i)(missing|bad|corrupt) (object|revision|tree|source|tag)|unknown revision"
    r"|permission denied|not a valid object name"
    r"|(unable|failed|could not|couldn't|cannot) (to )?(read|open|access|get|parse)"
)
# What Git says too where a push is not accepted; another line has the reason.
FOLLOWS = ("atomic push failed", "atomic push failure", "the remote end hung up unexpectedly")


@dataclass(frozen=True)
class Repository:
    """A Git repository.

    Attributes:
        top: its work tree, or the bare repository itself.
        bare: whether it has no work tree.
        ours: tagship made it, and knows where. Git is given its place then, and need not look for
            it: a person's ``safe.directory`` and ``safe.bareRepository`` are about what Git finds.
    """

    top: Path
    bare: bool
    ours: bool = False

    @property
    def git(self) -> "Git":
        """GitPython's runner, a new one for each use: its batch process is not shared."""
        git = runner(self.top)
        git.update_environment(**self.environment)
        return git

    @property
    def environment(self) -> dict[str, str]:
        """What says which repository is meant, besides the folder that Git is started in."""
        return {"GIT_DIR": str(self.top)} if self.ours else {}


def find(start: Path) -> Repository:
    """The repository that contains ``start``.

    Raises:
        NotFound: ``start`` is not in a Git repository.
    """
    git_dir = os.environ.get("GIT_DIR")
    forget_the_repository_of_a_hook()
    try:
        object_format, top = _rev_parse(start, "--show-object-format", "--show-toplevel")
        bare = False
    except CommandFailed as error:
        if "must be run in a work tree" not in error.stderr:
            if "not a git repository" not in error.stderr:
                raise failure(error) from None  # "dubious ownership", which Git explains
            hint = _why_hidden(start, error.stderr) or "git init && dvc init"
            if git_dir is not None:  # a hook that checks files out here, with GIT_WORK_TREE
                place = shlex.quote(str(Path(git_dir).absolute()))
                hint = f"GIT_DIR is not used, so work in a clone: git clone {place} FOLDER"
            _check_readable(start)
            raise NotFound(f"not a Git repository: {start}", hint) from None
        object_format, top = _rev_parse(start, "--show-object-format", "--absolute-git-dir")
        bare = True
    if object_format != "sha1":
        raise Refused(
            f"the repository has {object_format} objects, which GitPython cannot read",
            "use a repository with sha1 objects, Git's default",
        )
    return Repository(Path(top), bare)


def _why_hidden(start: Path, stderr: str) -> str:
    """What lets Git see a repository that is there, in a folder above; empty where none is."""
    here = start.resolve()
    top = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)
    if top is None:
        dvc = any((folder / ".dvc").is_dir() for folder in (here, *here.parents))
        return 'git init && git add --all && git commit -m "..."' if dvc else ""
    if "GIT_DISCOVERY_ACROSS_FILESYSTEM" in stderr:
        return f"it is in {top}: export GIT_DISCOVERY_ACROSS_FILESYSTEM=1"
    if os.environ.get("GIT_CEILING_DIRECTORIES"):
        return f"it is in {top}: unset GIT_CEILING_DIRECTORIES"
    return f"{top / '.git'} is damaged, or no repository: git -C {shlex.quote(str(top))} status"


def _check_readable(start: Path) -> None:
    """Git calls a repository that it may not read none.

    Raises:
        Forbidden: so it is here.
    """
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / ".git").exists() and (error := readable.denied(folder)):
            raise error


def forget_the_repository_of_a_hook() -> None:
    """For DVC too, and for what either of them starts: in the environment of this process."""
    for name in (*WHICH_REPOSITORY, *PATHSPECS):
        os.environ.pop(name, None)
    if "ext" in (allowed := os.environ.get("GIT_ALLOW_PROTOCOL", "").split(":")):  # as SETTINGS
        os.environ["GIT_ALLOW_PROTOCOL"] = ":".join(name for name in allowed if name != "ext")


def _rev_parse(folder: Path, *questions: str) -> list[str]:
    return os.fsdecode(answer(folder, "rev-parse", *questions)).removesuffix("\n").split("\n")


class CommandFailed(Exception):
    """Git ended with an error: its exit code, and its message; in which folder, where known."""

    def __init__(self, status: object, stderr: str, folder: str = "") -> None:
        super().__init__(stderr)
        self.status, self.folder = status, folder
        text = as_utf8(stderr).strip()  # a server writes some of it
        if text.startswith("stderr:"):  # the frame that GitPython puts around it
            text = text.removeprefix("stderr:").strip(" '\n")
        self.stderr = text


def ask(repository: Repository, *arguments: str) -> str:
    """Ask a question: this runs no hook, and uses no network."""
    return output(repository.git, "-c", NO_HOOKS, *arguments)


def ask_raw(repository: Repository, *arguments: str) -> str:
    """``ask``, for a short answer: without GitPython, whose import takes as long as a run of Git.

    Raises:
        Unavailable: Git ended with an error, or gave no answer in ``SHORT`` seconds.
    """
    try:
        return os.fsdecode(answer(repository, *arguments))
    except CommandFailed as error:
        raise failure(error) from None


def ask_fast(place: Path | Repository, *arguments: str) -> str:
    """Ask a short question without GitPython: its import takes as long as a run of Git.

    Args:
        place: a folder in the repository, or the repository.
        arguments: of Git.

    Raises:
        Unavailable: Git ended with an error, or gave no answer in ``SHORT`` seconds.
    """
    forget_the_repository_of_a_hook()
    try:
        return as_text(answer(place, *arguments))
    except CommandFailed as error:
        raise failure(error) from None
    except OSError as error:
        raise Unavailable(f"git: {error}", "git status") from None


def answer(place: Path | Repository, *arguments: str, questions: bytes = b"") -> bytes:
    """What Git answers to a short question: it runs no hook, and uses no network.

    Args:
        place: a folder in the repository, or the repository.
        arguments: of Git.
        questions: its standard input.

    Raises:
        CommandFailed: Git ended with an error.
        Unavailable: it is not installed, or gave no answer in ``SHORT`` seconds.
    """
    folder = place.top if isinstance(place, Repository) else place
    command = ["git", *QUIET, "-c", NO_HOOKS, *arguments]
    try:
        process = subprocess.run(
            command, cwd=folder, env=offline(place), input=questions, capture_output=True,
            check=False, timeout=SHORT, umask=umask(place),
        )  # fmt: skip
    except FileNotFoundError as error:
        raise without_git(error) from None
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"git: {error}", "git status") from None
    if process.returncode != 0:
        raise CommandFailed(process.returncode, as_text(process.stderr), str(folder))
    return process.stdout


def umask(place: Path | Repository) -> int:
    """The umask of Git: nobody else may write to a repository of ours; -1 for that of the user."""
    is_ours = isinstance(place, Repository) and place.ours
    return access.umask() | 0o022 if is_ours else -1


def offline(place: Path | Repository) -> dict[str, str]:
    """The environment of a question."""
    own = place.environment if isinstance(place, Repository) else {}
    return {**os.environ, "LANGUAGE": "C", "LC_ALL": "C", **ENVIRONMENT, **OFFLINE, **own}


def as_text(data: bytes) -> str:
    """Git's answer as text: bytes that are not UTF-8 are replaced."""
    return data.decode(errors="replace")


def read_fields(repository: Repository, *arguments: str) -> Iterator[list[str]]:
    """Ask a question whose answer is fields that end in NUL, and read it while Git still writes.

    Bytes that are not UTF-8 are replaced.

    Raises:
        Unavailable: Git ended with an error. The fields that came before it must not be used.
    """
    # not a pipe for what it says: Git blocks while one is full
    with (
        scratch.file() as stderr,
        started(repository, arguments, subprocess.DEVNULL, stderr) as process,
    ):
        unfinished: list[bytes] = []  # the beginning of a field whose end was not read yet
        while block := process.stdout.read(BLOCK):
            finished, nul, rest = block.rpartition(b"\0")
            if nul:
                yield as_text(b"".join([*unfinished, finished])).split("\0")
                unfinished = []
            unfinished.append(rest)
        if (status := process.wait()) != 0:
            stderr.seek(0)
            words = as_text(stderr.read())
            raise failure(CommandFailed(status, words, str(repository.top))) from None


def started(
    repository: Repository, arguments: Sequence[str], stdin: int, stderr: BinaryIO
) -> Any:  # fmt: skip
    """Start Git for a question whose answer is read while it is written, as ``subprocess`` does.

    Raises:
        Unavailable: Git is not installed.
    """
    command = ["git", *QUIET, "-c", NO_HOOKS, *arguments]
    try:
        return subprocess.Popen(
            command, cwd=repository.top, env=offline(repository), stdin=stdin,
            stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise without_git(error) from None


def without_git(error: FileNotFoundError) -> Exception:
    """What it means that something is not there: the program, or the folder to start it in."""
    return not_installed() if error.filename == "git" else error


def act(repository: Repository, *arguments: str) -> str:
    """Change something, or talk to a remote: this runs the user's hooks, and fetches no object."""
    git = _plain_runner(repository.top)
    git.update_environment(**ENVIRONMENT, **repository.environment)
    return output(git, *arguments)


def output(git: "Git", *arguments: str) -> str:
    """Run Git, and return what it prints.

    Raises:
        TagshipError: it ended with an error, given in its own words.
    """
    command = ["git", *QUIET, *arguments]
    try:
        return str(execute(git, command, strip_newline_in_stdout=False))
    except CommandFailed as error:
        raise failure(error) from None


def execute(git: "Git", command: list[str], **options: Any) -> Any:
    """Run a command of Git, with GitPython's options.

    Raises:
        CommandFailed: it ended with an error.
        Unavailable: Git is not installed.
    """
    try:
        return _call(git.execute, command, **options)
    except CommandFailed as error:
        error.folder = str(git.working_dir or "")
        raise


def not_installed() -> Unavailable:
    """The error where there is no program of that name."""
    return Unavailable("git is not installed", "install it first")


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of GitPython; its errors become those of ``execute``."""
    from git.exc import GitCommandError, GitCommandNotFound

    try:
        return function(*arguments, **options)
    except GitCommandNotFound as error:
        raise not_installed() from error
    except GitCommandError as error:
        raise CommandFailed(error.status, str(error.stderr)) from None


def runner(folder: Path) -> "Git":
    """GitPython's runner for questions: offline, without programs that the repository names."""
    git = _plain_runner(folder)
    git.set_persistent_git_options(c=[*SETTINGS, NO_HOOKS])  # of its batch process
    git.update_environment(**ENVIRONMENT, **OFFLINE)
    return git


def _plain_runner(folder: Path) -> "Git":
    """GitPython's runner. Its import takes as long as a run of Git, so it is imported here."""
    # else GitPython cannot be imported where Git is missing; the error should be ours
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git import Git

    return Git(folder)


def failure(error: CommandFailed) -> TagshipError:
    """The error to raise for a failed command, in Git's own words.

    What this account may not read, Git calls missing: then it is ``Forbidden``.
    """
    is_suspect = bool(error.folder and UNREAD.search(error.stderr))
    denied = readable.denied(Path(error.folder)) if is_suspect else None
    return denied or _failure(error)


def _failure(error: CommandFailed) -> Unavailable:
    lines = [line for line in error.stderr.splitlines() if line.strip()]
    lines = lines or [_ending(error.status)]
    errors = [line for line in lines if line.startswith(("fatal:", "error:", " ! "))] or lines
    errors = [line for line in errors if not any(text in line for text in FOLLOWS)] or errors
    message = redact.text(errors[0].removeprefix("fatal: ").strip())
    # a hook of the remote explains itself in these lines
    hook = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    reason = "; ".join([message, *(redact.text(line) for line in hook if line)])
    hint = "git remote -v" if "does not appear to be a git repository" in message else ""
    if "missing object" in message:
        hint = "git fetch --refetch --tags --force; if that does not help: git fsck"
    if "alternate object path" in message:  # of a clone made with --shared or --reference
        hint = "clone it again: the repository that .git/objects/info/alternates names is gone"
    if "from promisor remote" in message:
        lacked = re.search(r"could not fetch ([0-9a-f]+)", message)
        what = f"the object {lacked[1][:10]}" if lacked else f"an object: {reason}"
        what = f"this partial clone lacks {what}, and tagship does not fetch it by itself"
        return Unavailable(what, refetch())
    if "terminal prompts disabled" in message:  # an address https:// that asks for a password
        hint = "log in with a credential helper: git config credential.helper cache && git fetch"
    trust = re.search(r"\t(git config --global --add safe\.directory .+)", error.stderr)
    if trust:  # Git's own remedy
        hint = trust[1]
    lock = re.search(r"Unable to create '([^']+\.lock)': File exists", message)
    if lock:
        hint = f"if no git command is running, remove its stale lock: rm {shlex.quote(lock[1])}"
    if "Could not read from remote repository" in message:  # ssh says why, in the lines before
        said = [redact.text(line.strip()) for line in lines[: lines.index(errors[0])]]
        said = [line for line in said if not line.startswith(("remote:", "@"))]
        reason = "; ".join([*said[-2:], reason])  # before them it explains at length, and warns
        hint = "check its address, and the key that ssh uses: git remote -v"
    if "Permission denied" in message or "insufficient permission" in message:
        git_dir = Path(error.folder, ".git")
        hint = access.mixed(git_dir) if error.folder and git_dir.is_dir() else hint
    return Unavailable(f"git: {reason}", hint)


def _ending(status: object) -> str:
    """How a process ended that said nothing: its exit code, or the signal that killed it."""
    if isinstance(status, int) and status < 0:
        name = signal.Signals(-status).name
        return f"the process was killed by {name}; the system may be out of memory"
    return f"exit code {status}"


def refetch() -> str:
    """The command that makes a partial clone whole, in this version of Git."""
    version = re.search(r"(\d+)\.(\d+)", ask_fast(Path(), "version"))
    if version and (int(version[1]), int(version[2])) >= (2, 36):  # which brought --refetch
        return "git fetch --refetch --no-filter --tags"
    return "clone it again, without --filter"


def as_utf8(raw: str) -> str:
    """Text that can be written as UTF-8: other bytes are surrogates in what ``ask`` gives."""
    if raw.isascii():  # the usual case, and much faster
        return raw
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def time_of(seconds: str) -> datetime:
    """A time in UTC, from seconds since 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)

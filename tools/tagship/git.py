"""Questions to Git: one function each, and one process an answer, whatever the number of tags."""

import contextlib
import os
import posixpath
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from tagship import manifest, redact, refs
from tagship.errors import Corrupt, NotFound, Refused, TagshipError, Unavailable
from tagship.refs import TagName

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
IDENTIFY = 'git config user.name "Your Name" && git config user.email you@example.com'
SSH_SIGNATURE = "-----BEGIN SSH SIGNATURE-----"
# What tags() asks for; NUL ends a field: a name or a message may hold anything else.
TAG_FORM = (
    "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(*objecttype)%00%(taggerdate:unix)%00"
    "%(taggername)%00%(taggeremail)%00%(tag)%00%(contents)%00%(contents:signature)%00"
)
LINK, FOLDER, SUBMODULE = "120000", "040000", "160000"  # modes, as ls-tree has them
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
        return _runner(self.top)


class Tag(NamedTuple):
    """An annotated tag of GTO's grammar. No dataclass: of those, ten thousand take a blink.

    Attributes:
        name: the ref's.
        object_id: the tag object's.
        commit: what it points at.
        message: without the signature.
        own_name: the name in the tag object: a ref may hold the object of another tag.
        signature: as the tag object has it, unchecked; empty where it is not signed.
    """

    name: TagName
    object_id: str
    commit: str
    tagger: str
    at: datetime
    message: str
    own_name: str
    signature: str = ""

    @property
    def trailers(self) -> dict[str, str]:
        """The ``Key: value`` lines that end its message."""
        return refs.trailers(self.message)


@dataclass(frozen=True)
class Commit:
    """Who made a commit, when, and its message."""

    id: str
    author: str
    at: datetime
    message: str


@dataclass(frozen=True)
class Entry:
    """A file in a commit's tree; ``mode`` is Git's (100644, 100755, 120000, 160000)."""

    path: str
    mode: str
    blob: str
    size: int


def find(start: Path) -> Repository:
    """The repository that ``start`` lies in.

    Raises:
        NotFound: ``start`` is in no Git repository.
    """
    for name in LOCAL_ENVIRONMENT:
        os.environ.pop(name, None)
    questions = ("--show-object-format", "--show-toplevel")
    try:
        answer = _execute(_runner(start), ["git", "rev-parse", *questions])
        object_format, top, bare = *str(answer).split("\n"), False
    except _Stopped as stopped:
        if "must be run in a work tree" not in stopped.said:
            if "not a git repository" not in stopped.said:
                raise _failed(stopped) from None  # "dubious ownership", which Git explains
            raise NotFound(f"{start} is in no Git repository", "git init && dvc init") from None
        questions = ("--show-object-format", "--absolute-git-dir")
        answer = _execute(_runner(start), ["git", "rev-parse", *questions])
        object_format, top, bare = *str(answer).split("\n"), True
    if object_format != "sha1":
        raise Refused(
            f"the repository has {object_format} objects, which GitPython does not read",
            "use a repository with sha1 objects, Git's default",
        )
    return Repository(Path(top), bare)


class _Stopped(Exception):
    """Git ended with an error: its exit code, and what it said."""

    def __init__(self, status: object, said: str) -> None:
        super().__init__(said)
        self.status = status
        # without the frame that GitPython puts around it
        self.said = said.strip().removeprefix("stderr:").strip(" '\n")


def _execute(runner: "Git", command: list[str], **options: Any) -> Any:
    """Run Git to its end.

    Raises:
        _Stopped: with an error.
        Unavailable: there is no Git.
    """
    return _unless_stopped(runner.execute, command, **options)


def _unless_stopped(act: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What GitPython gives, and its errors as ours: those of ``_execute``."""
    from git.exc import GitCommandError, GitCommandNotFound

    try:
        return act(*arguments, **options)
    except GitCommandNotFound as error:
        raise Unavailable("git is not installed", "install it first") from error
    except GitCommandError as error:
        raise _Stopped(error.status, str(error.stderr)) from None


def _new(folder: Path) -> "Git":
    """GitPython's runner. To import it takes as long as Git's answer: who asks nothing does not."""
    # without git, GitPython would refuse to be imported; we tell it in our words
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git import Git

    return Git(folder)


def _runner(folder: Path) -> "Git":
    """GitPython's runner, which asks offline and runs nothing that the repository names."""
    found = _new(folder)
    found.set_persistent_git_options(c=[*SETTINGS, NO_HOOKS])  # of its batch process
    found.update_environment(**ENVIRONMENT, **OFFLINE)
    return found


def tags(repository: Repository, model: str | None = None) -> list[Tag]:
    """Every annotated tag of GTO's grammar, of one model or of all.

    Others, and broken ones, are passed over.
    """
    answer = _read(repository, "for-each-ref", f"--format={TAG_FORM}", *tag_patterns(model))
    parts = chain.from_iterable(answer)
    found = []
    for name, object_id, commit, kind, at, tagger, email, own_name, message, signature in zip(
        *[parts] * 10, strict=True
    ):
        tag = TagName.parse(name.removeprefix("\n"))
        if not tag or kind != "commit":  # a lightweight tag peels to nothing
            continue
        try:
            when = _time(at)
        except (ValueError, OverflowError, OSError):  # no date, or one that no calendar has
            continue
        text = message.removesuffix(signature)
        found.append(
            Tag(tag, object_id, commit, f"{tagger} {email}", when, text, own_name, signature)
        )
    return found


def tag_patterns(model: str | None) -> list[str]:
    """Patterns of git-for-each-ref(1) for the tags of one model or of all."""
    if model is None:
        return ["refs/tags/"]
    name = f"refs/tags/{model.replace(':', '=')}"
    return [f"{name}@*", f"{name}#*", f"{name}#*/**"]  # a stage may have slashes in its name


def remote_tags(repository: Repository, remote: str) -> dict[TagName, str]:
    """The tags that ``remote`` has, each with the commit that it points at.

    Raises:
        Refused: Git's configuration here has no remote of that name.
        Unavailable: the remote does not answer.
    """
    _check_remote(repository, remote)
    answer = _act(repository, "-c", NO_HOOKS, "ls-remote", "--tags", "--end-of-options", remote)
    commits: dict[TagName, str] = {}
    for line in answer.splitlines():
        object_id, _, ref = line.partition("\t")
        name = TagName.parse(ref.removeprefix("refs/tags/").removesuffix("^{}"))
        if name:
            commits[name] = object_id  # the peeled line, ref^{}, follows the tag object's own
    return commits


def commit(repository: Repository, name: str) -> Commit:
    """The commit that ``name`` means.

    Raises:
        NotFound: there is none (yet).
    """
    form = "--format=%H%x00%an <%ae>%x00%at%x00%B"
    try:
        answer = _ask(
            repository, "show", "--no-patch", form, "--end-of-options", f"{name}^{{commit}}"
        )
    except Unavailable:
        if name == "HEAD":
            raise NotFound("the repository has no commit yet", "git commit") from None
        raise NotFound(f"there is no commit {name}", "git fetch --tags") from None
    try:
        object_id, author, at, message = answer.split("\0")
    except ValueError:  # it says it is of an encoding that it is not
        raise Corrupt(f"Git cannot show the commit {name}", "release another commit") from None
    return Commit(object_id, _text(author), _date(object_id, at), _text(message.strip()))


def branches_with(repository: Repository, commit_id: str) -> list[str]:
    """The local and remote branches that a commit is on."""
    form = "--format=%(refname)"
    answer = _ask(
        repository, "for-each-ref", form, "--contains", commit_id, "refs/heads/", "refs/remotes/"
    )
    return answer.splitlines()


def is_detached(repository: Repository) -> bool:
    """Whether HEAD names a commit instead of a branch."""
    return _ask(repository, "rev-parse", "--symbolic-full-name", "HEAD").strip() == "HEAD"


def apart(repository: Repository, one: str, other: str) -> tuple[list[Commit], list[Commit]]:
    """The commits that ``one`` has and ``other`` has not, and the reverse; the newest first.

    Of their messages the first line alone.

    Raises:
        Unavailable: the repository has not both, or is a shallow clone that ends among them.
    """
    form = "--format=%m%x00%P%x00%H%x00%an <%ae>%x00%at%x00%s"
    answer = _ask(repository, "log", "--left-right", form, f"{one}...{other}", "--")
    sides: dict[str, list[Commit]] = {"<": [], ">": []}
    ends = False
    for line in answer.split("\n")[:-1]:  # a subject may hold what splitlines() takes for an end
        side, parents, object_id, author, at, subject = line.split("\0")
        ends = ends or not parents
        sides[side].append(Commit(object_id, _text(author), _date(object_id, at), _text(subject)))
    # what lies behind the end of a shallow clone, both may have, or one alone
    if ends and _ask(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise Unavailable("this clone is shallow", "git fetch --unshallow --tags")
    return sides["<"], sides[">"]


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
        return tree(self._repository, commit_id, path)

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
        with manifest.create(target) as file:
            try:
                *_, stream = self._git.stream_object_data(blob)
            except (ValueError, BrokenPipeError):
                raise Unavailable(f"Git cannot read the blob {blob[:10]}", "git fsck") from None
            shutil.copyfileobj(stream, file, manifest.BLOCK)


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
            answer = BytesIO(_execute(repository.git, command, **options))
        except _Stopped as stopped:
            raise _failed(stopped) from None
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


def tree(repository: Repository, commit_id: str, path: str) -> list[Entry]:
    """Every file at or below ``path`` in a commit."""
    if not _is_inside(path):
        return []
    answer = _ask(
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
    answer = _ask(repository, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit_id)
    return answer.split("\0")[:-1]


def changed(repository: Repository, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that differ from HEAD, in the index or the work tree, or are untracked."""
    answer = _ask(
        repository,
        "--literal-pathspecs",
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--",
        *names,
    )
    return [line[3:] for line in answer.split("\0")[:-1]]


def index(folder: Path, name: str) -> dict[str, str]:
    """What Git's index has at or below ``name``: mode by path, both relative to ``folder``."""
    asked = ("--literal-pathspecs", "ls-files", "--stage", "-z", "--", name)
    answer = _run(_runner(folder), "-c", NO_HOOKS, *asked)
    entries = (line.partition("\t") for line in answer.split("\0")[:-1])
    return {path: facts[:6] for facts, _, path in entries}


def is_ignored(repository: Repository, name: str) -> bool:
    """Whether Git ignores a path."""
    try:
        _ask(repository, "check-ignore", "--quiet", "--no-index", "--", name)
    except Unavailable:
        return False
    return True


def check_can_tag(repository: Repository, name: TagName) -> None:
    """Refuse, before anything is pushed, what ``create_tag`` would refuse.

    Raises:
        Refused: a tag has the name, or Git does not know who you are.
    """
    ref = f"refs/tags/{name}"
    kind = _ask(repository, "for-each-ref", "--format=%(refname) %(objecttype)", ref)
    for line in kind.splitlines():
        if line == f"{ref} tag":
            raise Refused(f"the tag {name} exists", "release another version")
        if line.startswith(f"{ref} "):
            raise Refused(
                f"the tag {name} exists, and is not annotated",
                f"release another version, or remove it: git tag -d {name}",
            )
    if not identity(repository):
        raise Refused("Git does not know who you are", IDENTIFY)


def create_tag(repository: Repository, name: TagName, commit_id: str, message: str) -> bool:
    """Make an annotated tag, and make it durable: ``git tag`` alone does not fsync.

    Returns:
        Whether it is signed, as Git's ``tag.gpgSign`` or ``tag.forceSignAnnotated`` asks for.

    Raises:
        Refused: the tag exists, Git does not know who you are, or it cannot sign.
    """
    sign = _signs_tags(repository)
    try:
        _execute(
            repository.git,
            ["git", "-c", "core.fsync=all", "tag", "--sign" if sign else "--annotate",
             "--cleanup=verbatim", f"--message={message}", "--end-of-options", str(name), commit_id]
        )  # fmt: skip
    except _Stopped as stopped:
        if "already exists" in stopped.said:
            raise Refused(f"the tag {name} exists", "release another version") from None
        if "Please tell me who you are" in stopped.said:
            raise Refused("Git does not know who you are", IDENTIFY) from None
        if "unable to sign the tag" in stopped.said:
            raise _cannot_sign(name, _failed(stopped).message) from None
        raise _failed(stopped) from None
    # Git 2.39 makes a tag without a signature, and exits with 0, where ssh-keygen has failed
    if sign and not _ask(
        repository, "for-each-ref", "--format=%(contents:signature)", f"refs/tags/{name}"
    ).strip():  # fmt: skip
        delete_tag(repository, name)
        raise _cannot_sign(name, "the key cannot be used")
    return sign


def _signs_tags(repository: Repository) -> bool:
    pattern = r"^tag\.(gpgsign|forcesignannotated)$"
    try:
        told = _ask(repository, "config", "--type=bool", "--get-regexp", pattern)
    except Unavailable:  # neither is set
        return False
    values = dict(line.split() for line in told.splitlines())  # the last value of each counts
    return "true" in values.values()


def _cannot_sign(name: TagName, why: str) -> Refused:
    return Refused(
        f"Git cannot sign the tag {name}: {why.removeprefix('git: ')}",
        "see git config --get-regexp 'gpg|signingkey', or do without: git config tag.gpgSign false",
    )


def check_signed(
    repository: Repository, tag: Tag, allowed_signers: Path, revoked_keys: Path | None
) -> str:
    """Have Git check a tag's SSH signature against these files, and no others.

    Git takes the time that the tag says for that of the signature: a key that has leaked is to be
    revoked, it does not help that it has expired.

    Returns:
        Who signed it: the principal of ``allowed_signers``, and the key's fingerprint.

    Raises:
        Refused: no key signed it that these files allow.
    """
    for path in (allowed_signers, revoked_keys):
        if path is not None and not path.is_file():
            raise Refused(f"{path} is no file", "name the file of keys in host.toml")
    # the repository's own configuration may name other files, and programs to run
    trust = {
        "gpg.ssh.allowedSignersFile": allowed_signers,
        "gpg.ssh.revocationFile": revoked_keys or "",
        "gpg.ssh.program": "ssh-keygen",
        "gpg.program": "false",
        "gpg.openpgp.program": "false",
        "gpg.x509.program": "false",
        "gpg.minTrustLevel": "fully",
    }
    options = [part for key, value in trust.items() for part in ("-c", f"{key}={value}")]
    try:
        _, _, told = _execute(
            repository.git,
            ["git", *QUIET, *options, "verify-tag", "--raw", tag.object_id],
            with_extended_output=True,
            env={"LC_ALL": "C"},
        )
    except _Stopped as stopped:
        lines = stopped.said.splitlines()  # the last of them is ssh-keygen's reason
        why = _text(lines[-1]) if lines else f"exit code {stopped.status}"
        raise Refused(
            f"the tag {tag.name} is not signed by a key that counts here: {why}",
            f"who may sign is in {allowed_signers}",
        ) from None
    signer = re.search(r'^Good "git" signature for (.+) with \S+ key (\S+)', told, re.MULTILINE)
    if not signer:
        raise Refused(
            f"the tag {tag.name} is not signed by a key that counts here: {_text(told.strip())}",
            f"who may sign is in {allowed_signers}",
        )
    return _text(f"{signer[1]} ({signer[2]})")


def delete_tag(repository: Repository, name: TagName) -> None:
    """Take a local tag back."""
    _act(repository, "tag", "--delete", "--", str(name))


def push_tag(repository: Repository, remote: str, name: TagName) -> None:
    """Push one tag, and with it the commits that it needs.

    Raises:
        Refused: Git's configuration here has no remote of that name.
        Unavailable: the remote refuses it or does not answer.
    """
    _check_remote(repository, remote)
    _act(
        repository, "push", "--quiet", "--end-of-options", remote,
        f"refs/tags/{name}:refs/tags/{name}",
    )  # fmt: skip


def _check_remote(repository: Repository, remote: str) -> None:
    """Refuse an address for a remote: params.yaml, which names one, comes with the repository."""
    if remote not in _ask(repository, "remote").splitlines():
        raise Refused(
            f"Git has no remote {redact.text(remote)}",
            "name one of `git remote`; a new one is made by: git remote add NAME URL",
        )


def default_remote(repository: Repository) -> str | None:
    """The remote to release to: ``origin``, else the only one there is."""
    names = _ask(repository, "remote").split()
    if "origin" in names:
        return "origin"
    return names[0] if len(names) == 1 else None


def commit_only(repository: Repository, names: list[str], message: str) -> str:
    """Commit just these files; what else is changed or staged stays as it was.

    Returns:
        The id of the new commit, or of HEAD where the files have not changed.
    """
    _act(repository, "--literal-pathspecs", "add", "--", *names)
    if changed(repository, names):
        _act(
            repository, "--literal-pathspecs", "commit", "--quiet", f"--message={message}",
            "--only", "--", *names,
        )  # fmt: skip
    return commit(repository, "HEAD").id


def unstage(repository: Repository, names: list[str]) -> None:
    """Set the index back to HEAD for these files."""
    _act(repository, "--literal-pathspecs", "reset", "--quiet", "HEAD", "--", *names)


def identity(repository: Repository) -> str:
    """``Name <mail>`` of whoever runs Git here, or an empty string where Git does not know."""
    try:
        line = _ask(repository, "var", "GIT_COMMITTER_IDENT")
    except Unavailable:
        return ""
    return line.rpartition(">")[0] + ">"


def _ask(repository: Repository, *arguments: str) -> str:
    """A question: it runs no hook, and talks to nobody."""
    return _run(repository.git, "-c", NO_HOOKS, *arguments)


def _read(repository: Repository, *arguments: str) -> Iterator[list[str]]:
    """A question whose answer is fields, each ended by NUL: read while Git still writes.

    What is no UTF-8 is replaced.

    Raises:
        Unavailable: Git has ended with an error; what came before it counts for nothing.
    """
    command = ["git", *QUIET, "-c", NO_HOOKS, *arguments]
    process = _execute(repository.git, command, as_process=True)
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
        _unless_stopped(process.wait, stderr=said[0])
    except _Stopped as stopped:
        raise _failed(stopped) from None


def _act(repository: Repository, *arguments: str) -> str:
    """A change, or a talk with a remote: it runs the user's hooks, and fetches no object."""
    runner = _new(repository.top)
    runner.update_environment(**ENVIRONMENT)
    return _run(runner, *arguments)


def _run(runner: "Git", *arguments: str) -> str:
    command = ["git", *QUIET, *arguments]
    try:
        return str(_execute(runner, command, strip_newline_in_stdout=False))
    except _Stopped as stopped:
        raise _failed(stopped) from None


def _failed(stopped: _Stopped) -> TagshipError:
    """The error in Git's own words."""
    lines = [line for line in stopped.said.splitlines() if line.strip()]
    lines = lines or [f"exit code {stopped.status}"]
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


def _text(raw: str) -> str:
    """Text that can be written as UTF-8: GitPython keeps other bytes as surrogates."""
    if raw.isascii():  # of ten thousand tags most is
        return raw
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _date(commit_id: str, seconds: str) -> datetime:
    try:
        return _time(seconds)
    except (ValueError, OverflowError, OSError):
        raise Corrupt(
            f"commit {commit_id[:10]} has a date that no calendar has", "release another commit"
        ) from None


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)

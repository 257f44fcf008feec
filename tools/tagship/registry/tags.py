"""Annotated tags in the grammar of GTO: read, created, verified, pushed."""

import re
import shlex
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tagship.errors import NotTrusted, Refused, Unavailable
from tagship.git import clone, readable, remotes, run
from tagship.git.bounded import Limit
from tagship.git.run import FSYNC, NO_HOOKS, QUIET, CommandFailed, Repository
from tagship.progress import Tell, nobody
from tagship.registry import refs
from tagship.registry.refs import TagName
from tagship.text import escape

# What Git says where it cannot sign; the second one where no key is named, gpg.format=ssh (2.39)
UNSIGNED = ("unable to sign the tag", "gpg.ssh.defaultKeyCommand needs to be configured")
IDENTIFY = 'git config user.name "Your Name" && git config user.email you@example.com'
FETCH = Limit(silence=15, total=60)  # of one tag and its commit
SSH_SIGNATURE = "-----BEGIN SSH SIGNATURE-----"
# What ``read`` asks for. Fields end in NUL: names and messages can contain anything else.
TAG_FORM = (
    "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(*objecttype)%00%(taggerdate:unix)%00"
    "%(taggername)%00%(taggeremail)%00%(tag)%00%(contents)%00%(contents:signature)%00"
)


class Tag(NamedTuple):
    """An annotated tag in the grammar of GTO. Not a dataclass: 10,000 of those are slow to make.

    Attributes:
        name: of the ref.
        object_id: the tag object's.
        commit: what it points at.
        message: without the signature.
        own_name: in the tag object: a ref can point to the object of another tag.
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
        """The ``Key: value`` lines at the end of the message."""
        return refs.trailers(self.message)


def read(repository: Repository, model: str | None = None) -> list[Tag]:
    """Every annotated tag in the grammar of GTO, of one model or of all.

    Other tags, and broken ones, are ignored.
    """
    return read_all(repository, model)[0]


def read_all(repository: Repository, model: str | None = None) -> tuple[list[Tag], list[TagName]]:
    """What ``read`` returns, and the names of the lightweight tags in the grammar of GTO.

    Those do not count. A person made them, or a checkout: actions/checkout of a tag fetches its
    commit to the name of the tag.

    Raises:
        Forbidden: this account may not read all of them; Git would leave those out.
    """
    readable.check_tags(repository.top)
    answer = run.read_fields(repository, "for-each-ref", f"--format={TAG_FORM}", *patterns(model))
    parts = chain.from_iterable(answer)
    tags, lightweight = [], []
    for name, object_id, commit, kind, at, tagger, email, own_name, message, signature in zip(
        *[parts] * 10, strict=True
    ):
        tag_name = TagName.parse(name.removeprefix("\n"))
        if not tag_name:
            continue
        if kind != "commit":
            if not kind:  # a lightweight tag peels to nothing
                lightweight.append(tag_name)
            continue
        try:
            when = run.time_of(at)
        except (ValueError, OverflowError, OSError):  # no date, or out of range
            continue
        text = message.removesuffix(signature)
        tags.append(
            Tag(tag_name, object_id, commit, f"{tagger} {email}", when, text, own_name, signature)
        )
    return tags, lightweight


def ids(place: Path | Repository, model: str) -> dict[TagName, str]:
    """The id of what each tag of a model points to; no object is read, so it is fast.

    Args:
        place: a folder in the repository, or the repository.
        model: its name.

    Raises:
        Forbidden: this account may not read all of them.
        Unavailable: Git cannot answer.
    """
    readable.check_tags(place.top if isinstance(place, Repository) else place)
    form = "--format=%(objectname) %(refname:strip=2)"
    lines = run.ask_fast(place, "for-each-ref", form, *patterns(model)).split("\n")
    pairs = (line.split(" ", 1) for line in lines if line)
    names = ((TagName.parse(name), identity) for identity, name in pairs)
    return {name: identity for name, identity in names if name is not None}


def patterns(model: str | None) -> list[str]:
    """Patterns of git-for-each-ref(1) for the tags of one model or of all."""
    if model is None:
        return ["refs/tags/"]
    name = f"refs/tags/{model.replace(':', '=')}"
    return [f"{name}@*", f"{name}#*", f"{name}#*/**"]  # the name of a stage can have slashes


class RemoteTag(NamedTuple):
    """What a remote says of a tag of its own; ``annotated`` as it points to a tag object."""

    object_id: str
    commit: str
    annotated: bool


def of_remote(
    repository: Repository, remote: str, tell: Tell = nobody, limit: Limit = remotes.LOOK,
    model: str | None = None,
) -> dict[TagName, RemoteTag]:  # fmt: skip
    """The tags of a remote.

    Args:
        repository: the clone.
        remote: the name of one of its remotes.
        tell: is told whom is waited for.
        limit: how long.
        model: read the tags of this model alone; None for all.

    Raises:
        Unavailable: the remote does not answer.
    """
    of_model = patterns(model)[:2] if model else ()  # here, other than there, * has slashes too
    question = ("-c", NO_HOOKS, "ls-remote", "--tags", "--end-of-options", remote, *of_model)
    answer = remotes.ask(repository, remote, question, tell, limit)
    tags: dict[TagName, RemoteTag] = {}
    for line in answer.splitlines():
        object_id, _, ref = line.partition("\t")
        name = TagName.parse(ref.removeprefix("refs/tags/").removesuffix("^{}"))
        if not name or model not in (None, name.model):
            continue
        if ref.endswith("^{}"):  # the peeled line follows the tag object's own
            tags[name] = RemoteTag(tags[name].object_id, object_id, annotated=True)
        else:
            tags[name] = RemoteTag(object_id, object_id, annotated=False)
    return tags


def fetch_trailers(
    repository: Repository, remote: str, name: TagName, object_id: str, tell: Tell = nobody
) -> dict[str, str]:
    """The trailers of a tag of ``remote`` that is not here. It is fetched into no ref.

    Args:
        repository: the clone. A shallow one gets the tag's commit alone.
        remote: the name of the remote.
        name: the tag's.
        object_id: the tag object's.
        tell: is told whom is waited for.

    Raises:
        Unavailable: the remote does not answer.
    """
    if not clone.has(repository, object_id):
        depth = ["--depth=1"] if clone.is_shallow(repository) else []
        question = (
            "-c", NO_HOOKS, "fetch", "--quiet", "--no-tags", "--no-prune", "--refmap=", *depth,
            "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance",
            "--end-of-options", remote, f"refs/tags/{name}",
        )  # fmt: skip
        remotes.ask(repository, remote, question, tell, FETCH)
    text = run.ask(repository, "cat-file", "tag", object_id).partition("\n\n")[2]
    return refs.trailers(text.partition("\n-----BEGIN ")[0])  # a signature follows the message


def check_can_tag(repository: Repository, name: TagName) -> None:
    """Check, before anything is pushed, that ``create`` can make the tag.

    Raises:
        Refused: the tag exists, or Git does not know who you are.
    """
    from tagship.git import worktree  # who only reads tags need not import what reads files

    ref = f"refs/tags/{name}"
    kind = run.ask(repository, "for-each-ref", "--format=%(refname) %(objecttype)", ref)
    for line in kind.splitlines():
        if line == f"{ref} tag":
            raise Refused(f"the tag {name} exists", "release another version")
        if line.startswith(f"{ref} "):
            fetch = clone.fetch_tags(repository)
            other = f"{fetch} --force" if fetch else "release another version"
            raise Refused(
                f"the tag {name} exists, and is not annotated",
                f"{other}; or remove it: git tag -d {name}",
            )
    if not worktree.identity(repository):
        raise Refused("Git does not know who you are", IDENTIFY)


def create(
    repository: Repository, name: TagName, commit_id: str, message: str,
    at: int | None = None, hint: str = "release another version",
) -> bool:  # fmt: skip
    """Create an annotated tag, durably: ``git tag`` alone does not fsync.

    Args:
        repository: of the commit.
        name: of the tag.
        commit_id: what it points at; a tag that points at a tag breaks GTO.
        message: all of it.
        at: its date, in seconds since 1970; None for what Git takes.
        hint: what to do where the tag exists.

    Returns:
        Whether it is signed, as Git's ``tag.gpgSign`` or ``tag.forceSignAnnotated`` asks for.

    Raises:
        Refused: the tag exists, Git does not know who you are, or it cannot sign.
    """
    sign = _signs_tags(repository)
    dated = {} if at is None else {"GIT_COMMITTER_DATE": f"@{at} +0000"}
    try:
        run.execute(
            repository.git,
            ["git", *FSYNC, "tag", "--sign" if sign else "--annotate",
             "--cleanup=verbatim", f"--message={escape.encodable(message)}", "--end-of-options",
             str(name), commit_id],
            env=dated,
        )  # fmt: skip
    except CommandFailed as error:
        if "already exists" in error.stderr:
            raise Refused(f"the tag {name} exists", hint) from None
        if beside := re.search(r"'refs/tags/([^']+)' exists; cannot create", error.stderr):
            other = run.as_utf8(beside[1])
            what = f"Git cannot keep the tag {name} beside {other}, which would be a folder"
            if name.version is not None:
                remove = f"delete that one: git tag -d {shlex.quote(other)}"
                raise Refused(what, f"{remove}; or give another version: --version") from None
            raise Refused(what, "choose another name for the stage") from None
        if "Please tell me who you are" in error.stderr:
            raise Refused("Git does not know who you are", IDENTIFY) from None
        if any(text in error.stderr for text in UNSIGNED):
            raise _cannot_sign(name, run.failure(error).message) from None
        raise run.failure(error) from None
    # Git 2.39 makes a tag without a signature, and exits with 0, if ssh-keygen fails
    if sign and not run.ask(
        repository, "for-each-ref", "--format=%(contents:signature)", f"refs/tags/{name}"
    ).strip():  # fmt: skip
        delete(repository, name)
        raise _cannot_sign(name, "the key cannot be used")
    return sign


def _signs_tags(repository: Repository) -> bool:
    pattern = r"^tag\.(gpgsign|forcesignannotated)$"
    try:
        settings = run.ask(repository, "config", "--type=bool", "--get-regexp", pattern)
    except Unavailable:  # neither is set
        return False
    values = dict(line.split() for line in settings.splitlines())  # the last value of each counts
    return "true" in values.values()


def _cannot_sign(name: TagName, why: str) -> Refused:
    return Refused(
        f"Git cannot sign the tag {name}: {why.removeprefix('git: ')}",
        "see git config --get-regexp 'gpg|signingkey', or do without: git config tag.gpgSign false",
    )


def check_signed(
    repository: Repository, tag: Tag, allowed_signers: Path, revoked_keys: Path | None
) -> str:
    """Verify the SSH signature of a tag with Git, with these files and no others.

    Git trusts the tag for the time of the signature. So a leaked key must be revoked: it is not
    enough that it has expired.

    Returns:
        Who signed it: the principal of ``allowed_signers``, and the key's fingerprint.

    Raises:
        NotTrusted: it is not signed by a key that these files allow.
    """
    for path in (allowed_signers, revoked_keys):
        if path is not None and not path.is_file():
            raise NotTrusted(f"{path} is not a file", "name the file of keys in host.toml")
    # the configuration of the repository could name other files, and programs to run
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
        _, _, result = run.execute(
            repository.git,
            ["git", *QUIET, *options, "verify-tag", "--raw", tag.object_id],
            with_extended_output=True,
            env={"LC_ALL": "C"},
        )
    except CommandFailed as error:
        lines = error.stderr.splitlines()  # the last of them is ssh-keygen's reason
        why = run.as_utf8(lines[-1]) if lines else f"exit code {error.status}"
        raise NotTrusted(
            f"the tag {tag.name} is not signed by a key that counts here: {why}",
            f"who may sign is in {allowed_signers}",
        ) from None
    signer = re.search(r'^Good "git" signature for (.+) with \S+ key (\S+)', result, re.MULTILINE)
    if not signer:
        why = run.as_utf8(result.strip())
        raise NotTrusted(
            f"the tag {tag.name} is not signed by a key that counts here: {why}",
            f"who may sign is in {allowed_signers}",
        )
    return run.as_utf8(f"{signer[1]} ({signer[2]})")


def delete(repository: Repository, name: TagName) -> None:
    """Delete a local tag."""
    run.act(repository, "tag", "--delete", "--", str(name))


def push(
    repository: Repository, remote: str, name: TagName, branch: tuple[str, str] | None = None,
    tell: Tell = nobody,
) -> None:  # fmt: skip
    """Push one tag, with the commits that it needs; and a branch with it.

    Args:
        repository: has the tag.
        remote: the name of one of its remotes.
        name: of the tag.
        branch: a commit, and the branch of the remote that is to have it.
        tell: is told whom is waited for.

    Raises:
        Unavailable: the remote refuses one of the two, or does not answer.
    """
    refspecs = [f"{branch[0]}:refs/heads/{branch[1]}"] if branch else []
    remotes.push(repository, remote, [*refspecs, f"refs/tags/{name}:refs/tags/{name}"], tell)

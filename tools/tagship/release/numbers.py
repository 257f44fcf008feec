"""The number of a new version, and whether there is anything new: what tags, remotes and this host
know of a model."""

import contextlib
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from semver import Version

from tagship.dvc.snapshot import Snapshot
from tagship.errors import Refused, TagshipError, Unavailable, Unchanged
from tagship.git import clone, remotes
from tagship.git.bounded import Limit
from tagship.progress import Tell, nobody
from tagship.registry import refs, tags
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Action, TagName
from tagship.registry.tags import RemoteTag
from tagship.text import redact
from tagship.workspace import absent
from tagship.workspace.source import Source


class AlreadyReleased(Unchanged):
    """A version that is here has it: ``version``."""

    def __init__(
        self, message: str, hint: str, version: Version, *, unpushed: bool = False
    ) -> None:
        super().__init__(message, hint)
        self.version, self.unpushed = version, unpushed


@dataclass(frozen=True)
class Known:
    """The versions of a model that there are.

    Attributes:
        here: those of this clone.
        remote: Git's remote to release to.
        theirs: the tags of the model there.
        deployed: those that this host's history names.
        warnings: what the user should know.
    """

    here: Catalog
    remote: str | None = None
    theirs: dict[TagName, RemoteTag] = field(default_factory=dict)
    deployed: tuple[Version, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> dict[Version, TagName]:
        """The versions that the remote has as annotated tags, not withdrawn, and not here."""
        gone = self._withdrawn_there
        return {version: name for version, name in self._away.items() if str(version) not in gone}

    @property
    def withdrawn_elsewhere(self) -> dict[Version, TagName]:
        """The same of those that were withdrawn there."""
        gone = self._withdrawn_there
        return {version: name for version, name in self._away.items() if str(version) in gone}

    @property
    def _withdrawn_there(self) -> set[str]:
        return {str(name.version) for name in self.theirs if name.action is Action.DEREGISTER}

    @property
    def _away(self) -> dict[Version, TagName]:
        """The versions that the remote has as annotated tags, and that are not here."""
        return {
            name.version: name
            for name, tag in self.theirs.items()
            if name.action is Action.REGISTER and name.version is not None and tag.annotated
            if not self.here.get(str(name.version))
        }

    @property
    def vanished(self) -> list[Version]:
        """The versions that were deployed here, and are neither in this clone nor on the remote."""
        there = {str(name.version) for name in self.theirs}
        return [v for v in self.deployed if not self.here.get(str(v)) and str(v) not in there]


def known(
    source: Source, model: str, *, push: bool, deployed: Iterable[str] = (), tell: Tell = nobody
) -> Known:
    """What there is of a model: here, and on the remote, as a clone may lack its tags.

    Args:
        source: the clone.
        model: its name.
        push: the remote must answer.
        deployed: versions that this host's history names.
        tell: is told whom is waited for.

    Raises:
        Refused: with ``push``, Git has no remote.
        Unavailable: with ``push``, the remote does not answer.
    """
    here = source.catalog(model)
    ours = tuple(Version.parse(version) for version in deployed)
    remote = remotes.to_release_to(source.repository, source.git_remote)
    if remote is None and push:
        raise no_remote()
    if remote is None:
        return Known(here, deployed=ours)
    where = redact.text(remote)
    try:
        limit = remotes.ANSWER if push else remotes.LOOK
        theirs = _of_model(source, remote, model, tell, limit)
    except Unavailable as error:
        if push:
            raise
        hint = f" ({error.hint})" if error.hint else ""
        note = f"the tags of {where} could not be read: {error.message}{hint}"
        return Known(here, remote, {}, ours, (note,))
    moved = [
        f"the tag {name} is another one on {where}: git fetch --tags --force"
        for name, tag in theirs.items()
        if (release := here.get(str(name.version)))
        and (release.tag.name, tag.annotated) == (name, True)
        and release.tag.object_id != tag.object_id
    ]
    return Known(here, remote, theirs, ours, tuple(moved))


def no_remote() -> Refused:
    """The error where there is no remote to push to."""
    return Refused("Git has no remote to push to", "git remote add origin URL")


def _of_model(
    source: Source, remote: str, model: str, tell: Tell, limit: Limit
) -> dict[TagName, RemoteTag]:
    return tags.of_remote(source.repository, remote, tell, limit, model)


def next_version(versions: Known, bump: str) -> tuple[Version, list[str]]:
    """The next version, higher than all that were ever known here; and what to know of it."""
    named = [name.version for name in versions.theirs if name.version is not None]
    tagged = [*versions.here.taken, *named]
    vanished = max(versions.vanished, default=None)
    if vanished is None or (tagged and max(tagged) > vanished):
        return refs.next_version(tagged, bump), []
    note = f"{vanished} was deployed here, and its tag is neither in this clone nor on a remote"
    return refs.next_version([*tagged, vanished], bump), [note]


def waiting(versions: Known, snapshot: Snapshot) -> Release | None:
    """A version of this very commit that was released without --push."""
    here = [
        release
        for release in versions.here.offered
        if release.commit == snapshot.commit and release.tag.name not in versions.theirs
    ]
    return here[-1] if here else None


def check_number(source: Source, versions: Known, version: Version) -> None:
    """Check that a version's number was never given.

    Raises:
        Refused: it was: by a tag here or on the remote, or to what was deployed here.
    """
    model = versions.here.model
    there = any(
        name.action is Action.REGISTER and str(name.version) == str(version)
        for name in versions.theirs
    )
    if versions.here.get(str(version)):
        raise Refused(f"{model} {version} exists", f"tagship show {model}@{version}")
    if there:
        raise Refused(f"{model} {version} exists", "git fetch --tags")
    if version in versions.deployed:
        raise Refused(
            f"{model} {version} was deployed here, from a tag that is not in this clone",
            absent.hint(source.clone_tags, "release another version"),
        )


def check_not_a_fork(source: Source, versions: Known, tell: Tell = nobody) -> None:
    """Check, before a first release, that no other remote has versions of the model.

    Raises:
        Refused: one has. This is a clone of a fork, which has the commits and not the tags.
    """
    if versions.remote is None or versions.here.releases or versions.theirs:
        return
    model = versions.here.model
    for other in remotes.names(source.repository):
        if other == versions.remote:
            continue
        try:
            theirs = _of_model(source, other, model, tell, remotes.LOOK)
        except Unavailable:  # a release needs it not
            continue
        highest = max((name.version for name in theirs if name.version is not None), default=None)
        if highest is not None:
            raise Refused(
                f"{redact.text(versions.remote)} has no version of {model},"
                f" but {redact.text(other)} has {highest}",
                f"git fetch --tags {redact.text(other)};"
                f" or begin anew: tagship release {model} --version 1.0.0",
            )


def check_new(
    source: Source, versions: Known, snapshot: Snapshot, tell: Tell = nobody, *,
    push: bool = False, push_branch: bool = False,
) -> None:  # fmt: skip
    """Check that the commit carries no version yet, and that its bytes are not the last version's.

    Args:
        source: the clone.
        versions: those that there are.
        snapshot: what HEAD has of the model.
        tell: is told whom is waited for.
        push: the tag was to be pushed: that of the last version may be left to push.
        push_branch: the same of HEAD's branch.

    Raises:
        Unchanged: one of both; AlreadyReleased, where the version is in this clone.
        Refused: it cannot be compared with a version that is not in this clone.
        Unavailable: the bytes of the last version cannot be known here.
    """
    push_it = _push_branch(source, versions, snapshot.commit) if push_branch else ""
    _check_commit(versions, snapshot, push_it)
    here, elsewhere = versions.here, versions.elsewhere
    last = here.offered[-1] if here.offered else None
    highest = max(elsewhere, default=None)
    if highest is not None and (last is None or last.version < highest):
        _check_bytes_elsewhere(source, versions, elsewhere[highest], snapshot, tell)
    elif last is not None and _identity(source, last, here.model) == snapshot.identity:
        push_last = _push_it(versions, last) if push else ""
        raise AlreadyReleased(
            f"the bytes of {here.model} are those of {last.version}",
            push_last or "train it again, or release them again with --force",
            last.version,
            unpushed=bool(push_last),
        )
    known = [version for version in (last and last.version, highest) if version is not None]
    _check_not_withdrawn(source, versions, snapshot, max(known, default=None), tell)


def _check_not_withdrawn(
    source: Source, versions: Known, snapshot: Snapshot, last: Version | None, tell: Tell
) -> None:
    """Check that the bytes are not those of a version that was withdrawn, above the last one.

    One that only the remote has, and that cannot be read, stops no release.
    """
    here = versions.here
    if here.deprecated:
        return
    identities: Mapping[Version, Callable[[], str | None]] = {
        release.version: partial(_identity, source, release, here.model)
        for release in here.releases
        if not release.active
    } | {
        version: partial(_identity_elsewhere, source, versions, name, tell)
        for version, name in versions.withdrawn_elsewhere.items()
    }
    for version, identity in sorted(identities.items(), reverse=True):
        with contextlib.suppress(Unavailable):
            if (last is None or version > last) and identity() == snapshot.identity:
                raise Unchanged(
                    f"the bytes of {here.model} are those of {version}, which was withdrawn",
                    "train it again, or release them again with --force",
                )


def _push_it(versions: Known, release: Release) -> str:
    """The command that pushes the tag of a version which the remote has not; else empty."""
    if versions.remote is None or release.tag.name in versions.theirs:
        return ""
    where = shlex.quote(redact.text(versions.remote))
    push = f"git push {where} {shlex.quote(str(release.tag.name))}"
    return f"{where} does not have its tag: {push}; or release them again with --force"


def _check_commit(versions: Known, snapshot: Snapshot, push_branch: str) -> None:
    model = versions.here.model
    carried = [r.version for r in versions.here.offered if r.commit == snapshot.commit]
    elsewhere = [
        version
        for version, name in versions.elsewhere.items()
        if versions.theirs[name].commit == snapshot.commit
    ]
    if not carried and not elsewhere:
        return
    version = [*carried, *elsewhere][0]
    what = f"this commit carries {model} {version} already"
    deploy = f"tagship deploy {model}@{version}"
    change = f"its bytes are those of {version}: commit other ones first"
    if carried:
        hint = f"{change}, or deploy it: {deploy}"
        raise AlreadyReleased(what, push_branch or hint, version)
    raise Unchanged(what, f"{change}, or deploy it: git fetch --tags && {deploy}")


def _push_branch(source: Source, versions: Known, commit: str) -> str:
    """The command that pushes HEAD's branch; empty where the remote is known to have the commit."""
    repository, remote = source.repository, versions.remote
    branch = remotes.branch_of_head(repository)
    if branch is None or remote is None:
        return ""
    if remotes.has_commit(repository, remotes.tracked(repository, remote), commit):
        return ""
    where, target = shlex.quote(redact.text(remote)), shlex.quote(branch)
    return f"to push the branch alone: git push {where} HEAD:{target}"


def _check_bytes_elsewhere(
    source: Source, versions: Known, name: TagName, snapshot: Snapshot, tell: Tell
) -> None:
    """Compare with a version that only the remote has: by its commit, or else by its tag."""
    where, model = redact.text(versions.remote or ""), versions.here.model
    try:
        identity = _identity_elsewhere(source, versions, name, tell)
    except Unavailable as error:
        raise Refused(
            f"{name} of {where} is not in this clone, and could not be read: {error.message}",
            "git fetch --tags",
        ) from None
    if identity == "":  # GTO or a person made the tag
        raise Refused(
            f"{name} of {where} is not in this clone, and may have the same bytes",
            "git fetch --tags; or release them anyway with --force",
        )
    if identity == snapshot.identity:
        raise Unchanged(
            f"the bytes of {model} are those of {name.version}, which {where} has",
            "train it again; or deploy it: git fetch --tags &&"
            f" tagship deploy {model}@{name.version}",
        )


def _identity_elsewhere(source: Source, versions: Known, name: TagName, tell: Tell) -> str | None:
    """As ``_identity``, of a version that only the remote has; empty where its tag does not say."""
    tag = versions.theirs[name]
    if clone.has(source.repository, tag.commit):
        return _identity_at(source, tag.commit, versions.here.model)
    remote = versions.remote or ""
    trailers = tags.fetch_trailers(source.repository, remote, name, tag.object_id, tell)
    return trailers.get("Digest", "")


def _identity(source: Source, release: Release, model: str) -> str | None:
    """Equal for equal bytes: from the commit, or the tag where a partial clone lacks its files."""
    try:
        return _identity_at(source, release.commit, model)
    except Unavailable:
        digest = release.tag.trailers.get("Digest")
        if digest is None:
            raise
        return digest


def _identity_at(source: Source, commit: str, model: str) -> str | None:
    try:
        return source.snapshot(commit, model).identity
    except Unavailable:
        raise
    except TagshipError:  # that version's commit does not declare the model as we do
        return None

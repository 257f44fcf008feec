"""What a deploy or a rollback would change. Touches nothing."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from semver import Version

from tagship.errors import Held, NotFound, Refused, TagshipError, Unavailable
from tagship.git import commits
from tagship.git.run import CommandFailed
from tagship.host import decisions, history, installed, journal, link
from tagship.host.decisions import Decisions
from tagship.host.history import Event, Place
from tagship.host.journal import Past
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Progress, silent
from tagship.registry import refs
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Ref, TagName, Wanted
from tagship.registry.tags import Tag
from tagship.text import clock
from tagship.workspace import desired, moved, turns
from tagship.workspace.desired import PassedOver
from tagship.workspace.host import Host
from tagship.workspace.source import Source

if TYPE_CHECKING:
    from tagship.git.run import Repository
    from tagship.signing.policy import Policy

HOLD = timedelta(days=7)  # until a hold should end, unless another end is given


@dataclass(frozen=True)
class Plan:
    """What a deploy would do.

    Attributes:
        source: what is live now, None where nothing is.
        version, tag, commit: what would be live.
        commits: how many commits the target has and the live version lacks; None if unknown.
        size: of the target, in bytes; None where DVC did not record it.
        to_fetch: objects that the DVC cache lacks; none where the version is here.
        metrics: name to (live, target), for every metric of either.
        live: the target is live and intact: there is nothing to do.
        left: the rollback from the target to another version here; None if there was none.
        passed_over: a version that the rule selects, but that is blocked.
        on_disk: the target's directory is here, and is used if it is intact.
        until: the end of the hold that this deploy begins, as its version is not what is desired.
        waits: what the version waits for by its rollout, and this deploy does not.
        held: a person holds the model, and goes on to.
    """

    model: str
    source: Place | None
    version: str
    tag: str
    commit: str
    commits: int | None
    size: int | None
    to_fetch: int
    metrics: dict[str, tuple[Any, Any]]
    live: bool
    left: Event | None = None
    passed_over: PassedOver | None = None
    on_disk: bool = False
    until: datetime | None = None
    waits: str = ""
    held: bool = False


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do; ``on_disk``: the target's directory exists and is intact."""

    model: str
    source: Place | None
    target: Place
    on_disk: bool


@dataclass(frozen=True)
class Choice:
    """The version that a deploy makes live, and why.

    Attributes:
        rule: what selected it, such as ``#prod``; None for an exact version.
        assignments: the ids of the tag objects that assign it to a stage.
        deciding: the tags by which the rule selected it, beside its own.
        passed_over: a version that the rule selects, but that is blocked.
        until: the end of the hold that it begins; None if it begins none.
    """

    release: Release
    rule: str | None = None
    assignments: tuple[str, ...] = ()
    passed_over: PassedOver | None = None
    until: datetime | None = None
    deciding: tuple[Tag, ...] = ()


def choose(
    source: Source, known: Catalog, ref: Ref, past: Past, *, retry: bool = False,
    shown: str | None = None, rule: Wanted | None = None,
) -> Choice:  # fmt: skip
    """The version that a deploy makes live: an exact one, or what is desired. Touches nothing.

    Args:
        source, known: where versions come from, and those that there are.
        ref: what was asked for.
        past: the history.
        retry: what is blocked counts too.
        shown: the version of the plan that was confirmed, also if a higher one was released since.
        rule: what this host follows, where a file of it says so; a version that is named counts
            before it.

    Raises:
        NotFound, Refused: there is no such version, it is not available, or all are blocked; or it
            is another one than was shown, and that is not allowed any more.
        Held: the model is held, and no exact version is named.
    """
    is_exact = ref.wanted.exact is not None
    if rule is not None and ref.wanted == Wanted() and not ref.is_named:
        ref = Ref(ref.model, rule)
    release, decided = source.find(known, ref), decisions.read(past, rule)
    selector = ref.wanted
    if is_exact:
        until = _hold_of(known, release, decided)
        return Choice(release, assignments=tuple(known.assigned(release)), until=until)
    by = selector.text
    wish = desired.desired(known, selector, decided, retry=retry)
    release = desired.choose(ref, wish, lambda: source.clone_tags.fetch)
    deciding = tuple(known.deciding(selector, release))
    is_own = rule in (None, selector)  # else a host would go back to what its own rule selects
    if shown is not None and shown != str(release.version):
        confirmed = source.find(known, Ref(ref.model, Wanted.parse(shown, ref.model)))
        allowed = desired.allows(selector, confirmed, None if retry else decided.blocks)
        if allowed and not _is_overtaken(selector, confirmed, decided):
            # a higher one came since
            assignments = tuple(known.assigned(confirmed))
            until = None if is_own else _hold_of(known, confirmed, decided)
            return Choice(confirmed, by, assignments, until=until, deciding=deciding)
        raise Refused(
            f"{release.version} would be deployed by now, and not {shown}, so nothing was done",
            f"see what is new: tagship deploy {ref.model} --dry-run",
        )
    assignments = tuple(known.assigned(release))
    until = None if is_own else _hold_of(known, release, decided)
    return Choice(release, by, assignments, wish.passed_over, until, deciding)


def _is_overtaken(selector: Wanted, confirmed: Release, decided: Decisions) -> bool:
    """Whether a higher version went live by now: that one is not undone by a plan from before."""
    if decided.switch is None or decided.switch.version is None:
        return False
    live = Version.parse(decided.switch.version)
    return selector.fits(live) and refs.precedence(confirmed.version) < refs.precedence(live)


def _hold_of(known: Catalog, release: Release, decided: Decisions) -> datetime | None:
    """The end of the hold that a deploy begins; None if it begins none.

    That of an exact version begins one, and that by another rule than the host's own. To deploy
    again what is live changes nothing in it, and a hold that was asked for goes on.
    """
    switch, hold = decided.switch, decided.hold
    if hold is not None and hold.asked:
        return None
    if switch is not None and switch.version == str(release.version):
        return hold.until if hold is not None else None
    return clock.now() + HOLD if desired.holds(known, release, decided) else None


def check_turn(
    source: Source, host: Host, known: Catalog, choice: Choice, past: Past, *, retry: bool
) -> str:
    """Refuse to deploy by a rule what waits for its turn here; an exact version waits for nothing.

    Args:
        source, host: where versions come from, and where they go.
        known: the versions of the model.
        choice: what would be deployed.
        past: the history.
        retry: a person wants it all the same.

    Returns:
        What it waits for, where it is deployed all the same; empty where it waits for nothing.

    Raises:
        Held: it is not its turn.
    """
    if choice.rule is None:
        return ""
    rule, release = Wanted.parse(choice.rule, known.model), choice.release
    waits = turns.by_hand(source, host, known, rule, release, past)
    if waits and not retry:
        raise Held(waits, f"tagship deploy {known.model}@{release.version}")
    return waits


def tag_ids(source: Source, model: str) -> dict[TagName, str] | None:
    """The id of every tag of a model; None where Git cannot be asked: a rollback goes on then."""
    try:
        return source.tag_ids(model)
    except (TagshipError, CommandFailed, OSError):
        return None


@dataclass(frozen=True)
class Damage:
    """A version directory that is there, and not as it was deployed; ``what``: in which way."""

    directory: str
    what: str

    @classmethod
    def of(cls, directory: str, what: str) -> "Damage | None":
        """The damage of a directory by ``installed.damage``; None where there is none."""
        return None if what in ("", installed.GONE) else cls(directory, what)

    def now(self, verb: str) -> str:
        """The same in words, with ``is`` or ``was``."""
        return f"{self.directory} {verb} damaged ({self.what})"


Kept = tuple[Place, Metadata]


def kept(
    source: Source, store: Store, release: Release, progress: Progress
) -> tuple[Kept | None, Damage | None]:
    """The directory of a version here, from exactly this tag, whose bytes match; the newest one.

    Returns:
        It, and the damage of a newer one; both may be None.

    Raises:
        NotFound, Corrupt, Refused: as for ``Source.snapshot``.
    """
    damage, version = None, str(release.version)
    for directory in _of_version(store, version):
        described = installed.read_metadata(store, directory)
        tag = (version, release.tag.object_id)
        if described is not None and (described.version, described.tag.object) != tag:
            continue
        what = installed.damage(store, directory, deep=True, touched=False, progress=progress)
        if described is None or what:
            damage = damage or Damage.of(directory, what)
        elif _is_as_released(source, release, described):
            return (Place(version, directory), described), damage
    return None, damage


def _of_version(store: Store, version: str) -> list[str]:
    """The directories of a version, the newest first."""
    names = reversed(installed.by_seq(store))
    return [name for name in names if link.version_of(name) == version]


def damage_of(store: Store, version: str, live: Place | None, progress: Progress) -> Damage | None:
    """The damage of a version's live directory, else the newest; of what was touched since."""
    is_live = live is not None and live.version == version
    names = [live.directory] if live is not None and is_live else _of_version(store, version)
    if not names:
        return None
    what = installed.damage(store, names[0], deep=True, progress=progress)
    return Damage.of(names[0], what)


def _is_as_released(source: Source, release: Release, described: Metadata) -> bool:
    """Whether metadata here name what the tag's commit has, as far as the bytes are known here."""
    snapshot = source.tagged(release)
    artifact = snapshot.artifact
    self_test = PurePath(artifact.self_test).name if artifact.self_test else None
    names = (artifact.model, release.commit, PurePath(artifact.path).name, self_test)
    if names != (described.model, described.commit.id, described.path, described.self_test):
        return False
    files = {file.path: file.md5 for file in described.files}
    promised = source.promised(snapshot)
    return all(file.md5 is None or files.get(file.path) == file.md5 for file in promised)


def of_deploy(
    source: Source, host: Host, ref: Ref, progress: Progress = silent, *, retry: bool = False
) -> Plan:
    """What deploying ``ref`` would change. Touches nothing.

    Raises:
        NotFound, Refused, Held: as for ``choose``.
    """
    store = host.store(ref.model)
    past = journal.foreseen(store)
    rule = host.rules.get(ref.model)
    source.check_owner(ref.model, f"deploy {ref}")
    known = source.catalog(ref.model)
    choice = choose(source, known, ref, past, retry=retry, rule=rule)
    release = choice.release
    source.complete([release])
    check_choice(host.policy, source.repository, past, choice)
    version, tag = str(release.version), str(release.tag.name)
    with source.at_tag(release):
        plan = of_commit(source, store, ref.model, release.commit, version, tag)
    left = history.left_by_rollback(past.about(version), version)
    live = is_live(store, release, progress)
    waits = "" if live else check_turn(source, host, known, choice, past, retry=retry)
    here = _of_version(store, version)
    is_whole = live or any(not installed.is_broken(store, name, deep=False) for name in here)
    hold = decisions.read(past, rule).hold
    return replace(
        plan,
        to_fetch=0 if is_whole else plan.to_fetch,
        live=live,
        left=left,
        passed_over=choice.passed_over,
        on_disk=bool(here),
        until=choice.until,
        waits=waits,
        held=hold is not None and hold.asked,
    )


def rule_before(host: Host, model: str, past: Past, rule: str | None) -> str | None:
    """The rule that was followed until now, where a deploy by another one changes it.

    Args:
        host: where a file of it says what is followed, no deploy changes that.
        model: its name.
        past: the history.
        rule: what selects the version that is deployed; None for an exact version.
    """
    if rule is None or model in host.rules:
        return None
    before = decisions.read(past).rule or history.LATEST
    return None if before == rule else before


def rule_now(host: Host, ref: Ref) -> str | None:
    """The rule that is followed, where a deploy by a reference changes it."""
    rule = None if ref.wanted.exact is not None else ref.wanted.text
    return rule_before(host, ref.model, journal.foreseen(host.store(ref.model)), rule)


def of_commit(
    source: Source, store: Store, model: str, commit: str, version: str, tag: str
) -> Plan:
    """What deploying a commit would change, once it is released as that version. Touches nothing.

    Raises:
        NotFound, Corrupt, Refused: as for ``Source.snapshot``.
    """
    snapshot = source.snapshot(commit, model)
    place, live = installed.live_place(store), installed.live_metadata(store)
    now = source.metrics(snapshot)
    before = live.metrics if live else {}
    return Plan(
        model,
        place,
        version,
        tag,
        commit,
        _commits_between(source, live, commit),
        snapshot.size,
        len(source.content(offline=True).lacking(snapshot.pointers)),
        {name: (before.get(name), now.get(name)) for name in sorted({*before, *now})},
        live=False,
    )


def of_rollback(
    source: Source, store: Store, model: str, selector: Wanted | None = None
) -> RollbackPlan:
    """The plan of a rollback. Touches nothing.

    Raises:
        NotFound: there is nothing to go back to.
    """
    live = installed.live_place(store)
    target = rollback_target(source, model, journal.foreseen(store), live, selector)
    on_disk = not installed.is_broken(store, target.directory, deep=False)
    return RollbackPlan(model, live, target, on_disk)


def check_choice(policy: "Policy", repository: "Repository", past: Past, choice: Choice) -> str:
    """Check that a version may go live as it was chosen: its tag, and those that decided.

    Returns, Raises:
        As ``check_tag``.
    """
    for tag in choice.deciding:
        policy.check_tag(repository, tag)
    return check_tag(policy, repository, past, choice.release)


def check_tag(policy: "Policy", repository: "Repository", past: Past, release: Release) -> str:
    """Check that a tag may go live: it was not moved, and is signed if this host requires it.

    Returns:
        Who signed it; empty if no signature is required.

    Raises:
        Refused: as ``moved.check`` and ``Policy.check_tag``.
    """
    moved.check(repository, past, release)
    return policy.check_tag(repository, release.tag)


def check_kept(source: Source, policy: "Policy", past: Past, kept: Metadata) -> None:
    """Check that a version on disk may be live again: its tag as ``check_tag``, and its files.

    Raises:
        NotFound: its tag is not in this clone.
        Refused, Corrupt: a signature that this host requires is missing, or does not match.
    """
    if not policy.asks:
        return  # a rollback to a directory on disk needs no Git
    release = source.catalog(kept.model).get(kept.version)
    if release is None:
        raise NotFound(
            f"the tag {kept.tag.name} is not in this clone, and this host requires a signature",
            "git fetch --tags",
        )
    check_tag(policy, source.repository, past, release)
    policy.check_files(kept.statement, kept.signature)


def rollback_target(
    source: Source,
    model: str,
    past: Past,
    live: Place | None,
    selector: Wanted | None,
) -> Place:
    """The target of a rollback; without a directory if it was never deployed here.

    Raises:
        NotFound: there is nothing to go back to, or no such version.
    """
    if selector is None:
        target = history.rollback_target(past, live)
        if target is None:
            raise _no_target(source, model, past, live)
        return target
    events = past.about(str(selector.exact)) if selector.exact else past
    known = {place.version: place for place in history.deployed(events)}
    version = selector.select(Version.parse(name) for name in known)
    if version is not None and not selector.stage:
        return known[str(version)]
    release = source.release(Ref(model, selector))
    return known.get(str(release.version), Place(str(release.version), ""))


def _no_target(source: Source, model: str, past: Past, live: Place | None) -> NotFound:
    """The error of a rollback without a target; it suggests the next lower version, if any."""
    what = f"{model} has no good version to go back to"
    version = _lower(source, model, past, live) if live is not None else None
    if version is None:
        return NotFound(what, f"tagship list {model}")
    return NotFound(what, f"tagship rollback {model} --to {version}")


def _lower(source: Source, model: str, past: Past, live: Place) -> Version | None:
    """The highest available version below the live one that was not rolled back, nor failed."""
    try:
        known, blocks = source.catalog(model), decisions.blocks(past)
    except (TagshipError, CommandFailed, OSError):  # a rollback goes on without Git
        return None
    floor = refs.precedence(Version.parse(live.version))
    lower = [
        release.version
        for release in known.offered
        if not release.version.prerelease and refs.precedence(release.version) < floor
        if blocks is None or not blocks.cover(release.tag.object_id, release.tag.at)
    ]
    return lower[-1] if lower else None


def is_live(store: Store, release: Release, progress: Progress = silent) -> bool:
    """Whether a version is live, from exactly this tag, and its files are intact."""
    if store.link().state is not LinkState.OK:
        return False
    described = installed.live_metadata(store)
    live = store.live()
    return (
        described is not None
        and live is not None
        and described.tag.object == release.tag.object_id
        and not installed.is_broken(store, live, deep=True, progress=progress)
    )


def _commits_between(source: Source, live: Metadata | None, commit: str) -> int | None:
    if live is None:
        return None
    try:
        return len(commits.apart(source.repository, live.commit.id, commit)[1])
    except Unavailable:  # a shallow clone, or the live version's commit is not in this one
        return None

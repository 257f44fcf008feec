"""Which version should be live: the rule, without what is withdrawn, deprecated or blocked.

Pure: ``deploy`` without an exact version and ``status`` decide by it, from the tags and the history
alone. Three rules hold: it never goes back by itself to what was rolled back, it changes nothing
during a hold, and after a rollback only a tag object or an assignment of a stage that came after it
changes what is live.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from semver import Version

from tagship.errors import Held, InvalidName, Refused
from tagship.host import actions, history
from tagship.host.decisions import Blocks, Decisions, Hold
from tagship.host.history import Event, Place
from tagship.registry import refs
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.registry.tags import Tag
from tagship.text import clock, words


@dataclass(frozen=True)
class PassedOver:
    """A version that the rule selects, and the rollback or the failure that blocks it."""

    version: str
    tag: str
    by: Event

    @property
    def in_words(self) -> str:
        """What happened to it: who rolled back, when and why; or which check failed."""
        by, at = self.by, f"{words.moment(self.by.at)} UTC"
        if by.action == actions.GATE:
            return f"{by.version} failed its gate once it was live, {at}: {by.reason}"
        if by.status == history.FAILED:
            return f"the deploy of {by.version} failed, {at}: {by.error}"
        if by.action == actions.REJECT:
            return f"{by.version} failed its check once it was live, {at}: {by.reason}"
        back = f"rolled back to {by.version} by {by.actor}, {at}"
        return f"{back}: {by.reason}" if by.reason else back


@dataclass(frozen=True)
class Desired:
    """What should be live.

    Attributes:
        release: None where nothing that the rule selects may go live by itself.
        passed_over: the version that the rule would select if nothing was blocked.
        hold: while there is one, nothing changes by itself.
        lower: the highest that the rule selects, where the tag of the live version is not here and
            it is lower.
    """

    release: Release | None
    passed_over: PassedOver | None = None
    hold: Hold | None = None
    lower: Release | None = None


def desired(known: Catalog, rule: Wanted, decisions: Decisions, *, retry: bool = False) -> Desired:
    """What should be live on a host.

    Args:
        known: the versions of the model.
        rule: ``latest``, ``1.2``, ``^1.2``, a stage, or an exact version that is followed: that can
            be blocked and held as any other. Who names one by hand does not ask here.
        decisions: from the history of the model on this host.
        retry: what is blocked counts too.
    """
    blocks = None if retry else decisions.blocks
    wish, allowed = _select(known, rule, None), _select(known, rule, blocks)
    best = allowed if retry else _steady(known, rule, decisions, allowed)
    passed_over = None
    if blocks is not None and wish is not None and wish not in (allowed, best):
        passed_over = PassedOver(
            str(wish.version), str(wish.tag.name), blocks.cause(_blocked_by(known, rule, wish))
        )
    elif decisions.gone_back is not None and wish is not None and best not in (None, wish):
        # gone back to what is above the rule: that counts, and nothing of the rule is blocked
        passed_over = PassedOver(str(wish.version), str(wish.tag.name), decisions.gone_back)
    lower = allowed if best is None else None
    return Desired(best, passed_over, decisions.hold, lower)


def _blocked_by(known: Catalog, rule: Wanted, wish: Release) -> str:
    """The id of the tag object that is blocked: of the stage's assignment, or of the version."""
    return tag_of(known, rule, wish).object_id


def tag_of(known: Catalog, rule: Wanted, wish: Release) -> Tag:
    """The tag that makes a version desired: the assignment of the stage, or its own."""
    assignment = known.assignments.get(rule.stage) if rule.stage is not None else None
    return wish.tag if assignment is None else assignment


def _select(known: Catalog, rule: Wanted, blocks: Blocks | None) -> Release | None:
    """What a rule selects of the available versions, without what is blocked."""
    if rule.stage is not None:
        return _assigned(known, rule.stage, blocks)
    releases = {r.version: r for r in known.offered if not _is_blocked(r, blocks)}
    version = rule.select(releases)
    return releases[version] if version is not None else None


def unseen(known: Catalog, rule: Wanted) -> Tag | None:
    """The assignment of the stage that a rule names, where no tag of its version is known."""
    assignment = known.assignments.get(rule.stage) if rule.stage is not None else None
    if assignment is None or any(each.commit == assignment.commit for each in known.releases):
        return None
    return assignment


def allows(rule: Wanted, release: Release, blocks: Blocks | None) -> bool:
    """Whether a version that a rule selected once may go live by it, though a higher one came."""
    return rule.stage is None and release.active and not _is_blocked(release, blocks)


def _is_blocked(release: Release, blocks: Blocks | None) -> bool:
    tag = release.tag
    if blocks is None or not blocks.cover(tag.object_id, tag.at):
        return False
    return blocks.objects is not None or _is_above(release.version, blocks.event)


def _is_above(version: Version, event: Event) -> bool:
    """Whether a rollback passes over a version, or a rejection is of it or a lower one."""
    if event.version is None or str(version) == event.version:
        return event.version is None or event.rejects
    return _passes(version, event.version)


def _passes(version: Version, floor: str) -> bool:
    """Whether a version is above another one, or another build of it."""
    return str(version) != floor and refs.precedence(version) >= refs.precedence(
        Version.parse(floor)
    )


def _assigned(known: Catalog, stage: str, blocks: Blocks | None) -> Release | None:
    """The version that holds a stage, where its assignment is not blocked.

    The assignment counts again once its version went live by its exact number.
    """
    assignment, holder = known.assignments.get(stage), known.holder(stage)
    if assignment is None or holder is None or not holder.active:
        return None
    if blocks is None or not blocks.cover(assignment.object_id, assignment.at):
        return holder
    tag = holder.tag
    is_free = tag.object_id in blocks.since and not blocks.cover(tag.object_id, tag.at)
    return holder if is_free else None


def _steady(
    known: Catalog, rule: Wanted, decisions: Decisions, allowed: Release | None
) -> Release | None:
    """The version of a rule, or what was gone back to, if the rule has nothing newer.

    Nor is a version left for a lower one where its tag is not in this clone: tags may be missing.
    """
    switch = decisions.switch
    if switch is None or switch.version is None:
        return allowed
    live = known.get(switch.version)
    if rule.stage is not None:
        is_kept = decisions.gone_back is not None and live is not None and live.active
        return live if allowed is None and is_kept else allowed
    base = Version.parse(switch.version)
    is_lower = allowed is None or refs.precedence(allowed.version) < refs.precedence(base)
    if not is_lower or not (rule.fits(base) or _went_back_by(rule, decisions, known, allowed)):
        return allowed
    if live is None:
        return None
    return live if decisions.gone_back is not None and live.active else allowed


def _went_back_by(
    rule: Wanted, decisions: Decisions, known: Catalog, allowed: Release | None
) -> bool:
    """Whether a rule was followed, and left for a version outside of it; what it has is no news."""
    back = decisions.gone_back
    if back is None or rule != rule_of(known.model, decisions):
        return False
    return allowed is None or allowed.tag.at <= history.moment_of(back)


def failure(known: Catalog, decisions: Decisions) -> Event | None:
    """The failure since the last success of a version that is still available, and blocked by it.

    A version that was unblocked by hand or withdrawn since is told by nobody.
    """
    event, blocks = decisions.failed, decisions.blocks
    release = known.get(event.version) if event is not None and event.version else None
    if blocks is None or release is None or not release.active:
        return None
    return event if blocks.cover(release.tag.object_id, release.tag.at) else None


def choose(ref: Ref, wish: Desired, fetch: Callable[[], str | None]) -> Release:
    """The version that should be live, for an act that nobody named a version for.

    Args:
        ref: what was asked for.
        wish: what should be live.
        fetch: the command that brings tags; None without a remote.

    Raises:
        Held: the model is held.
        Refused: all that the rule selects is blocked, or the live version's tag is not here.
    """
    check_not_held(ref.model, wish.hold)
    if wish.release is not None:
        return wish.release
    if wish.passed_over is None:
        command = fetch()
        named = f"tagship deploy {ref.model}@{wish.lower.version}" if wish.lower else ""
        raise Refused(
            f"the tag of the live version of {ref.model} is not in this clone, and what is here is"
            " lower",
            f"{command}; or name the version: {named}" if command else named,
        )
    version = wish.passed_over.version
    raise Refused(
        f"{ref} is blocked: {wish.passed_over.in_words}", f"tagship deploy {ref.model}@{version}"
    )


def check_not_held(model: str, hold: Hold | None) -> None:
    """Refuse to change anything by itself during a hold.

    Raises:
        Held: there is one.
    """
    if hold is not None:
        what = f"{model} is {in_words(hold)}"
        raise Held(what, f"tagship resume {model}", is_over=hold.until < clock.now())


def in_words(hold: Hold) -> str:
    """Who holds a model, until when, and why."""
    reason = f": {hold.event.reason}" if hold.event.reason else ""
    over = " (that is over; a hold does not end by itself)" if hold.until < clock.now() else ""
    end = words.moment(clock.stamp(hold.until))
    return f"held by {hold.event.actor} until {end} UTC{over}{reason}"


def holds(known: Catalog, release: Release, decisions: Decisions) -> bool:
    """Whether a deploy of an exact version holds: it is not what is desired once it is live."""
    rule = rule_of(known.model, decisions)
    blocks = decisions.blocks
    if blocks is not None:
        live = {release.tag.object_id}
        blocks = replace(blocks, deployed=blocks.deployed | live, since=blocks.since | live)
    after = replace(decisions, blocks=blocks, switch=None)
    return desired(known, rule, after).release != release


def is_repair(version: str, live: Place | None, decisions: Decisions) -> bool:
    """Whether a rollback to a version only makes live again what the history says is live.

    Then ``current`` was lost, a backup restored, or its files are damaged: nobody goes back from
    anything.
    """
    switch = decisions.switch
    is_other = live is not None and live.version != version
    return not is_other and switch is not None and switch.version == version


def nothing_selected(model: str, rule: Wanted, live: str | None = None) -> tuple[str, str]:
    """That no version fits a rule, and what helps: one with a typing error waits for ever.

    ``live``: the version that stays meanwhile.
    """
    what = f"no version is there to follow by {rule.text}"
    if live is not None:
        fits = "holds" if rule.stage is not None else "fits"
        what = f"no version {fits} {rule.text}; {live} stays"
    return what, f"tagship list {model}"


def rule_of(model: str, decisions: Decisions) -> Wanted:
    """The rule that was followed last; ``latest`` where none was."""
    try:
        return Wanted.parse(decisions.rule or history.LATEST, model)
    except InvalidName:  # the history was edited
        return Wanted()


def blocked(
    tags: Mapping[TagName, str], blocks: Blocks | None, floor: str | None, ids: Iterable[str] = (),
    tried: Iterable[tuple[str, str]] = (),
) -> tuple[str, ...]:  # fmt: skip
    """The ids of all tag objects that do not go live by themselves after an event.

    Args:
        tags: the id of every tag of the model that is known here.
        blocks: what was blocked before, and still is.
        floor: what is above this version is blocked, and each assignment of a stage.
        ids: are blocked too.
        tried: the version and the id of each tag in the history: it may not be here any more, and
            come back.
    """
    result = set(ids)
    registered = [(_version(n), i) for n, i in tags.items() if n.action is Action.REGISTER]
    registered += [(Version.parse(version), identity) for version, identity in tried]
    is_listed = blocks is None or blocks.objects is not None
    if blocks is not None:
        above = (i for version, i in registered if _is_above(version, blocks.event))
        result |= frozenset(above if blocks.objects is None else blocks.objects) - blocks.deployed
    if floor is not None:
        result |= {identity for version, identity in registered if _passes(version, floor)}
    if floor is not None or not is_listed:
        result |= {identity for name, identity in tags.items() if name.action is Action.ASSIGN}
    return tuple(sorted(result))


def versions(tags: Mapping[TagName, str], ids: Iterable[str] | None) -> tuple[str, ...]:
    """The versions whose tag objects have these ids, the lowest first."""
    among = set(ids or ())
    named = [_version(name) for name, tag_object in tags.items()
             if name.action is Action.REGISTER and tag_object in among]  # fmt: skip
    return tuple(map(str, sorted(named, key=refs.precedence)))


def _version(name: TagName) -> Version:
    return name.version or Version(0)

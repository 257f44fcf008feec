"""Whether a model is in order, and the command that fixes what is not."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from semver import Version

from tagship.disk import access
from tagship.disk import files as disk_files
from tagship.disk.access import explain
from tagship.errors import Corrupt, Forbidden, NotFound
from tagship.git import clone
from tagship.host import actions, agent, decisions, history, installed, journal
from tagship.host import link as host_link
from tagship.host.agent import Agent
from tagship.host.decisions import Decisions, Hold
from tagship.host.journal import Past
from tagship.host.link import LinkState
from tagship.host.store import Store
from tagship.inspect import find
from tagship.inspect import verify as inspect_verify
from tagship.inspect.verify import Verification
from tagship.progress import Tell, nobody
from tagship.registry import refs, seen
from tagship.registry.artifacts import Artifact
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import TagName, Wanted
from tagship.text import clock, words
from tagship.workspace import condition, desired, facts, ignored, mirrored, moved, step, turns
from tagship.workspace.desired import Desired
from tagship.workspace.facts import Fetched
from tagship.workspace.host import Host
from tagship.workspace.ignored import InGit
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.source import Source
from tagship.workspace.state import State, Why

_DEPLOYS = f'"action": "{actions.DEPLOY}"'.encode()
LATE = timedelta(days=1)  # since the last fetch: the timer of a host does not run


@dataclass(frozen=True)
class Finding:
    """One thing that should be known, and the command that fixes it or goes on from there."""

    why: Why
    what: str
    fix: str

    @property
    def state(self) -> State:
        """What it comes to."""
        return self.why.state


@dataclass(frozen=True)
class Status:
    """How a model is on this host.

    Attributes:
        live: the version that ``current`` points to.
        latest: the highest version that is released.
        desired: the version that should be live, by the rule that was followed last.
        fetched_at: when a host fetched its tags last; None in a work tree, or if it never did.
        failing_since: when the first fetch failed after that; None if none did.
    """

    model: str
    live: str | None
    latest: str | None
    findings: tuple[Finding, ...]
    desired: str | None = None
    fetched_at: str | None = None
    failing_since: str | None = None

    @property
    def why(self) -> Why:
        """The worst of the findings."""
        reasons = [finding.why for finding in self.findings]
        return max(reasons, key=lambda why: why.rank, default=Why.IN_ORDER)

    @property
    def state(self) -> State:
        """The same, in three words."""
        return self.why.state


def status(source: Source, host: Host, model: str) -> Status:
    """Whether the live version is the right one and intact, and the commands that fix what is not.

    Raises:
        NotFound: HEAD declares no such model, and it is not deployed here.
        Forbidden: this account may not read the repository, and the model is not deployed here.
    """
    try:
        return _one(source, host, model)
    except Forbidden as error:
        if not find.is_deployed(host, model):
            raise
        return _unreadable(host, model, error)


def _one(source: Source, host: Host, model: str) -> Status:
    try:
        if not find.is_deployed(host, model):
            source.check_owner(model, f"status {model}")
        source.declared(model)
        is_declared = True
    except NotFound:
        if not find.is_deployed(host, model):
            raise
        is_declared = False
    row = _of(source, host, source.versions(model), is_declared=is_declared)
    return _with_git(source, host, [row])[0]


def of_all(source: Source, host: Host, tell: Tell = nobody) -> list[Status]:
    """The status of every model that HEAD declares, or that is deployed here.

    ``tell`` is told which dvc.yaml cannot be read.

    Raises:
        Forbidden: this account may not read the repository, and no model is deployed here.
    """
    try:
        return _all(source, host, tell)
    except Forbidden as error:
        if not (here := find.models((), host)):
            raise
        return [_unreadable(host, model, error) for model in here]


def _unreadable(host: Host, model: str, error: Forbidden) -> Status:
    """A model that is deployed here, of which this account may not read what is released."""
    live = installed.told_live(host.store(model))
    return Status(model, live.version if live else None, None, (_of_error(error, Why.UNKNOWN),))


def _all(source: Source, host: Host, tell: Tell) -> list[Status]:
    declared, catalogs = source.artifacts(), source.catalogs()
    known = [
        catalogs.get(model, Catalog(model)) for model in find.models(declared, host, source, tell)
    ]
    for error in source.unreadable():
        tell(f"{error.message}: {error.hint}")
    inspect_verify.foresee(source, host, known)
    entries = [declared.get(versions.model) for versions in known]
    rows = [
        _of(source, host, versions, is_declared=entry is not None)
        for versions, entry in zip(known, entries, strict=True)
    ]
    rows = [_with_entry(row, entry) for row, entry in zip(rows, entries, strict=True)]
    return _with_git(source, host, rows)


def _with_git(source: Source, host: Host, rows: list[Status]) -> list[Status]:
    """The same, with what Git has of deployed files, or would add. One process for all of them."""
    if host.within is None or not host.models_with(*ignored.STATE):
        return rows
    in_git = ignored.in_git(source.repository, host)
    return [
        replace(row, findings=(*row.findings, *_git_findings(source, host, row.model, entry)))
        if (entry := in_git.get(row.model))
        else row
        for row in rows
    ]


def _git_findings(source: Source, host: Host, model: str, entry: InGit) -> Iterable[Finding]:
    """Deployed files that Git has, or that ``git add --all`` would add."""
    folder = host.root / refs.folder_name(model)
    if entry.tracked:
        paths = " ".join(shlex.quote(str(folder / name)) for name in entry.tracked)
        what = (
            f"Git tracks deployed files in {folder}: {', '.join(entry.tracked)}; other hosts must"
            " not pull their removal: see status in docs/cli.md"
        )
        fix = f"git rm -r --cached --force --quiet -- {paths} && tagship init"
        yield Finding(Why.DRIFTED, what, fix)
    elif entry.unignored:
        what = f"git add --all would add deployed files in {folder}: {', '.join(entry.unignored)}"
        fix = "tagship init"
        if ignored.has_rules(source.repository, host):  # and another rule takes them back
            sample = shlex.quote(str(folder / entry.unignored[0]))
            fix = f"git check-ignore --verbose --no-index {sample}"
        yield Finding(Why.DRIFTED, what, fix)


def _with_entry(status: Status, entry: Artifact | Corrupt | None) -> Status:
    """The status, and what is wrong with the model's entry in dvc.yaml of HEAD."""
    if not isinstance(entry, Corrupt):
        return status
    finding = Finding(Why.DRIFTED, entry.message, entry.hint)
    return replace(status, findings=(finding, *status.findings))


def _of(source: Source, host: Host, known: Catalog, *, is_declared: bool) -> Status:
    """A model that cannot be read is broken: the other models are reported all the same."""
    model = known.model
    try:
        store = host.store(model)

        def verify(directory: str) -> Verification:
            return inspect_verify.verify_directory(source, host.policy, store, known, directory)

        status = _status(source, host, store, known, verify)
        of_clone = _clone_findings(source, known, status.live)
        status = replace(status, findings=(*status.findings, *of_clone))
        if isinstance(source, Mirrored):
            status = _of_mirror(source, status)
            status = replace(status, findings=tuple(_once(status.findings)))
    except (Corrupt, Forbidden, OSError) as error:
        status = Status(model, None, None, (_of_error(error, Why.BROKEN),))
    if is_declared:
        return status
    undeclared = Finding(Why.DRIFTED, *find.undeclared(model))
    return replace(status, findings=(undeclared, *status.findings))


def _once(findings: Iterable[Finding]) -> Iterable[Finding]:
    """Without what is told already, as a pass and the files tell it; the last has the fix."""
    return {finding.what: finding for finding in findings}.values()


def _of_mirror(source: Mirrored, status: Status) -> Status:
    """The status, with what the last fetches of a host found."""
    state = agent.read(source.project)
    return replace(
        status, fetched_at=state.fetched_at or None, failing_since=state.failing_since or None,
        findings=(*status.findings, *_fetch_findings(source, status.model, state)),
    )  # fmt: skip


def _fetch_findings(source: Mirrored, model: str, state: Agent) -> Iterable[Finding]:
    """Tags that the server changed, and a fetch that is late: what is newer cannot be told."""
    for name, what in source.last_seen.refused(model).items():
        fix = mirrored.FETCH if what == seen.IMPOSSIBLE else source.upstream.again()
        if what == seen.MOVED:
            fix = moved.accepting(name)
        yield Finding(Why.REFUSED, f"{name}: {what}", fix)
    if fault := source.unread_index(model):
        yield Finding(Why.UNKNOWN, *fault)
    last = f"{words.moment(state.fetched_at)} UTC" if state.fetched_at else "never"
    if state.failing_since:
        since = words.moment(state.failing_since)
        reason = f": {state.failure}" if state.failure else ""
        what = f"nothing could be fetched since {since} UTC{reason}"
        what = f"{what}; the last fetch that succeeded: {last}"
        yield Finding(Why.UNKNOWN, what, mirrored.FETCH)
    elif state.fetched_at and clock.now() - clock.moment(state.fetched_at) > LATE:
        what = f"the tags are as of {last}: nothing was fetched since"
        yield Finding(Why.IN_ORDER, what, "tagship sync")


def _of_error(error: Corrupt | Forbidden | OSError, why: Why) -> Finding:
    """What could not be read; whether it is in order is unknown where this account may not."""
    if denied := access.forbidden(error):
        return Finding(Why.UNKNOWN, f"cannot tell: {denied.message}", denied.hint)
    what, hint = explain(error)
    return Finding(why, what, hint.partition(": ")[2] or hint)  # it may begin with words


def _clone_findings(source: Source, known: Catalog, live: str | None) -> Iterable[Finding]:
    """Versions whose tags are not in this clone as they should be."""
    lacking = source.lacking(known)
    if lacking is None or (isinstance(source, Mirrored) and source.unread_index(known.model)):
        return  # what a fetch could not read is told with what it found
    if known.lightweight or source.clone_tags.are_left_out:
        yield Finding(Why.DRIFTED, *lacking)
    elif live is None:  # else the tag of the live version is missing, which is told
        yield Finding(Why.IN_ORDER, *lacking)


def _status(
    source: Source, host: Host, store: Store, known: Catalog,
    verify: Callable[[str], Verification],
) -> Status:  # fmt: skip
    model, follows = known.model, host.rules.get(known.model)
    is_followed = isinstance(source, Mirrored) and follows is not None
    latest = str(known.latest.version) if known.latest else None
    link = store.link()
    live = installed.told_live(store)
    past, decided = _decided(store)
    # after a rejection that no rollback could follow, nothing should be live
    good = history.last_good(past) if past is not None and decided.switch else None
    # tagship.toml names other models alone; one that cannot be read names none
    is_left = isinstance(source, Mirrored) and not is_followed and bool(source.file.follow)
    is_behind = latest is not None and not is_followed and not is_left  # a pass would say so
    findings = list(_link_findings(store, model, is_behind, good))
    if live and link.state is LinkState.OK:
        findings += _live_findings(source, store, known, live, verify(live.directory))
    findings += _history_findings(store, model, live)
    expected = None
    try:
        past = journal.foreseen(store)
        decided = decisions.read(past, follows)
        rule = desired.rule_of(model, decided)
        wish = desired.desired(known, rule, decided)
        failures = list(_failed_findings(known, decided, wish.release))
        if isinstance(source, Mirrored) and is_followed:
            findings += _pass_findings(source, host, model, wish.hold)
        elif is_left:
            findings.append(Finding(Why.IN_ORDER, *find.unfollowed(model)))
        else:
            failed = decided.failed.version if failures and decided.failed else None
            findings += _desired_findings(known, live, wish, rule, failed)
            findings += _tried_findings(past, live, wish.release)
            findings += _moved_findings(source, known, wish.release, past)
            if live and wish == Desired(None):
                latest_here = desired.desired(known, Wanted(), decided).release
                fix = _other(known, rule, latest_here)
                findings += _withdrawn_findings(known, live, rule, fix)
        findings += failures
        expected = str(wish.release.version) if wish.release else None
    except (Corrupt, Forbidden) as error:
        told = _of_error(error, Why.DRIFTED)
        findings += [] if told in findings else [told]
    findings += _open_findings(store)
    return Status(model, live.version if live else None, latest, tuple(findings), expected)


def _decided(store: Store) -> tuple[Past | None, Decisions]:
    """The history, and what it decides; nothing where it cannot be read, which is told."""
    try:
        past = journal.foreseen(store)
        return past, decisions.read(past)
    except (Corrupt, Forbidden):
        return None, Decisions()


def _pass_findings(
    source: Mirrored, host: Host, model: str, hold: Hold | None
) -> Iterable[Finding]:  # fmt: skip
    """What a pass of ``sync`` would find, by the same facts, but for the files of what is live.

    Those are verified here, with more than a pass looks at; what failed is told with its fix.
    """
    state = agent.read(source.project)
    is_whole = bool(state.fetched_at) and not state.failing_since
    turn = partial(turns.noted, state)
    found = facts.of(source, host, model, Fetched(source.last_seen, is_whole), turn)
    now = step.left(step.next_step(replace(found, drifted=())))
    for each in now.reasons:
        if each.why is Why.HELD and hold is not None:
            yield _held_finding(model, hold)
        elif each.why not in (Why.BROKEN, Why.FAILED) and each.what != step.in_order(found.live):
            yield Finding(each.why, each.what, each.fix)


def _desired_findings(
    known: Catalog, live: history.Place | None, wish: Desired, rule: Wanted, failed: str | None
) -> Iterable[Finding]:
    """What is live, and what should be by a rule; a wanted rollback is in order.

    What is passed over because it ``failed`` is told as such.
    """
    model, release, passed = known.model, wish.release, wish.passed_over
    selector = "" if rule == Wanted() else str(rule)
    again = f"tagship deploy {model}{selector}"
    if wish.hold is not None:
        yield _held_finding(model, wish.hold)
    elif live is not None and release is not None and live.version != str(release.version):
        what = f"{release.version} is released, {live.version} is live"
        yield Finding(Why.BEHIND, what, again)
    if passed is None:
        return
    what = f"{passed.version} is passed over: {passed.in_words}"
    if release is None:
        yield Finding(Why.BLOCKED, what, f"tagship deploy {model}@{passed.version}")
    elif passed.version != failed:
        what += f"; tagship deploy {model}@{passed.version} brings it back"
        yield Finding(Why.IN_ORDER, what, "")


def _held_finding(model: str, hold: Hold) -> Finding:
    """A hold is what a person wants, so there is nothing to fix, until its time is over."""
    what, resume = desired.in_words(hold), f"tagship resume {model}"
    if hold.until < clock.now():
        return Finding(Why.HELD, what, resume)
    return Finding(Why.HELD, f"{what} (on purpose; once that is over: {resume})", "")


def _withdrawn_findings(
    known: Catalog, live: history.Place, rule: Wanted, fix: str
) -> Iterable[Finding]:
    """A live version that is not available any more, and nothing that could take its place."""
    release = known.get(live.version)
    if release is not None and not release.active:
        how = f"{known.model} is deprecated" if known.deprecated else "it was withdrawn"
        what = f"{live.version} is live, but {how}, and no other version is available"
        if known.offered and rule != Wanted():
            what += f" by the rule {rule.text}"
        yield Finding(Why.DRIFTED, what, fix)


def _other(known: Catalog, rule: Wanted, latest: Release | None) -> str:
    """What makes another version live where the rule selects none: ``latest`` may, or a new one."""
    if latest is not None and rule != Wanted():
        return f"tagship deploy {known.model}"
    return f"tagship release {known.model}"


def _failed_findings(known: Catalog, decided: Decisions, wish: Release | None) -> Iterable[Finding]:
    """A version that was tried and taken back since the last success, and is still released.

    A newer one that may go live is the fix; else only people know whether to try it again.
    """
    event = desired.failure(known, decided)
    if event is not None and event.version is not None:
        error = event.error or event.reason
        what = f"{event.version} failed, {words.moment(event.at)} UTC: {error}"
        fix = f"tagship deploy {known.model}@{event.version}"
        fix = f"release a better one; or, to try it again: {fix}"
        failed = Version.parse(event.version)
        if wish is not None and refs.precedence(wish.version) > refs.precedence(failed):
            fix = f"tagship deploy {known.model}"
        yield Finding(Why.FAILED, what, fix)


def _tried_findings(
    past: Past, live: history.Place | None, release: Release | None
) -> Iterable[Finding]:
    """A deploy of what should be live that did not come to its switch, as in an outage."""
    if release is None or (live is not None and live.version == str(release.version)):
        return
    last = next((event for _, event in past.last(_DEPLOYS)), None)
    if last and last.status == history.FAILED and last.version == str(release.version):
        what = f"the last deploy failed, {words.moment(last.at)} UTC: {last.error}"
        yield Finding(Why.IN_ORDER, what, "")


def _moved_findings(
    source: Source, known: Catalog, release: Release | None, past: Past | None
) -> Iterable[Finding]:
    """A tag that was moved since it was deployed here: a deploy of it is refused."""
    if release is None or past is None:
        return
    version = str(release.version)
    before = history.moved_from(past.about(version), version, release.tag.object_id)
    if before is not None:
        what = f"the tag {release.tag.name} was moved since it was deployed here"
        yield Finding(Why.REFUSED, what, _back(source, known, release.tag.name, version, before))


def _link_findings(
    store: Store, model: str, is_selected: bool, good: history.Place | None
) -> Iterable[Finding]:
    link, again = store.link(), f"tagship deploy {model}"
    path = shlex.quote(str(store.current))
    if good is not None:
        again = f"tagship rollback {model} --to {good.version}"
    if link.state is LinkState.NONE and good is not None:
        yield Finding(Why.BROKEN, f"{store.current} is gone", again)
    elif link.state is LinkState.NONE and is_selected:
        yield Finding(Why.BEHIND, "nothing is deployed", again)
    elif link.state is LinkState.FOLDER:
        what = f"{store.current} is not a link"
        yield Finding(Why.BROKEN, what, f"mv {path} {path}.old && {again}")
    elif link.state is LinkState.FOREIGN:
        what = f"{store.current} leads to {link.target}"
        yield Finding(Why.BROKEN, what, f"rm {path} && {again}")
    elif link.state is LinkState.DANGLING:
        version = host_link.version_of(link.directory or "")
        what = f"{store.current} leads to {link.directory}, which is gone"
        again = f"tagship deploy {model}@{version} --force" if version else again
        yield Finding(Why.BROKEN, what, again)
    elif link.state is LinkState.OK and installed.live_place(store) is None:
        what = f"{store.current} leads to {link.directory}, which is not a version of tagship"
        again = again if is_selected or good is not None else f"tagship release {model}"
        yield Finding(Why.BROKEN, what, again)


def _open_findings(store: Store) -> Iterable[Finding]:
    """Folders that others can write to, once something was deployed into them."""
    if not store.versions.is_dir():
        return
    for folder, mode in store.open_to():
        who = {0o020: "its group", 0o002: "everybody"}.get(mode, "its group and everybody")
        what = f"{folder} can be written by {who}, who can so change what is live"
        fix = "".join(letter for bit, letter in ((0o020, "g"), (0o002, "o")) if mode & bit)
        yield Finding(Why.DRIFTED, what, f"chmod {fix}-w {shlex.quote(str(folder))}")


def _live_findings(
    source: Source, store: Store, known: Catalog, live: history.Place, verification: Verification
) -> Iterable[Finding]:
    again = f"tagship deploy {known.model}@{live.version} --force"
    missing = any(
        problem.is_lost
        or (problem.path == disk_files.METADATA and not verification.files and not problem.denied)
        for problem in verification.problems
    )
    described, release = installed.read_metadata(store, live.directory), known.get(live.version)
    moved = bool(described and (not release or described.tag.object != release.tag.object_id))
    back = again
    if moved and described:
        tag = described.tag
        back = _back(source, known, tag.name, described.version, tag.object)
    for problem in verification.problems:
        if problem.denied is not None:
            yield Finding(Why.UNKNOWN, condition.cannot_tell(problem), problem.denied)
            continue
        is_of_tag = moved and problem.path == disk_files.METADATA
        why = Why.BROKEN if missing else Why.REFUSED if is_of_tag and release else Why.DRIFTED
        if why is Why.REFUSED and release and _is_accepted(store, release):
            yield Finding(Why.BEHIND, f"the tag {release.tag.name} was accepted", mirrored.SYNC)
            continue
        path = store.path(live.directory) / problem.path
        fix = condition.fix(path, problem, back if is_of_tag else again)
        if problem.what.startswith(condition.NOT_ALLOWED) and not missing:
            why = Why.REFUSED
        yield Finding(why, f"{live.directory}/{problem.path} {problem.what}", fix)


def _is_accepted(store: Store, release: Release) -> bool:
    version = str(release.version)
    events = journal.events(store).about(version)
    return release.tag.object_id in history.accepted(events, version)


def _back(source: Source, known: Catalog, tag: TagName | str, version: str, tag_object: str) -> str:
    """The command that brings the tag of a version back, or a version in its place.

    Args:
        source, known: where versions come from, and those that there are.
        tag, version: of what was deployed.
        tag_object: the id of the tag as it was then.
    """
    if known.get(version) is None:
        again = f"tagship release {known.model} --deploy"  # also in a hold
        if isinstance(source, Mirrored):
            return mirrored.FETCH
        return clone.fetch_tags(source.repository) or again
    if isinstance(source, Mirrored):
        return moved.accepting(tag)
    if clone.has(source.repository, tag_object):
        return clone.tag_back(source.repository, str(tag), tag_object)
    return f"tagship release {known.model} --force --deploy"  # also in a hold


def _history_findings(store: Store, model: str, live: history.Place | None) -> Iterable[Finding]:
    try:
        past = journal.events(store)
        good = history.last_good(past)
        decisions.read(past)
        intent = journal.intent(store)
    except (Corrupt, Forbidden) as error:
        yield _of_error(error, Why.DRIFTED)
        return
    busy, unchecked = store.holder(), journal.unchecked(store, intent)
    version = unchecked.event.version if unchecked is not None else None
    if busy is not None:
        what = f"{busy}; {version} is live, and not checked yet" if version else busy
        yield Finding(Why.IN_ORDER, what, f"tagship status {model}")
        return
    if intent is not None:
        what = "a run was cut short; the next command repairs it"
        if version:
            what = f"{version} is live, and not checked yet: a run was cut short"
        yield Finding(Why.DRIFTED, what, f"tagship cleanup {model} --keep 1000 --yes")
        return
    if live is not None and live != good:
        recorded = f"the history says {good.directory if good else 'nothing'}"
        what = f"{store.current} was changed by hand: it means {live.directory}, {recorded}"
        fix = f"tagship deploy {model}@{live.version} --force"
        if good is not None:
            fix = f"tagship rollback {model} --to {good.version}"
        yield Finding(Why.DRIFTED, what, fix)

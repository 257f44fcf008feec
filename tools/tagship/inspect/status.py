"""Whether a model is in order, and the command that fixes what is not."""

import enum
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tagship.disk import files as disk_files
from tagship.errors import Corrupt, NotFound, explain
from tagship.git import clone
from tagship.host import history, installed, journal
from tagship.host import link as host_link
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.inspect import find
from tagship.inspect import verify as inspect_verify
from tagship.inspect.verify import Verification
from tagship.progress import Tell, nobody
from tagship.registry.artifacts import Artifact
from tagship.registry.catalog import Catalog
from tagship.workspace.host import Host
from tagship.workspace.source import Source


class State(enum.IntEnum):
    """How a model is; the value is the exit code of ``tagship status``."""

    IN_ORDER = 0
    DRIFTED = 3
    BROKEN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is not in order, and the command that fixes it."""

    state: State
    what: str
    fix: str


@dataclass(frozen=True)
class Status:
    """How a model is on this host."""

    model: str
    live: str | None
    latest: str | None
    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst of the findings."""
        return max((finding.state for finding in self.findings), default=State.IN_ORDER)


def status(source: Source, host: Host, model: str) -> Status:
    """Whether the live version is the right one and intact, and the commands that fix what is not.

    Raises:
        NotFound: HEAD declares no such model, and it is not deployed here.
    """
    try:
        source.declared(model)
        is_declared = True
    except NotFound:
        if not find.is_deployed(host, model):
            raise
        is_declared = False
    return _of(source, host, source.versions(model), is_declared=is_declared)


def of_all(source: Source, host: Host, tell: Tell = nobody) -> list[Status]:
    """The status of every model that HEAD declares, or that is deployed here.

    ``tell`` is told which dvc.yaml cannot be read.
    """
    declared, catalogs = source.artifacts(), source.catalogs()
    known = [catalogs.get(model, Catalog(model)) for model in find.models(declared, host)]
    for error in source.unreadable():
        tell(f"{error.message}: {error.hint}")
    inspect_verify.foresee(source, host, known)
    entries = [declared.get(versions.model) for versions in known]
    rows = [
        _of(source, host, versions, is_declared=entry is not None)
        for versions, entry in zip(known, entries, strict=True)
    ]
    return [_with_entry(row, entry) for row, entry in zip(rows, entries, strict=True)]


def _with_entry(status: Status, entry: Artifact | Corrupt | None) -> Status:
    """The status, and what is wrong with the model's entry in dvc.yaml of HEAD."""
    if not isinstance(entry, Corrupt):
        return status
    finding = Finding(State.DRIFTED, entry.message, entry.hint)
    return replace(status, findings=(finding, *status.findings))


def _of(source: Source, host: Host, known: Catalog, *, is_declared: bool) -> Status:
    """A model that cannot be read is broken: the other models are reported all the same."""
    model = known.model
    try:
        store = host.store(model)

        def verify(directory: str) -> Verification:
            return inspect_verify.verify_directory(source, host.policy, store, known, directory)

        status = _status(source, store, known, verify)
        of_clone = _clone_findings(source, known, status.live)
        status = replace(status, findings=(*status.findings, *of_clone))
    except (Corrupt, OSError) as error:
        what, hint = explain(error)
        fix = hint.partition(": ")[2] or hint  # it may begin with words
        status = Status(model, None, None, (Finding(State.BROKEN, what, fix),))
    if is_declared:
        return status
    undeclared = Finding(State.DRIFTED, *find.undeclared(model))
    return replace(status, findings=(undeclared, *status.findings))


def _clone_findings(source: Source, known: Catalog, live: str | None) -> Iterable[Finding]:
    """Versions whose tags are not in this clone as they should be."""
    lacking = source.lacking(known)
    if lacking is None:
        return
    if known.lightweight or source.clone_tags.are_left_out:
        yield Finding(State.DRIFTED, *lacking)
    elif live is None:  # else the tag of the live version is missing, which is told
        yield Finding(State.IN_ORDER, *lacking)


def _status(
    source: Source, store: Store, known: Catalog, verify: Callable[[str], Verification]
) -> Status:
    model = known.model
    latest = str(known.latest.version) if known.latest else None
    link = store.link()
    live = installed.told_live(store)
    good = _good(store)
    findings = list(_link_findings(store, model, latest, good))
    if live and link.state is LinkState.OK:
        findings += _live_findings(source, store, known, live, verify(live.directory))
    findings += _history_findings(store, model, live)
    if live and known.is_ahead_of(live.version):
        findings.append(_behind(store, model, live, str(latest)))
    findings += _open_findings(store)
    return Status(model, live.version if live else None, latest, tuple(findings))


def _good(store: Store) -> history.Place | None:
    """The version that should be live, as the history has it."""
    try:
        return history.last_good(journal.events(store))
    except Corrupt:
        return None


def _behind(store: Store, model: str, live: history.Place, latest: str) -> Finding:
    """A later version is released: not deployed yet, or rolled back, with a reason."""
    left = history.left_by_rollback(journal.events(store).about(latest), latest)
    if left is not None and left.place == live:
        why = f": {left.reason}" if left.reason else ""
        what = f"{latest} was rolled back to {live.version}{why}"
        return Finding(State.DRIFTED, what, f"tagship release {model}, once it is better")
    what = f"{latest} is released, {live.version} is live"
    return Finding(State.DRIFTED, what, f"tagship deploy {model}")


def _link_findings(
    store: Store, model: str, latest: str | None, good: history.Place | None
) -> Iterable[Finding]:
    link, again = store.link(), f"tagship deploy {model}"
    if good is not None:
        again = f"tagship rollback {model} --to {good.version}"
    if link.state is LinkState.NONE and good is not None:
        yield Finding(State.BROKEN, f"{store.current} is gone", again)
    elif link.state is LinkState.NONE and latest is not None:
        yield Finding(State.DRIFTED, "nothing is deployed", again)
    elif link.state is LinkState.FOLDER:
        what = f"{store.current} is not a link"
        yield Finding(State.DRIFTED, what, f"mv {store.current} {store.current}.old && {again}")
    elif link.state is LinkState.FOREIGN:
        what = f"{store.current} leads to {link.target}"
        yield Finding(State.DRIFTED, what, f"rm {store.current} && {again}")
    elif link.state is LinkState.DANGLING:
        version = host_link.version_of(link.directory or "")
        what = f"{store.current} leads to {link.directory}, which is gone"
        yield Finding(State.BROKEN, what, f"tagship deploy {model}@{version} --force")


def _open_findings(store: Store) -> Iterable[Finding]:
    """Folders that others can write to, once something was deployed into them."""
    if not store.versions.is_dir():
        return
    for folder, mode in store.open_to():
        who = {0o020: "its group", 0o002: "everybody"}.get(mode, "its group and everybody")
        what = f"{folder} can be written by {who}, who can so change what is live"
        fix = "".join(letter for bit, letter in ((0o020, "g"), (0o002, "o")) if mode & bit)
        yield Finding(State.DRIFTED, what, f"chmod {fix}-w {shlex.quote(str(folder))}")


def _live_findings(
    source: Source, store: Store, known: Catalog, live: history.Place, verification: Verification
) -> Iterable[Finding]:
    again = f"tagship deploy {known.model}@{live.version} --force"
    missing = any(
        problem.what == "is missing"
        or (problem.path == disk_files.METADATA and not verification.files)
        for problem in verification.problems
    )
    described, release = installed.read_metadata(store, live.directory), known.get(live.version)
    moved = bool(described and (not release or described.tag.object != release.tag.object_id))
    back = _back(source, known, described) if moved and described else again
    for problem in verification.problems:
        state = State.BROKEN if missing else State.DRIFTED
        fix = back if moved and problem.path == disk_files.METADATA else again
        if problem.mode is not None:
            path = store.path(live.directory) / problem.path
            fix = f"chmod {problem.mode} {shlex.quote(str(path))}"
        yield Finding(state, f"{live.directory}/{problem.path} {problem.what}", fix)


def _back(source: Source, known: Catalog, live: Metadata) -> str:
    """The command that brings the tag of the live version back, or a version in its place."""
    if known.get(live.version) is None:
        again = f"tagship release {known.model} && tagship deploy {known.model}"
        return clone.fetch_tags(source.repository) or again
    if clone.has(source.repository, live.tag.object):
        return f"git tag -f {live.tag.name} {live.tag.object}"
    return f"tagship release {known.model} --force && tagship deploy {known.model}"


def _history_findings(store: Store, model: str, live: history.Place | None) -> Iterable[Finding]:
    try:
        good = history.last_good(journal.events(store))
        intent = journal.intent(store)
    except Corrupt as error:
        command = error.hint.partition(": ")[2] or error.hint  # it may begin with words
        yield Finding(State.DRIFTED, error.message, command)
        return
    busy = store.holder()
    if busy is not None:
        yield Finding(State.IN_ORDER, busy, f"ask again when it is done: tagship status {model}")
        return
    if intent is not None:
        fix = f"tagship cleanup {model} --keep 1000 --yes"
        yield Finding(State.DRIFTED, "a run was cut short; the next command repairs it", fix)
        return
    if live is not None and live != good:
        recorded = f"the history says {good.directory if good else 'nothing'}"
        what = f"{store.current} was changed by hand: it means {live.directory}, {recorded}"
        fix = f"tagship deploy {model}@{live.version} --force"
        if good is not None:
            fix = f"tagship rollback {model} --to {good.version}"
        yield Finding(State.DRIFTED, what, fix)

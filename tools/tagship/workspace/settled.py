"""A pass of ``sync`` that finds nothing new, without a look at tags, histories and versions.

A pass that found every model in order, and did nothing, would find and do the same again as long as
all files that it depended on are the same: time alone changes nothing then, as nothing is held or
waited for. So it keeps a stamp of each of them (``workspace.witness``). The next pass compares the
stamps, fetches, and compares them once more: where all are equal, it says what that one said. Where
anything differs, or cannot be told, a full pass is made, and once an hour in any case. What a bad
disk did to a byte no stamp tells: ``verify`` hashes them all.
"""

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from tagship.disk import access, home, lock
from tagship.errors import Locked, NoAnswer, TagshipError
from tagship.host import agent, process
from tagship.host.agent import Settled
from tagship.progress import Tell
from tagship.text import clock
from tagship.workspace.state import Followed, Reason, Why, unfetched

LONGEST = timedelta(hours=1)  # between two full passes


def look(start: Path, models: Iterable[str] | None, tell: Tell) -> tuple[Followed, ...] | None:
    """A pass, where nothing changed since the last one that found all in order.

    Args:
        start: the host's folder.
        models: those to look after; None for all.
        tell: is told whom is waited for.

    Returns:
        What a full pass would say; None where that has to be made, or another pass is under way.
    """
    folder = start.resolve()
    with lock.at_once(agent.lock_in(folder), process.owner("sync")) as is_free:
        noted = stamp(agent.place_in(folder))
        state = agent.read(folder) if is_free and _is_own(folder) else None
        kept = state.settled if state is not None else None
        if state is None or kept is None or not _holds(kept, folder):
            return None
        names = list(dict.fromkeys(kept.live if models is None else models))
        if not kept.live.keys() >= set(names):
            return None
        missing: tuple[Reason, ...] = ()
        failure = None
        try:
            is_same = _fetch(kept, tell)
        except (NoAnswer, Locked) as error:  # a full pass would wait once more
            missing, is_same, failure = (unfetched(error),), True, error.message
        except (TagshipError, OSError):  # the mirror may be damaged
            return None
        if not is_same or not _holds(kept, folder):
            return None
        now = clock.stamp(clock.now())
        if stamp(agent.place_in(folder)) != noted:  # another command has noted something
            state = agent.read(folder)
        agent.write(folder, state.fetched(now, failure))
        return tuple(_row(kept, name, missing) for name in names)


def _fetch(kept: Settled, tell: Tell) -> bool:
    """Fetch; whether there is nothing new, as far as the files of the mirror do not tell.

    Raises:
        NoAnswer, Locked: nothing could be fetched; another error, the same.
    """
    if kept.place:
        from tagship.workspace import carried

        return carried.is_same(
            Path(kept.mirror), kept.place, kept.options, list(kept.live),
            has_bundles=kept.has_bundles,
        )  # fmt: skip
    from tagship.git import mirror
    from tagship.git.bounded import TooMuch

    try:
        mirror.look(mirror.of(Path(kept.mirror)), kept.git, kept.patterns, tell)
    except TooMuch as error:
        raise NoAnswer(error.message, error.hint) from None
    return True


def _is_own(folder: Path) -> bool:
    """Whether nobody else can have written what is kept: it has an address to fetch from."""
    file = agent.place_in(folder)
    try:
        return not any(map(access.who_else_writes, (file, file.parent)))
    except OSError:
        return False


def _holds(kept: Settled, folder: Path) -> bool:
    """Whether all is as it was, and that is not long ago."""
    return (
        timedelta(0) <= clock.now() - clock.moment(kept.at) < LONGEST
        and (kept.folder, kept.account) == (str(folder), os.geteuid())
        and kept.configuration == configuration()
        and all(stamp(path) == before for path, before in kept.entries.items())
        and all(stamp(path, follow=True) == before for path, before in kept.targets.items())
        and all(rights(path) == before for path, before in kept.rights.items())
    )


def _row(kept: Settled, name: str, more: tuple[Reason, ...]) -> Followed:
    reasons = (*(Reason(Why.IN_ORDER, what) for what in kept.told[name]), *more)
    why = max((reason.why for reason in reasons), key=lambda why: why.rank)
    return Followed(name, (), kept.live[name], why, reasons)


# --- stamps


def stamp(path: Path | str, *, follow: bool = False) -> str:
    """What is at a path, and when that was changed last; the error's number if it is not known.

    Its end is the time of change of the inode, in nanoseconds: no program can set that.
    """
    try:
        status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - hundreds: no Path
    except OSError as error:
        return str(error.errno)
    return f"{_identity(status)}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def rights(path: Path | str) -> str:
    """Which folder is at a path, and who may write to it; what is in it may have changed."""
    try:
        return _identity(os.stat(path))  # noqa: PTH116 - as above
    except OSError as error:
        return str(error.errno)


def _identity(status: os.stat_result) -> str:
    file = f"{status.st_dev}:{status.st_ino}"
    return f"{file}:{status.st_mode:o}:{status.st_uid}:{status.st_gid}"


def configuration() -> str | None:
    """The folder of this account's host.toml; None where it has no home."""
    folder = home.configuration()
    return str(folder / "tagship") if folder else None

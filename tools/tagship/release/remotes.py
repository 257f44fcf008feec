"""What another machine needs to deploy a release: bytes in a DVC remote, a commit on a branch."""

import shlex

from tagship.dvc import config
from tagship.dvc.content import Content
from tagship.dvc.pointers import Cached
from tagship.dvc.remote import not_here
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Interrupted, NoAnswer, Refused, TagshipError, Unavailable
from tagship.git import remotes as git_remotes
from tagship.git.bounded import HOOK
from tagship.git.run import Repository
from tagship.progress import Tell
from tagship.registry import tags
from tagship.registry.refs import TagName
from tagship.text import redact
from tagship.workspace.source import Source

NO_REMOTE = "DVC has no remote: the bytes are on this machine alone (dvc remote add -d NAME URL)"


def check_bytes(content: Content, snapshot: Snapshot, *, push: bool) -> bool:
    """Refuse a release whose bytes would be in no remote; no remote is asked.

    Args:
        content: of the repository.
        snapshot: what is released.
        push: the tag will be pushed, so that others see it.

    Returns:
        Whether the bytes are to be pushed: not where Git keeps them all, and not where DVC has no
        remote at all, which a tag that stays here may do without.

    Raises:
        NotFound: a remote that is meant is not configured, or none is the default.
        Refused: an output has ``push: false``, or its versioned remote no version of it.
    """
    kept = [
        (out, pointer)
        for out in snapshot.outs
        for pointer in out.pointers
        if isinstance(pointer, Cached)
    ]
    if not kept:
        return False
    routes = content.remote.routes
    if not push and not routes.exist(pointer for _, pointer in kept):
        return False
    for out, pointer in kept:
        routes.check_push(pointer, out.recorded_in)
    return True


def new_folders(content: Content, snapshot: Snapshot, *, is_first: bool) -> list[str]:
    """Refuse a remote that is a folder, has had versions, and is not here: its disk is not mounted.

    A push would make the folder, and no other machine would find what it wrote there.

    Args:
        content: of the repository.
        snapshot: what is released.
        is_first: nothing was released from the repository yet, so that the folder may be a new one.

    Returns:
        Which folders the push makes.

    Raises:
        Unavailable: such a folder is not here.
    """
    pointers = [p for out in snapshot.outs for p in out.pointers if isinstance(p, Cached)]
    away = content.remote.folders_away(pointers)
    if away and not is_first:
        name, folder = away[0]
        raise Unavailable(
            not_here(name, folder),
            f"mount it; or, where it is a new one: mkdir -p {shlex.quote(folder)}",
        )
    return [f"made the folder of the DVC remote {name}: {folder}" for name, folder in away]


def check_shared(source: Source, content: Content, snapshot: Snapshot) -> list[str]:
    """Compare the remotes of a release with those that another clone of the commit has.

    Returns:
        What that clone would have to configure.

    Raises:
        Refused: ``.dvc/config`` has them, but not as the commit.
    """
    routes = content.remote.routes
    pointers = [p for out in snapshot.outs for p in out.pointers if isinstance(p, Cached)]
    path = str(content.remote.within / ".dvc" / "config")
    committed = config.shared(source.blobs.read(snapshot.commit, path) or b"")
    file = source.repository.top / path
    here = config.shared(file.read_bytes() if file.is_file() else b"")
    names = sorted({routes.of(pointer).lower() for pointer in pointers})
    by_default = source.dvc_remote is None and any(not pointer.remote for pointer in pointers)
    changed = [
        n for n in names if n in here.remotes and here.remotes[n] != committed.remotes.get(n)
    ]
    if changed or (by_default and here.default == routes.default != committed.default):
        raise Refused(
            f"{path} differs from the last commit: no other machine would find the bytes",
            f'git add {shlex.quote(path)} && git commit -m "..."',
        )
    unknown = [name for name in names if name not in committed.remotes]
    if by_default and routes.default != committed.default and not unknown:
        unknown = [str(routes.default)]
    return [
        f"the DVC remote {redact.text(name)} is configured on this machine alone, not in {path}:"
        f" another machine needs it too (dvc remote add -d {redact.text(shlex.quote(name))} URL)"
        for name in unknown
    ]


def metrics(content: Content, snapshot: Snapshot) -> tuple[Cached, ...]:
    """The metric files that DVC keeps, that are here, and that may go to a remote as objects.

    A version can be deployed without them: the tag's message has their values.
    """
    routes = content.remote.routes
    here = [
        pointer
        for out in snapshot.metric_outs
        for pointer in out.pointers
        if isinstance(pointer, Cached) and not pointer.is_folder and content.cache.holds(pointer)
    ]
    return tuple(pointer for pointer in here if routes.takes(pointer))


def branch_to_push(
    repository: Repository, remote: str, commit: str, tell: Tell, *, push_branch: bool
) -> tuple[str | None, list[str]]:
    """The branch of Git's remote that a release pushes with the tag, and what to know without it.

    Args:
        repository: has the commit.
        remote: Git's name of it.
        commit: what is released: HEAD's.
        tell: is told whom is waited for.
        push_branch: whether to push HEAD's branch, where the remote does not have the commit on it.

    Raises:
        Refused: HEAD is on no branch; or its upstream has another name.
        Unavailable: the remote does not answer.
    """
    theirs = git_remotes.branches(repository, remote, tell)
    fetched = git_remotes.tracked(repository, remote)
    is_there = git_remotes.has_commit(repository, [*theirs.values(), *fetched], commit)
    branch = git_remotes.branch_of_head(repository)
    if not push_branch:
        return None, [] if is_there else [_on_no_branch(remote, commit, branch)]
    if branch is None:
        if is_there:
            return None, []
        raise Refused(
            f"HEAD is detached: there is no branch to push to {redact.text(remote)}",
            "create a branch first: git switch -c NAME",
        )
    target = git_remotes.push_target(repository, remote, branch)
    tips = [*git_remotes.tracked(repository, remote, target), theirs.get(target, "")]
    is_pushed = git_remotes.has_commit(repository, [tip for tip in tips if tip], commit)
    return None if is_pushed and target in theirs else target, []


def _on_no_branch(remote: str, commit: str, branch: str | None) -> str:
    where = redact.text(remote)
    return (
        f"the commit {commit[:10]} is on no branch of {where}: a clone gets it with the tag alone"
        f" (git push {where} HEAD:{branch or 'refs/heads/NAME'};"
        " a release with --push-branch pushes both)"
    )


def push(
    repository: Repository, remote: str, name: TagName, branch: tuple[str, str] | None,
    tell: Tell, *, take_back: bool, go_on: str = "", retry: str = "release again",
) -> None:  # fmt: skip
    """Push the tag, or delete a new one: another clone could give the same version again.

    Args:
        repository: has the tag.
        remote: Git's name of it.
        name: of the tag.
        branch: a commit, and the branch of the remote that is to have it; None for the tag alone.
        tell: is told whom is waited for.
        take_back: the tag is new, and is deleted here where the remote does not accept it.
        go_on: the command that pushes it later; by default that of a release.
        retry: in words, what to do where it was deleted.

    Raises:
        Unavailable: the remote does not accept the tag, or the branch.
        NoAnswer: it was silent for too long; the tag stays, and the next release pushes it.
        Interrupted: the same, of a user who did not wait.
    """
    where = redact.text(remote)
    left = f"the tag {name} is here, and it is not known whether {where} has it"
    go_on = go_on or f"tagship release {name.model} --push{'-branch' if branch else ''}"
    try:
        tags.push(repository, remote, name, branch, tell)
    except KeyboardInterrupt:
        raise Interrupted(left, go_on) from None
    except NoAnswer as error:
        raise NoAnswer(f"{error.message}: {left}", go_on) from None
    except TagshipError as error:
        what = f"the tag {name}" + (f" and the branch {branch[1]}" if branch else "")
        of_hook = f"{what} {'were' if branch else 'was'} not pushed to {where}"
        what = of_hook if HOOK in error.message else f"{where} did not accept {what}"
        fix = _fix(error.message, where, branch)
        if not take_back:
            raise Unavailable(f"{what}: {error.message}", fix) from None
        tags.delete(repository, name)
        raise Unavailable(
            f"{what}, so the tag was deleted here again: {error.message}"
            if branch
            else f"{what}, so it was deleted here again: {error.message}",
            f"{fix}, then {retry}",
        ) from None


def _fix(message: str, where: str, branch: tuple[str, str] | None) -> str:
    """What to do about a push that was not accepted, by Git's words for it."""
    if HOOK in message:
        return "do what it asks for; git rev-parse --git-path hooks/pre-push names its file"
    if branch and ("(fetch first)" in message or "(non-fast-forward)" in message):
        return f"git pull --no-rebase {where} {branch[1]}"
    if branch and f"-> {branch[1]} (" in message and "[remote rejected]" in message:
        return "use a branch that you may push: git switch -c NAME"
    if "[remote rejected]" in message and "already exists" not in message:
        return f"ask who runs {where}, which does not accept it"
    return f"git fetch --tags {where}"

"""The remotes of a Git repository: their branches, and what is pushed to them."""

from collections.abc import Sequence

from tagship.errors import NoAnswer, Refused, TagshipError, Unavailable
from tagship.git import bounded, run
from tagship.git.bounded import Limit
from tagship.git.run import NO_HOOKS, Repository
from tagship.progress import Tell, nobody
from tagship.text import redact

# A look at its tags, which a release can do without; the same for a release that is to be pushed
LOOK = Limit(silence=15, total=15)
ANSWER = Limit(silence=30, total=300)
# A hook of the remote may take long, and not every remote says meanwhile that it is there.
PUSH = Limit(silence=120)


def ask(
    repository: Repository,
    remote: str,
    arguments: Sequence[str],
    tell: Tell,
    limit: Limit,
) -> str:
    """Run Git where it talks to a remote, which may never answer.

    Args:
        repository: the clone.
        remote: the name of one of its remotes.
        arguments: of Git.
        tell: is told whom it waits for, once that takes long.
        limit: how long it is waited for.

    Raises:
        Unavailable: the remote refuses; or NoAnswer, where it is silent.
    """

    def is_slow() -> None:
        address = run.ask(repository, "ls-remote", "--get-url", "--end-of-options", remote).strip()
        tell(f"waiting for {redact.text(remote)}, {redact.text(address)}")

    return bounded.act(repository, remote, limit, is_slow, *arguments)


def names(repository: Repository) -> list[str]:
    """The names of all remotes."""
    return run.ask(repository, "remote").splitlines()


def to_release_to(repository: Repository, named: str | None) -> str | None:
    """The remote to release to: the one that is named, or ``origin``, or else the only one.

    params.yaml, which may name it, comes with the repository: others must not choose an address.

    Raises:
        Refused: Git has no remote of that name; or several, and nobody says which counts: another
            one than that of before would let the numbers of versions begin anew.
    """
    all_names = names(repository)
    if named and named not in all_names:
        raise Refused(
            f"Git has no remote {redact.text(named)}",
            "give a name that `git remote` shows, or add one: git remote add NAME URL",
        )
    usual = "origin" if "origin" in all_names else None
    if len(all_names) > 1 and not (named or usual):
        several = ", ".join(map(redact.text, all_names))
        raise Refused(
            f"Git has several remotes ({several}), and none of them is origin",
            f"name the one with the tags, in params.yaml: tagship: {{git_remote: {all_names[0]}}}",
        )
    return named or usual or (all_names[0] if all_names else None)


def branches(repository: Repository, remote: str, tell: Tell) -> dict[str, str]:
    """The branches of a remote as it has them now, each with its commit.

    Args:
        repository: the clone.
        remote: the name of one of its remotes.
        tell: is told whom is waited for.

    Raises:
        Unavailable: the remote does not answer.
    """
    question = ("-c", NO_HOOKS, "ls-remote", "--heads", "--end-of-options", remote)
    answer = ask(repository, remote, question, tell, ANSWER)
    lines = (line.partition("\t") for line in answer.splitlines())
    return {ref.removeprefix("refs/heads/"): object_id for object_id, _, ref in lines}


def has_commit(repository: Repository, tips: Sequence[str], commit: str) -> bool:
    """Whether a commit is one of ``tips``, or comes before one, as far as this clone has them."""
    kinds = ["rev-list", "--max-count=1", "--ignore-missing", commit, "--not", *tips]
    return not run.ask(repository, *kinds, "--").strip()


def tracked(repository: Repository, remote: str, branch: str = "") -> list[str]:
    """The commits that a remote's branches had when they were fetched last; or one branch."""
    refs = f"refs/remotes/{remote}/{branch}"
    return run.ask(repository, "for-each-ref", "--format=%(objectname)", refs).split()


def branch_of_head(repository: Repository) -> str | None:
    """The branch that HEAD is on; None where it is detached."""
    name = run.ask(repository, "rev-parse", "--symbolic-full-name", "HEAD").strip()
    return name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else None


def push_target(repository: Repository, remote: str, branch: str) -> str:
    """The branch of a remote that ``git push`` would send a branch to, as ``push.default`` says.

    Raises:
        Refused: its upstream has another name, and Git is not told which of the two is meant.
    """
    form = "--format=%(upstream:remotename)%00%(upstream:remoteref)"
    upstream_remote, _, ref = (
        run.ask(repository, "for-each-ref", form, f"refs/heads/{branch}").strip().partition("\0")
    )
    upstream = ref.removeprefix("refs/heads/") if upstream_remote == remote else ""
    if upstream in ("", branch):
        return branch
    try:
        default = run.ask(repository, "config", "--get", "push.default").strip().lower()
    except Unavailable:  # it is not set: simple
        default = ""
    if default in ("upstream", "tracking"):
        return upstream
    if default in ("current", "matching"):
        return branch
    raise Refused(
        f"the branch {branch} follows {upstream} of {redact.text(remote)}, which has another name",
        f"push it first: git push {redact.text(remote)} HEAD:{branch} (or HEAD:{upstream});"
        " then release with --push alone",
    )


def push(repository: Repository, remote: str, refspecs: Sequence[str], tell: Tell = nobody) -> None:
    """Push refs, never by force: all or none of them, where the remote can do that.

    Args:
        repository: the clone.
        remote: the name of one of its remotes.
        refspecs: as Git takes them.
        tell: is told whom is waited for.

    Raises:
        Unavailable: the remote refuses one, or does not answer.
    """
    command = ("push", "--quiet", "--end-of-options", remote)
    if len(refspecs) > 1:
        try:
            atomic = ("push", "--atomic", *command[1:], *refspecs)
            ask(repository, remote, atomic, tell, PUSH)
            return
        except Unavailable as error:
            if "does not support --atomic" not in error.message:
                raise
    for index, refspec in enumerate(refspecs):
        try:
            ask(repository, remote, (*command, refspec), tell, PUSH)
        except NoAnswer:
            raise
        except TagshipError as error:
            before = [spec.rpartition(":")[2] for spec in refspecs[:index]]
            pushed = f" ({', '.join(before)} was pushed before)" if before else ""
            raise Unavailable(f"{error.message}{pushed}", error.hint) from None

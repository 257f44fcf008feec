"""The capsule of a tag, from a repository that has it: what a host needs to deploy it without Git.

Of a version, that is what is read when it is deployed: whoever reads says what that is.
"""

from collections.abc import Callable

from tagship.carry import capsule, index
from tagship.carry.carrier import LARGEST_CAPSULE
from tagship.errors import Refused, TagshipError, Unavailable
from tagship.git import packs
from tagship.registry.refs import Action
from tagship.registry.tags import Tag
from tagship.workspace.source import Source

ROOM = 100_000  # bytes: for the tag, and what compression can add to 64 MB


def check(source: Source, commit: str, model: str) -> None:
    """Refuse a commit before it is tagged, if the capsule of its version would be too large.

    Raises:
        Unavailable: this clone lacks something that it needs.
        Refused: it would be.
    """
    ids = {commit} | needed(source, commit, model)
    size = sum(header.size for header in source.blobs.headers(sorted(ids)))
    if size > LARGEST_CAPSULE - ROOM:
        raise too_large(model, f"what is read of its commit has {size} bytes")


def capsule_of(source: Source, tag: Tag) -> bytes:
    """The capsule of a tag, of a version or of anything else: equal tags give equal bytes.

    Raises:
        Unavailable: this clone lacks something that it needs.
        Refused: Git keeps the model, and it is too large; or no index takes a name so long.
    """
    if not index.takes(str(tag.name)):
        what = f"the name of the tag {tag.name!s:.100} is too long"
        raise Refused(what, f"give it a name of at most {index.LONGEST} characters")
    ids = {tag.object_id, tag.commit}
    if tag.name.action is Action.REGISTER:
        ids |= needed(source, tag.commit, tag.name.model)
    try:
        pack = packs.pack(source.blobs, ids, LARGEST_CAPSULE)
    except packs.TooLarge as error:
        raise too_large(str(tag.name), error.message) from None
    data = capsule.write(str(tag.name), tag.object_id, tag.commit, pack)
    if len(data) > LARGEST_CAPSULE:  # what cannot be compressed gets longer
        raise too_large(str(tag.name), f"it has {len(data)} bytes")
    return data


def too_large(what: str, why: str) -> Refused:
    """The error for a model that Git keeps, and that no capsule has room for."""
    most = f"{LARGEST_CAPSULE >> 20} MB at most"
    return Refused(
        f"{what} is too large for a capsule: {why}, and it may have {most}",
        "have DVC keep it, not Git: git rm --cached PATH && dvc add PATH",
    )


def needed(source: Source, commit: str, model: str) -> set[str]:
    """The folders and files of a commit that are read when a version is deployed.

    Of a commit that cannot be deployed, what is read until that is known.

    Raises:
        Unavailable: this clone lacks something.
    """

    def read() -> None:
        snapshot = source.snapshot(commit, model)
        source.metrics(snapshot)

    with source.blobs.recorded() as ids:
        for ask in (lambda: source.rollout(commit, model), read):
            _tolerant(ask)
    return ids


def _tolerant(ask: Callable[[], object]) -> None:
    """Ask; that a version cannot be deployed is told to who wants to deploy it."""
    try:
        ask()
    except Unavailable:
        raise
    except TagshipError:
        pass

"""Versions whose tags are not in this clone as they should be, and the command that brings them."""

import shlex
from collections.abc import Callable

from tagship.errors import NotFound
from tagship.git import clone
from tagship.git.clone import Tags
from tagship.git.run import Repository
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Ref, TagName, Wanted

Ask = Callable[[], Tags]  # what the clone has of its remotes' tags: asked where it is needed


def find(repository: Repository, ask: Ask, known: Catalog, ref: Ref) -> Release:
    """The version that a reference names.

    A lightweight tag higher than every version that matches is passed over, as GTO does; but not
    where this clone was made for it: CI fetches the commit of a tag under the tag's name.

    Raises:
        NotFound: there is no such version here, or its tag is not annotated here.
        Refused: it was withdrawn, or the model is deprecated.
    """
    name = known.not_annotated(ref.wanted)
    if name is not None and (ask().are_left_out or clone.is_checked_out(repository, str(name))):
        raise NotFound(*_not_annotated(ask(), name))
    try:
        return known.find(ref)
    except NotFound as error:
        if name is not None:
            raise NotFound(*_not_annotated(ask(), name)) from None
        raise NotFound(error.message, hint(ask(), error.hint)) from None


def hint(tags: Tags, otherwise: str) -> str:
    """What to do where a tag is not here: fetch it, where there is a remote."""
    return f"{tags.fetch}; or: {otherwise}" if tags.fetch else otherwise


def lacking(ask: Ask, known: Catalog) -> tuple[str, str] | None:
    """What this clone lacks of a model's tags, or may lack, and the command; None if nothing."""
    name = known.not_annotated(Wanted())
    if name is not None:
        return _not_annotated(ask(), name)
    if known.releases:
        return None
    tags = ask()
    if tags.are_left_out and tags.fetch:
        return "this clone was made without tags", tags.fetch
    return "nothing is released yet", hint(tags, f"tagship release {known.model}")


def _not_annotated(tags: Tags, name: TagName) -> tuple[str, str]:
    commit = shlex.quote(f"{name}^{{}}")
    ways = (
        f"if it was made by mistake: git tag -d {name}; if it is to be a version:"
        f' git tag -f -a -m "..." {name} {commit}'
    )
    return (
        f"the tag {name} is here, but not as an annotated tag",
        f"{tags.fetch} --force; {ways}" if tags.fetch else ways,
    )

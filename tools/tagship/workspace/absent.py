"""Versions whose tags are not in this clone as they should be, and the command that brings them."""

from collections.abc import Callable

from tagship.errors import NotFound
from tagship.git import clone
from tagship.git.run import Repository
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Ref, TagName, Wanted


def find(repository: Repository, known: Catalog, ref: Ref) -> Release:
    """The version that a reference names.

    Raises:
        NotFound: there is no such version here, or its tag is not annotated here.
        Refused: it was withdrawn, or the model is deprecated.
    """
    name = known.not_annotated(ref.wanted)
    if name is not None:
        raise NotFound(*_not_annotated(repository, name))
    try:
        return known.find(ref)
    except NotFound as error:
        raise NotFound(error.message, hint(repository, error.hint)) from None


def hint(repository: Repository, otherwise: str) -> str:
    """What to do where a tag is not here: fetch it, where there is a remote."""
    fetch = clone.fetch_tags(repository)
    return f"{fetch}; or: {otherwise}" if fetch else otherwise


def lacking(
    repository: Repository, known: Catalog, is_without_tags: Callable[[], bool]
) -> tuple[str, str] | None:
    """What this clone evidently lacks of a model's tags, and the command; None if nothing.

    Args:
        repository: the clone.
        known: the model's versions here.
        is_without_tags: tells whether it was cloned so; asked where there is no version.
    """
    name = known.not_annotated(Wanted())
    if name is not None:
        return _not_annotated(repository, name)
    if not known.releases and is_without_tags():
        what = f"this clone was made without tags, and has none of {known.model}"
        return what, clone.fetch_tags(repository) or ""
    return None


def _not_annotated(repository: Repository, name: TagName) -> tuple[str, str]:
    again = f"tagship release {name.model}"
    fetch = clone.fetch_tags(repository)
    return (
        f"the tag {name} is here, but not as an annotated tag",
        f"{fetch} --force; if it is not annotated there either: {again}" if fetch else again,
    )

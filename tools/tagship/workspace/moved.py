"""A tag that was moved: what it means to whoever deployed it, and how it counts all the same."""

import shlex

from tagship.errors import NotTrusted
from tagship.git import clone
from tagship.git.run import Repository
from tagship.host import history
from tagship.host.journal import Past
from tagship.registry.catalog import Release
from tagship.registry.refs import TagName


def check(repository: Repository, past: Past, release: Release) -> None:
    """Refuse a tag that points to another object than at its last deployment here."""
    version = str(release.version)
    before = history.moved_from(past.about(version), version, release.tag.object_id)
    if before is not None:
        back = clone.tag_back(repository, str(release.tag.name), before)
        hint = f"release a new version, or set the tag back: {back}"
        if not clone.has(repository, before):  # such as after git filter-repo
            again = f"tagship release {release.tag.name.model} --force"
            hint = f"the old tag is gone; release it as a new version: {again}"
        if repository.ours:  # of a host: nobody changes its tags by hand
            hint = f"release a new version; or accept it: {accepting(release.tag.name)}"
        raise NotTrusted(
            f"the tag {release.tag.name} was moved since it was deployed here: it was"
            f" {before[:10]}, and is {release.tag.object_id[:10]}",
            hint,
        )


def accepting(tag: TagName | str) -> str:
    """The command by which a person lets a moved tag count as what it names now."""
    return f"tagship fetch --accept {shlex.quote(str(tag))}"

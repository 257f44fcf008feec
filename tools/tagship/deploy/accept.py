"""Accept a tag that was moved: a person says that what it names now counts.

The event comes before the change of the mirror. If this is cut short between the two, the tag is
refused as before, and the same command finishes it.
"""

from dataclasses import replace

from tagship.deploy import act
from tagship.deploy.act import Options
from tagship.errors import InvalidName, NotFound
from tagship.host import actions, agent, history, journal
from tagship.host.store import Store
from tagship.registry.refs import TagName
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored, not_followed


def named(text: str) -> TagName:
    """The name of a tag.

    Raises:
        InvalidName: it is none of a version or a stage.
    """
    name = TagName.parse(text)
    if name is None:
        raise InvalidName(f"not the name of a tag: {text!r}", "give one such as churn@v1.2.0")
    return name


def accept(source: Mirrored, host: Host, name: TagName, options: Options) -> None:
    """Have a moved tag count as what is shown now. The history says who wanted that.

    Args:
        source, host: the mirror, fetched just now, and where versions go.
        name: of the tag.
        options: ``reason`` and ``wait`` are used.

    Raises:
        NotFound: its model is not followed, or the tag was not moved.
        Refused: what is shown now is no annotated tag of a commit.
        Locked: another process works on the model.
    """
    model = name.model
    if model not in host.rules:
        raise not_followed(model, host.rules)
    store = host.store(model)
    moved = source.moved(name) or _moved_since(source, store, name)
    if moved is None:
        raise NotFound(f"{name} was not moved", "tagship fetch")
    first, then = moved
    with act.begin(store, model, f"accepting {name}", options) as deed:
        why = f"it was {first[:10] or 'not seen'}" + (
            f": {options.reason}" if options.reason else ""
        )
        event = replace(deed.event(actions.ACCEPT, reason=why), tag=str(name), tag_object=then)
        version = str(name.version) if name.version is not None else None
        deed.record(replace(event, version=version))
        if source.moved(name) is not None:
            source.accept(name, first, then)
        agent.write(host.root, agent.read(host.root).done(model))


def _moved_since(source: Mirrored, store: Store, name: TagName) -> tuple[str, str] | None:
    """The same of a tag that was moved before this mirror was made, and after it was deployed."""
    release = source.versions(name.model).get(str(name.version))
    if release is None or release.tag.name != name:
        return None
    events = journal.events(store).about(str(name.version))
    then = release.tag.object_id
    first = history.moved_from(events, str(name.version), then)
    return None if first is None else (first, then)

"""What the dvc.yaml of a commit declares, as DVC resolves it.

An entry without templates stands for itself, and only the others need DVC, which takes long to
import. An entry that cannot be resolved hides no other one.
"""

import functools
import posixpath
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tagship.dvc import stages
from tagship.dvc.stages import Definition, Pipeline, Plots, Stages
from tagship.dvc.templates import Read, is_template
from tagship.errors import Corrupt
from tagship.registry import artifacts
from tagship.registry.artifacts import Artifact
from tagship.registry.project_files import LOCK_FILE, PIPELINE_FILE
from tagship.text import yaml

if TYPE_CHECKING:
    from tagship.dvc.resolver import Resolver

OUTS = ("outs", "metrics", "plots")
# All of a stage that is resolved; dvc.lock has its command, dependencies and parameters
KEPT = (*OUTS, "wdir", "vars")
MOST_KNOWN, MOST_STATES = 256, 4  # files of dvc.yaml; states of what each of them reads

T = TypeVar("T")
Opened = Callable[[], "Resolver"]
"""Gives DVC's resolver of one dvc.yaml, which is opened when it is first asked."""
Known = dict[tuple[str, str, bytes], list[tuple[dict[str, bytes | None], Any]]]
_known: Known = {}


def models(read: Read, folder: str) -> dict[str, Artifact | Corrupt]:
    """The models that the dvc.yaml of a folder declares; an error for each that cannot be read.

    Raises:
        Corrupt: the file itself cannot be read.
    """
    return _once("models", read, folder, _models) or {}


def at(read: Read, folder: str) -> Pipeline:
    """The stages, metrics and plots of the dvc.yaml of a folder.

    Raises:
        Corrupt: the file cannot be read, or is not of DVC's form.
    """
    return _once("pipeline", read, folder, _pipeline) or Pipeline()


def recorded(read: Read, folder: str) -> Stages:
    """The stages of the dvc.lock of a folder, as its dvc.yaml has them; none without the files.

    Raises:
        Corrupt: one of the two cannot be read, or is not of DVC's form.
    """
    if read(posixpath.join(folder, LOCK_FILE)) is None:
        return Stages()
    return _once("stages", read, folder, _recorded) or Stages()


def _recorded(read: Read, folder: str, _: dict[str, Any]) -> Stages:
    name = posixpath.join(folder, LOCK_FILE)
    return stages.read(name, read(name) or b"", at(read, folder))


def _once(
    kind: str, read: Read, folder: str, resolve: Callable[[Read, str, dict[str, Any]], T]
) -> T | None:
    """What ``resolve`` makes of a dvc.yaml; again only where it, or a file that it reads, differs.

    ``list`` reads a thousand commits, which mostly have the same. None where there is no dvc.yaml.
    """
    name = posixpath.join(folder, PIPELINE_FILE)
    data = read(name)
    if data is None:
        return None
    states = _known.setdefault((kind, folder, data), [])
    for files, resolved in states:
        if all(read(path) == content for path, content in files.items()):
            return resolved  # type: ignore[no-any-return] # of this kind
    seen: dict[str, bytes | None] = {}

    def noting(path: str) -> bytes | None:
        if path not in seen:
            seen[path] = read(path)
        return seen[path]

    resolved = resolve(noting, folder, _declared(data, name))
    states[MOST_STATES - 1 :] = []
    states.insert(0, (seen, resolved))
    if len(_known) > MOST_KNOWN:
        del _known[next(iter(_known))]
    return resolved


@functools.lru_cache(MOST_KNOWN)
def _declared(data: bytes, name: str) -> dict[str, Any]:
    return yaml.parse(data, name)


def _opened(read: Read, folder: str, declared: dict[str, Any]) -> Opened:
    @functools.cache
    def open_once() -> "Resolver":
        from tagship.dvc.resolver import Resolver

        return Resolver(folder, declared, read)

    return open_once


def _models(read: Read, folder: str, declared: dict[str, Any]) -> dict[str, Artifact | Corrupt]:
    resolver = _opened(read, folder, declared)

    def resolve(name: str, entry: Any) -> tuple[str, Any]:
        return resolver().artifact(name, entry) if is_template([name, entry]) else (name, entry)

    return artifacts.read(declared, folder, resolve)


def _pipeline(read: Read, folder: str, declared: dict[str, Any]) -> Pipeline:
    resolver = _opened(read, folder, declared)
    try:
        definitions: dict[str, Definition] = {}
        problems: dict[str, Corrupt] = {}
        for name, entry in (declared.get("stages") or {}).items():
            try:
                definitions.update(_definitions(resolver, folder, str(name), entry))
            except Corrupt as error:
                problems[str(name)] = error
        notes: list[str] = []
        metrics = _tops(resolver, "metrics", declared, notes)
        plots = _tops(resolver, "plots", declared, notes)
        return Pipeline(
            definitions,
            problems,
            tuple(stages.join(folder, path) for path, _ in _items(metrics)),
            tuple(_items(plots)),
            tuple(notes),
        )
    except (AttributeError, TypeError, ValueError):
        name = posixpath.join(folder, PIPELINE_FILE)
        raise Corrupt(f"{name} is not of DVC's form", f"fix {name} and commit it") from None


def _definitions(
    resolver: Opened, folder: str, name: str, entry: Any
) -> Iterator[tuple[str, Definition]]:
    """The stages that an entry stands for, by their names in dvc.lock."""
    needed = _needed(entry or {})
    if not ("foreach" in needed or "matrix" in needed or is_template(needed)):
        yield name, _definition(folder, needed)
        return
    try:
        for stage, resolved in resolver().stages(name, needed).items():
            yield stage, _definition(folder, resolved)
    except Corrupt as error:
        if not set(needed) <= set(KEPT) or is_template(needed.get("wdir")):
            raise
        # where it runs is known, so that all of it that is no template is known too
        plain = {
            key: [item for item in needed.get(key) or () if not is_template(item)] for key in OUTS
        }
        yield name, _definition(folder, {**plain, "wdir": needed.get("wdir")}, error)


def _needed(entry: dict[str, Any]) -> dict[str, Any]:
    """What of an entry is resolved."""
    needed = {key: entry[key] for key in (*KEPT, "foreach", "matrix") if key in entry}
    return {**needed, "do": _needed(entry["do"] or {})} if "do" in entry else needed


def _definition(
    folder: str, resolved: dict[str, Any], problem: Corrupt | None = None
) -> Definition:
    wdir = stages.join(folder, str(resolved.get("wdir") or ""))
    wdir = "" if wdir == "." else wdir
    outs, metrics, plots = (
        [(stages.join(wdir, path), options) for path, options in _items(resolved.get(key))]
        for key in OUTS
    )
    paths = tuple(path for path, _ in metrics)
    return Definition(wdir, dict([*outs, *metrics, *plots]), paths, tuple(plots), problem)


def _tops(resolver: Opened, where: str, declared: dict[str, Any], notes: list[str]) -> list[Any]:
    """What ``metrics:`` or ``plots:`` on the top level has; of what cannot be resolved, a note."""
    given, resolved = declared.get(where), []
    for index, item in enumerate([given] if isinstance(given, dict) else given or ()):
        try:
            resolved.append(resolver().top(where, index, item) if is_template(item) else item)
        except Corrupt as error:
            notes.append(error.message)
    return resolved


def _items(declared: Any) -> Plots:
    """Path and options of a list, whose items are ``path`` or ``path: {options}``.

    DVC takes one mapping instead of a list of plots too.
    """
    items = [declared] if isinstance(declared, dict) else declared
    return tuple(
        (path, dict(options) if isinstance(options, dict) else {})
        for item in (items if isinstance(items, list) else ())
        for path, options in (item.items() if isinstance(item, dict) else ((item, None),))
        if isinstance(path, str)
    )

"""The objects of a version, into a place that is not its DVC remote: each hashed before it goes."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from tagship.carry.carrier import Carrier, Object
from tagship.dvc.content import Content
from tagship.dvc.pointers import Cached, Pointer
from tagship.errors import Refused, TagshipError, Unavailable
from tagship.progress import silent
from tagship.registry.tags import Tag
from tagship.workspace.source import Source


def send(source: Source, content: Content, place: Carrier, tag: Tag) -> None:
    """Put the objects of a version that a place lacks; the lists of folders come last.

    Of a version that cannot be deployed there are none.

    Raises:
        Refused: DVC 2 tracked one, by a digest that is not of its bytes.
        Corrupt, NotFound, Unavailable: the bytes are not available here as they were released; or
            the place does not take them.
    """
    try:
        snapshot = source.snapshot(tag.commit, tag.name.model)
    except Unavailable:
        raise
    except TagshipError:  # told to who wants to deploy it
        return
    kept = [each for each in snapshot.pointers if isinstance(each, Cached)]
    files = [each for each in content.files(kept) if isinstance(each, Cached)]
    check(files)
    for pointer in {each.digest: each for each in files}.values():
        if place.size(Object(pointer.digest)) is None:
            _send_file(content, place, pointer)
    for pointer in kept:
        if pointer.is_folder and not pointer.members:
            with tempfile.NamedTemporaryFile(prefix="tagship-") as file:
                file.write(content.list_bytes(pointer))
                file.flush()
                _put(content, place, pointer, Path(file.name))


def _send_file(content: Content, place: Carrier, pointer: Cached) -> None:
    with tempfile.TemporaryDirectory(prefix="tagship-") as folder:
        content.bring([pointer], Path(folder))
        _put(content, place, pointer, Path(folder, pointer.path))


def _put(content: Content, place: Carrier, pointer: Cached, source: Path) -> None:
    progress = content.progress if source.stat().st_size else silent
    with progress("carrying", source.stat().st_size) as advance:
        place.put(Object(pointer.digest), source, advance)


def check(pointers: Iterable[Pointer]) -> None:
    """Refuse what has no place by its digest.

    Raises:
        Refused: DVC 2 tracked one.
    """
    for pointer in pointers:
        if isinstance(pointer, Cached) and pointer.legacy:
            raise Refused(
                f"DVC 2 tracked {pointer.place or pointer.path}, by a digest that is not of its"
                " bytes",
                "dvc cache migrate --dvc-files && git commit -a; then release a new version",
            )

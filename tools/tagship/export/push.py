"""The image of a version, sent to a registry: what it lacks, and then its manifest.

A tag that names another image is left alone, unless that is asked for; the digest is computed, and
nothing written, before that is known. When all is sent, the
manifest is asked for again, by its digest and by the tag. A model that was deployed here has the
digest in its history then.
"""

import contextlib
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.deploy import act
from tagship.errors import Corrupt, InvalidName, NoRoom, NotFound, Refused, TagshipError
from tagship.export import image, oci
from tagship.export.image import Blob, Manifest
from tagship.export.oci import BLOBS, Exported, Versions
from tagship.host import actions, history
from tagship.host.store import Store
from tagship.inspect import find
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.refs import Ref
from tagship.stores.registry import Registry
from tagship.stores.registry_address import Address
from tagship.workspace.host import Host
from tagship.workspace.source import Source

WAIT = 10.0  # seconds for whoever has the lock of the model's history


@dataclass(frozen=True)
class Options:
    """How an image is pushed.

    Attributes:
        target: a new folder for its layout; None for a temporary one.
        force: the tag may name another image, and then names this one.
    """

    target: Path | None = None
    force: bool = False
    progress: Progress = silent
    tell: Tell = nobody


def push(source: Source, host: Host, ref: Ref, place: str, options: Options) -> Exported:
    """Write the image of a version, and send it to a registry.

    Args:
        source, host, ref: as for ``oci.export``.
        place: ``HOST/NAME:TAG``; without a tag it is the version.
        options: how.

    Raises:
        InvalidName: ``place`` is no such text.
        Refused: the tag names another image; or the registry does not let this account push.
        Unavailable: the registry does not do its part. What it has by then is not sent again.
        Corrupt: it keeps other bytes than it was sent.
        TagshipError: as for ``oci.export``.
    """
    address = Address.parse(place)
    if address.digest:
        named = f"{address.host}/{address.name}"
        raise InvalidName(f"{place!r} has a digest", f"give a tag, or none: {named}")
    version = oci.of(source, host, find.find(source, ref), options.progress, options.tell)
    address = replace(address, tag=address.tag or image.tag(str(version.release.version)))
    with _folder(options.target) as folder:
        layout = oci.place_of(version, host, folder)
        registry = Registry.at(address, options.tell)
        made, sent = _there(version, registry, address, options), 0
        if made is None:
            made = _write(version, layout, folder, options)
            sent = _Sending(folder, registry, address, made.digest).run(options)
    options.tell(f"name it by its digest: {replace(address, tag='', digest=made.digest)}")
    _record(host.store(made.model), made, str(replace(address, digest=made.digest)), options.tell)
    directory = made.directory if options.target else None
    return replace(made, directory=directory, pushed=str(address), sent=sent)


def _write(version: Versions, place: Path, folder: Path, options: Options) -> Exported:
    """Write the layout that is sent.

    Raises:
        NoRoom: the disk is full; where the layout is a temporary one, its folder is named.
        TagshipError: as for ``oci.write``.
    """
    try:
        return oci.write(version, place, folder, options.progress)
    except NoRoom:
        if options.target is not None:
            raise
        disk = place.parents[1]
        raise NoRoom(
            f"{disk} has no room for the image of {version.release.tag.name}",
            f"make room: df -h {shlex.quote(str(disk))}; or have TMPDIR name another disk",
        ) from None


def _there(
    version: Versions, registry: Registry, address: Address, options: Options
) -> Exported | None:
    """The image, if the registry has all of it by this tag already, and no layout is asked for.

    Raises:
        Refused: the tag names another image.
    """
    taken = registry.manifest(address.tag, image.MANIFEST, image.LARGEST)
    if taken is None or options.force:
        return None
    made = oci.compute(version, options.progress)
    _check_not_taken(address, taken, made.manifest)
    config = Blob.of(image.CONFIG, made.config)
    is_whole = all(registry.has(blob.digest, blob.size) for blob in (*made.layers, config))
    return Exported.of(made, None) if is_whole and options.target is None else None


def _check_not_taken(address: Address, taken: bytes, manifest: bytes) -> None:
    if taken != manifest:
        raise Refused(
            f"{address} is another image: {image.digest(taken)}",
            "give another tag, or replace it: --force",
        )


def _record(store: Store, made: Exported, image_name: str, tell: Tell) -> None:
    """Write it into the model's history, where there is one that this account may write."""
    if not (store.folder / history.FILE_NAME).exists():
        return
    options = act.Options(wait=WAIT, tell=tell)
    try:
        with act.begin(store, made.model, f"push of {made.model}@{made.version}", options) as deed:
            for repaired in deed.repaired:
                tell(repaired)
            known = deed.past.last((f'"{actions.PUSH}"'.encode(), image_name.encode()))
            if all(event.image != image_name for _, event in known):
                event = deed.event(actions.PUSH)
                deed.record(replace(event, version=made.version, image=image_name))
    except Refused:  # only to be read
        return
    except (TagshipError, OSError) as error:
        tell(f"it is pushed, and the history does not say so: {error}")


@contextlib.contextmanager
def _folder(target: Path | None) -> Iterator[Path]:
    if target is not None:
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="tagship-") as folder:
        yield Path(folder, "image")


@dataclass(frozen=True)
class _Sending:
    folder: Path
    registry: Registry
    address: Address
    digest: str

    def run(self, options: Options) -> int:
        """Send what is not there; how many bytes that were."""
        data = self._path(self.digest).read_bytes()
        before = self.registry.manifest(self.address.tag, image.MANIFEST, image.LARGEST)
        if before is not None and not options.force:
            _check_not_taken(self.address, before, data)
        manifest = Manifest.parse(data)
        blobs = dict.fromkeys([*manifest.layers, manifest.config])
        sent = self._send([blob for blob in blobs if not self._has(blob)], options.progress)
        if before != data:
            self.registry.send_manifest(self.address.tag, image.MANIFEST, data, self.digest)
            self._check(self.digest, data)
            self._check(self.address.tag, data)
        return sent

    def _send(self, blobs: list[Blob], progress: Progress) -> int:
        total = sum(blob.size for blob in blobs)
        with progress("pushing", total) as advance:
            for blob in blobs:
                self.registry.send(blob.digest, self._path(blob.digest), advance)
        for blob in blobs:
            if not self._has(blob):
                raise Corrupt(
                    f"{self.address.host} does not have {blob.digest}, which it took", _ASK
                )
        return total

    def _has(self, blob: Blob) -> bool:
        return self.registry.has(blob.digest, blob.size)

    def _check(self, reference: str, data: bytes) -> None:
        """Ask for the manifest again."""
        if self.registry.manifest(reference, image.MANIFEST, image.LARGEST) != data:
            raise Corrupt(f"{self.address.host} has other bytes for {reference} by now", _ASK)

    def _path(self, digest: str) -> Path:
        return self.folder / BLOBS / digest.removeprefix("sha256:")


_ASK = "push it again; if it happens again, ask who runs the registry"


@dataclass(frozen=True)
class Remote:
    """An image in a registry, by its digest: a place for ``image_check``."""

    registry: Registry

    def __str__(self) -> str:
        return f"docker://{self.registry.address}"

    @property
    def digest(self) -> str:
        """Of the manifest."""
        return self.registry.address.digest

    @property
    def again(self) -> str:
        """The hint where it is damaged: what the registry has of it is sent anew."""
        return "push it again: tagship export MODEL@VERSION --format oci --push HOST/NAME --force"

    def manifest(self) -> bytes:
        """The manifest; nobody has checked it.

        Raises:
            NotFound: the registry has no such image.
            Refused, Unavailable: it does not give it.
        """
        data = self.registry.manifest(self.digest, image.MANIFEST, image.LARGEST)
        if data is None:
            raise NotFound(
                f"there is no image {self}",
                "tagship export MODEL@VERSION --format oci --push HOST/NAME",
            )
        return data

    def blocks(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob; see ``Registry.blocks``."""
        return self.registry.blocks(blob.digest, blob.size)

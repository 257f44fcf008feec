"""Layouts of images: read, and forged, for tests."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Layout:
    """A layout on disk."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / "blobs" / "sha256" / name.removeprefix("sha256:")

    def blob(self, name: str) -> bytes:
        """A blob, whose name must be its digest."""
        data = self.path(name).read_bytes()
        assert digest(data) == name
        return data

    @property
    def index(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "index.json").read_bytes())
        return value

    @property
    def digest(self) -> str:
        (entry,) = self.index["manifests"]
        name: str = entry["digest"]
        return name

    @property
    def manifest(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.blob(self.digest))
        return value

    @property
    def config(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.blob(self.manifest["config"]["digest"]))
        return value

    @property
    def layers(self) -> list[bytes]:
        return [self.blob(layer["digest"]) for layer in self.manifest["layers"]]

    @property
    def members(self) -> list[list[tarfile.TarInfo]]:
        """The entries of each layer."""
        return [tarfile.open(fileobj=io.BytesIO(data)).getmembers() for data in self.layers]

    @property
    def contents(self) -> dict[str, bytes]:
        """All files of the image, by path, as a program that reads tars finds them."""
        found = {}
        for data in self.layers:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for entry in archive:
                    file = archive.extractfile(entry)
                    assert file is not None
                    found[entry.name] = file.read()
        return found

    def add(self, data: bytes) -> dict[str, Any]:
        """Store a blob; its descriptor."""
        self.path(digest(data)).write_bytes(data)
        return {"digest": digest(data), "size": len(data)}

    def forge(
        self,
        layers: list[bytes] | None = None,
        config: Callable[[dict[str, Any]], object] = lambda _: None,
        manifest: Callable[[dict[str, Any]], object] = lambda _: None,
    ) -> None:
        """Another image, whose digests are all right."""
        made, configured = self.manifest, self.config
        if layers is not None:
            kind = made["layers"][0]["mediaType"]
            made["layers"] = [{"mediaType": kind, **self.add(data)} for data in layers]
            configured["rootfs"]["diff_ids"] = [layer["digest"] for layer in made["layers"]]
        config(configured)
        made["config"].update(self.add(compact(configured)))
        manifest(made)
        index = self.index
        index["manifests"][0].update(self.add(compact(made)))
        (self.folder / "index.json").write_bytes(compact(index))


def compact(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def archive(*entries: tarfile.TarInfo, data: bytes = b"model 1\n") -> bytes:
    """A tar with entries; those that are files have ``data``."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as opened:
        for entry in entries:
            if entry.isfile():
                entry.size = len(data)
            opened.addfile(entry, io.BytesIO(data) if entry.isfile() else None)
    return made.getvalue()


def entry(name: str = "models/model.bin", **values: Any) -> tarfile.TarInfo:
    """An entry as tagship writes it, but for some values."""
    made = tarfile.TarInfo(name)
    made.mode = 0o444
    for key, value in values.items():
        setattr(made, key, value)
    return made

"""Bundles: read as another program reads them, and forged, for tests."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagship.carry import bundle, capsule, index
from tagship.carry.bundle import Writer
from tagship.carry.carrier import Capsule
from tests.workbench import PATH, Workbench

INDEX = "tagship/churn/index.json"


def release_a_folder(bench: Workbench) -> None:
    """1.0.0 is a folder of 40 files, of which 30 have bytes of their own."""
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / PATH).unlink()
    for number in range(40):
        path = bench.repo / PATH / f"layers/{number % 7}/ä{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (number % 30))
    bench.track(PATH)
    bench.commit()
    bench.release()


def read(data: bytes) -> dict[str, bytes]:
    """The members by name, in order."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
    return found


def write(members: dict[str, bytes]) -> bytes:
    """A bundle of members, whose sums are all right."""
    made = io.BytesIO()
    writer = Writer(made.write)
    for name, data in members.items():
        if name != bundle.SUMS:
            writer.add(name, data)
    writer.finish()
    return made.getvalue()


def offsets(data: bytes) -> list[tuple[int, int, int]]:
    """Of each member: where its header is, where its bytes begin, and how many they are."""
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        return [(each.offset, each.offset_data, each.size) for each in opened]


class Forged:
    """A bundle whose members are changed; all sums and digests but those of objects follow."""

    def __init__(self, file: Path) -> None:
        self.members = read(file.read_bytes())

    @property
    def data(self) -> bytes:
        """The bytes of the bundle."""
        return write(self.members)

    def of(self, kind: str) -> str:
        """The name of the only member of a kind: ``capsules/``, ``files/``."""
        (name,) = [name for name in self.members if kind in name]
        return name

    def change(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a member that is JSON."""
        value = json.loads(self.members[name])
        change(value)
        self.members[name] = json.dumps(value).encode()

    def put_object(self, data: bytes) -> None:
        """Other bytes for the object; its name stays."""
        self.members[self.of("files/")] = data
        self.change(bundle.HEAD, lambda head: head.update(size=len(data)))

    def put_capsule(self, data: bytes, name: str = "churn@v1.0.0") -> None:
        """Another capsule for a tag; the index names it."""
        tags = index.parse(self.members[INDEX], "churn", "here")
        was = Capsule("churn", tags[name].capsule).path
        new = index.Entry(tags[name].object, capsule.digest(data), len(data))
        self.members = {
            (Capsule("churn", new.capsule).path if key == was else key): (
                data if key == was else value
            )
            for key, value in self.members.items()
        }
        self.members[INDEX] = index.write("churn", {**tags, name: new})

    def head(self, change: Callable[[capsule.Head], capsule.Head]) -> None:
        """Another head of the capsule."""
        found = capsule.parse(self.members[self.of("capsules/")], "here")
        head = change(found.head)
        data = capsule.write(head.tag, head.object, head.commit, found.pack)
        self.put_capsule(data.replace(b'"schema":1', b'"schema":%d' % head.schema))

    def put_pack(self, pack: bytes) -> None:
        """Another pack of the capsule."""
        head = capsule.parse(self.members[self.of("capsules/")], "here").head
        self.put_capsule(capsule.write(head.tag, head.object, head.commit, pack))

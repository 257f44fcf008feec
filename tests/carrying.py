"""A host that asks no Git server: what is released lies as capsules beside the objects."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.carry import capsule, carrier, index
from tagship.carry.carrier import Carrier
from tagship.carry.folder import Folder
from tagship.carry.index import Entry
from tagship.git.run import Repository
from tagship.registry import tags
from tagship.workspace import encapsulate
from tests.hosts import Following
from tests.workbench import MODEL


@dataclass(frozen=True)
class Carrying(Following):
    """A host that follows the index in a place: the DVC remote, or ``address``."""

    address: str = ""
    options: str = ""
    kind: str = "index"

    @property
    def carrier(self) -> Carrier:
        """The place."""
        return Folder(self.remote)

    @property
    def index_file(self) -> Path:
        """The index of the model, in the DVC remote."""
        return self.remote / carrier.index_path(MODEL)

    def follow(
        self, track: str = "latest", gate: str = "", more: str = "", deploy: str = "",
        git: str = "", model: str = MODEL,
    ) -> None:  # fmt: skip
        """As ``Following``, from the place."""
        super().follow(track, gate, more, deploy, git, model)
        first, _, rest = self.file.read_text().partition("[source]\n")
        _, _, rest = rest.partition("[deploy]")
        place = f'{self.kind} = "{self.address or self.remote}"\n{self.options}'
        self.file.write_text(f"{first}[source]\n{place}[deploy]{rest}")

    def capsules(self, model: str = MODEL) -> dict[str, tuple[Entry, bytes]]:
        """The capsule of each tag of the workspace's clone, as a release makes them."""
        source = self.bench.manager.source
        made = {}
        for tag in tags.read(Repository(self.bench.repo, bare=False), model):
            data = encapsulate.capsule_of(source, tag)
            entry = Entry(tag.object_id, capsule.digest(data), len(data))
            made[str(tag.name)] = (entry, data)
        return made

    def carry(self, model: str = MODEL) -> dict[str, Entry]:
        """Write what the clone has into the place: capsules, and then the index."""
        made = self.capsules(model)
        for entry, data in made.values():
            self.put(data, entry.capsule, model)
        rows = {name: entry for name, (entry, _) in made.items()}
        self.show(rows, model)
        return rows

    def put(self, data: bytes, digest: str = "", model: str = MODEL) -> str:
        """Write a capsule into the place, under its name or another one."""
        file = self.top / "capsule"
        file.write_bytes(data)
        name = carrier.Capsule(model, digest or capsule.digest(data))
        self.carrier.put(name, file, lambda _: None)
        return name.digest

    def show(self, rows: dict[str, Entry], model: str = MODEL) -> None:
        """Have the index say this, whatever it said."""
        self.write_index(index.write(model, rows), model)

    def write_index(self, data: bytes, model: str = MODEL) -> None:
        """Write an index: nobody checks it."""
        before = self.carrier.index(model)
        assert before is not None
        self.carrier.write_index(model, data, before.mark)

    def replace(
        self, name: str, change: Callable[[bytes], bytes], entry: Entry | None = None
    ) -> None:
        """Have a tag's capsule be another one, and the index say so."""
        made = self.capsules()
        data = change(made[name][1])
        digest = self.put(data)
        rows = {each: row for each, (row, _) in made.items()}
        rows[name] = replace(entry or rows[name], capsule=digest, size=len(data))
        self.show(rows)


def of(host: Following, **how: str) -> Carrying:
    """The same host, fed from the place alone; its Git server is gone."""
    carrying = Carrying(host.bench, **how)
    carrying.follow()
    return carrying

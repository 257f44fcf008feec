"""A bundle that is written or taken in, cut short: what must hold of the file or of the folder."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagship.carry import capsule, carrier, index
from tagship.disk import atomic, files
from tests.crash import cases
from tests.crash.cases import Case
from tests.workbench import MODEL, Result

PLAIN = re.compile(r"error: (?!this should not).*\n(.*\n)*hint: ")


@dataclass(frozen=True)
class Carried:
    """What a command makes in ``folder``: ``case.makes``."""

    case: Case
    folder: Path

    @property
    def path(self) -> Path:
        """The file or the folder."""
        return self.folder / self.case.makes

    def live(self) -> str:
        """Whether the old or the new state holds."""
        if self.path.suffix == ".tar":
            return "new" if self.path.exists() else "old"
        return "new" if f"{MODEL}@v{self.case.after}" in self._tags() else "old"

    def _tags(self) -> dict[str, index.Entry]:
        try:
            data = (self.path / carrier.index_path(MODEL)).read_bytes()
        except FileNotFoundError:
            return {}
        return index.parse(data, MODEL, "the place")

    def damage(self) -> Iterator[str]:
        """What must never be, at no moment."""
        if self.path.suffix == ".tar":
            expected = (self.folder / "expected.tar").read_bytes()
            if self.path.exists() and self.path.read_bytes() != expected:
                yield "the bundle is half"
            return
        tags = self._tags()
        if self.case.before and f"{MODEL}@v{self.case.before}" not in tags:
            yield "what was there is gone"
        for name, entry in tags.items():
            path = self.path / carrier.Capsule(MODEL, entry.capsule).path
            if not path.is_file() or capsule.digest(path.read_bytes()) != entry.capsule:
                yield f"the capsule of {name} is not whole"
            content = cases.content(name.rpartition("@v")[2])
            if content not in self._contents():
                yield f"the object of {name} is not there"
        for path in self.path.glob("files/md5/*/*"):
            if files.digest(path).md5 != path.parent.name + path.name:
                yield f"an object has other bytes: {path}"

    def _contents(self) -> list[bytes]:
        return [path.read_bytes() for path in self.path.glob("files/md5/*/*")]

    def litter(self) -> list[str]:
        """What is half-written."""
        own = self.path / "tagship"
        places = (self.folder, self.path, own, own / MODEL, own / MODEL / carrier.CAPSULES)
        return [
            str(path.relative_to(self.folder))
            for place in places
            if place.is_dir()
            for path in place.iterdir()
            if atomic.is_temporary(path.name)
        ]

    def again(self) -> Iterator[str]:
        """Try again, as a user would: now it is done, and nothing is left over."""
        was = self.live()
        result = self._command()
        is_there = was == "new" and self.path.suffix == ".tar"
        if result.code != (1 if is_there else 0):
            yield f"tried again: {result.out}{result.err}"
        yield from self.damage()
        if self.live() != "new":
            yield "tried again: it is not done"
        if not is_there and (left := self.litter()):
            yield f"tried again: left over: {left}"

    def _command(self) -> Result:
        repo = self.folder / self.case.where
        with contextlib.chdir(repo):
            return cases.command(repo, self.case.command, self.case.site)

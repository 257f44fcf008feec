"""What a command makes beside the repository, cut short: what must hold of it.

A bundle, the folder that one is taken into, an image, the files of one.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagship import Workspace
from tagship.carry import capsule, carrier, index
from tagship.disk import atomic, files
from tagship.errors import TagshipError
from tagship.host import metadata
from tests.crash import cases
from tests.crash.cases import Case
from tests.workbench import MODEL, Result

PLAIN = re.compile(r"error: (?!this should not).*\n(.*\n)*hint: ")


@dataclass(frozen=True)
class Made:
    """What a command makes in ``folder``: ``case.makes``."""

    case: Case
    folder: Path

    @property
    def path(self) -> Path:
        """The file or the folder."""
        return self.folder / self.case.makes

    def live(self) -> str:
        """Whether the old or the new state holds."""
        return "new" if self.path.exists() else "old"

    def damage(self) -> Iterator[str]:
        """What must never be, at no moment."""
        raise NotImplementedError

    def litter(self) -> list[str]:
        """What is half-written."""
        return [path.name for path in atomic.temporaries(self.path.parent)]

    def again(self) -> Iterator[str]:
        """Try again, as a user would: now it is done, and nothing is left over."""
        was = self.live()
        result = self._command()
        is_there = was == "new" and "exists" in result.err  # some commands write no second one
        if result.code != (1 if is_there else 0):
            yield f"tried again: {result.out}{result.err}"
        yield from (f"tried again: {text}" for text in self.damage())
        if self.live() != "new":
            yield "tried again: it is not done"
        if not is_there and (left := self.litter()):
            yield f"tried again: left over: {left}"

    def _command(self) -> Result:
        repo = self.folder / self.case.where
        with contextlib.chdir(repo):
            return cases.command(repo, self.case.command, self.case.site)


class Bundle(Made):
    """A bundle: equal versions give equal bytes."""

    def damage(self) -> Iterator[str]:
        """As ``Made``."""
        expected = (self.folder / "expected.tar").read_bytes()
        if self.path.exists() and self.path.read_bytes() != expected:
            yield "the bundle is half"


class Exported(Made):
    """An image as a layout, or the files of one."""

    def damage(self) -> Iterator[str]:
        """As ``Made``: what was exported is the image of the tag, what was unpacked the version."""
        if not self.path.exists():
            return
        try:
            if (self.path / "index.json").exists():
                problems = Workspace(self.folder / "repo").verify_image(f"oci:{self.path}").problems
                if not (self.path / "oci-layout").exists():
                    yield f"{self.path.name} is no layout"
            else:
                problems = tuple(metadata.verify(self.path, metadata.read(self.path)))
                if (self.path / "model.bin").read_bytes() != cases.content("1.1.0"):
                    yield f"{self.path.name} has the bytes of another version"
        except (TagshipError, OSError) as error:
            yield f"{self.path.name}: {error}"
            return
        for problem in problems:
            yield f"{self.path.name}: {problem.path} {problem.what}"


class Taken(Made):
    """A folder that a bundle is taken into; it may have others already."""

    def live(self) -> str:
        """As ``Made``."""
        return "new" if f"{MODEL}@v{self.case.after}" in self._tags() else "old"

    def _tags(self) -> dict[str, index.Entry]:
        try:
            data = (self.path / carrier.index_path(MODEL)).read_bytes()
        except FileNotFoundError:
            return {}
        return index.parse(data, MODEL, "the place")

    def damage(self) -> Iterator[str]:
        """As ``Made``."""
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
        """As ``Made``."""
        own = self.path / "tagship"
        places = (self.folder, self.path, own, own / MODEL, own / MODEL / carrier.CAPSULES)
        return [
            str(path.relative_to(self.folder))
            for place in places
            if place.is_dir()
            for path in place.iterdir()
            if atomic.is_temporary(path.name)
        ]


def of(case: Case, folder: Path) -> Made:
    """What a case makes."""
    kinds = {"x.tar": Bundle, "place": Taken, "out/image": Exported}
    return kinds[case.makes](case, folder)

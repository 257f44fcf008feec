"""DVC's own resolver of templates, ``foreach``, ``matrix`` and ``vars``, on the files of a commit.

DVC 3.67 (``dvc/parsing``) asks a repository for its file system alone. What a commit has is text
that anybody may have written: each file is read within bounds before DVC parses it, and what a few
lines may expand to is bounded here.
"""

import math
import posixpath
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeVar

from tagship.dvc import config as dvc_config
from tagship.dvc import values
from tagship.dvc.templates import Read, longest, measure
from tagship.errors import Corrupt
from tagship.registry.project_files import PIPELINE_FILE
from tagship.text.paths import is_path

if TYPE_CHECKING:
    from dvc.parsing import DataResolver, ForeachDefinition, MatrixDefinition

MOST_STAGES = 10_000  # of one foreach or matrix
MOST_VALUES = 200_000  # that are looked at while one dvc.yaml is resolved; DVC needs 20 us each
MOST_KNOWN = 50_000  # values that references may stand for
MOST_REFERENCES = 20_000  # ``${...}``: DVC needs 50 microseconds for each
MOST_TEXT = 32_000_000  # characters of what they stand for
MOST_READ = 1 << 20  # bytes of all files that it reads
LONGEST_ERROR = 200  # characters; DVC's may hold all values
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

T = TypeVar("T")


class TooMuch(ValueError):
    """What would be resolved is more than anybody would write."""

    def __init__(self, why: str = "it expands to more than tagship resolves") -> None:
        super().__init__(why)


class _Budget:
    """What the entries of one dvc.yaml may take together; it is spent before it is taken."""

    def __init__(self) -> None:
        self._left = {"values": MOST_VALUES, "references": MOST_REFERENCES, "text": MOST_TEXT,
                      "known": MOST_KNOWN, "bytes": MOST_READ}  # fmt: skip
        self._longest = self._pending = 0

    def parse(self, template: Any) -> None:
        """Count the references of an entry: DVC checks the syntax of each once.

        Raises:
            TooMuch: all together are more than is resolved.
        """
        self._spend("references", measure(template)[1])

    def fill(self, template: Any) -> None:
        """Count what filling a template in takes, once; raises TooMuch as ``parse``."""
        size, self._pending = measure(template)
        self._spend("values", size)
        self._spend("text", self._pending * self._longest)

    def read(self, data: bytes) -> None:
        """Count a file before it is parsed; raises TooMuch as ``parse``."""
        self._spend("bytes", len(data))

    def know(self, data: Any) -> None:
        """Count values that references may stand for; raises TooMuch as ``parse``."""
        self._spend("known", measure(data)[0])
        self._longest = max(self._longest, longest(data))
        if self._pending * self._longest > self._left["text"]:  # a file that one template reads
            raise TooMuch

    def fail(self, context: Any) -> None:
        """Count an error: DVC makes it of all values that it knows."""
        self._left["values"] -= measure(context)[0]

    def _spend(self, what: str, count: int) -> None:
        if count > self._left[what]:
            raise TooMuch
        self._left[what] -= count


class _Files:
    """As much of a file system as DVC's resolver asks: the files of one commit."""

    join = staticmethod(posixpath.join)
    normpath = staticmethod(posixpath.normpath)

    def __init__(self, read: Read, budget: _Budget) -> None:
        self._read, self._budget = read, budget

    def exists(self, path: str) -> bool:
        """Whether the commit has such a file; what lies outside of it does not exist."""
        return is_path(path) and self._read(path) is not None

    def isdir(self, path: str) -> bool:  # noqa: ARG002 - DVC asks it of what exists
        """Never: a folder does not exist here."""
        return False

    def suffix(self, path: str) -> str:
        """The end of a name, by which DVC chooses the parser."""
        return posixpath.splitext(path)[1]

    def open(self, path: str, **_: Any) -> StringIO:
        """The text of a file, which was read within bounds before.

        Raises:
            Corrupt: it is not valid.
            TooMuch: its values are too long for what is being resolved.
        """
        data = self._read(path) or b""
        self._budget.read(data)
        self._budget.know(values.parse(data, path))
        return StringIO(data.decode("utf-8-sig"))


class _Repository:
    """As much of a repository as DVC's resolver asks; its settings concern ``cmd`` alone."""

    def __init__(self, fs: _Files) -> None:
        self.fs, self.config = fs, dict[str, Any]()


class Resolver:
    """Resolves the entries of one dvc.yaml, each on its own.

    Args:
        folder: the folder of the dvc.yaml, from the top.
        declared: its content.
        read: reads the commit's files.

    Every method raises Corrupt where the entry cannot be resolved.
    """

    def __init__(self, folder: str, declared: dict[str, Any], read: Read) -> None:
        self._folder, self._name = folder, posixpath.join(folder, PIPELINE_FILE)
        self._vars, self._read = declared.get("vars") or [], read
        self._budget = _Budget()
        self._resolver: DataResolver | None = None
        self._failure: Exception | None = None

    def artifact(self, name: str, entry: Any) -> tuple[str, Any]:
        """An entry of ``artifacts:``: its name, and what it has."""

        def resolve(resolver: "DataResolver") -> tuple[str, Any]:
            from dvc.parsing import ArtifactDefinition

            self._budget.parse([name, entry])
            self._budget.fill([name, entry])
            definition = ArtifactDefinition(resolver, resolver.context, name, entry, "artifacts")
            ((key, value),) = definition.resolve().items()
            return key, value

        return self._guarded(f"artifacts: {name}", resolve)

    def top(self, where: str, index: int, item: Any) -> Any:
        """An item of ``metrics:`` or ``plots:`` on the top level."""

        def resolve(resolver: "DataResolver") -> Any:
            from dvc.parsing import TopDefinition

            self._budget.parse(item)
            self._budget.fill(item)
            return TopDefinition(resolver, resolver.context, str(index), item, where).resolve()

        return self._guarded(f"{where}: item {index}", resolve)

    def stages(self, name: str, definition: dict[str, Any]) -> dict[str, Any]:
        """The stages that an entry of ``stages:`` stands for, by their names in dvc.lock."""

        def resolve(resolver: "DataResolver") -> dict[str, Any]:
            from dvc.parsing import EntryDefinition, make_definition

            self._budget.parse(definition)
            self._budget.know([definition.get(key) for key in ("vars", "foreach", "matrix")])
            group = make_definition(resolver, name, definition)
            if not isinstance(group, EntryDefinition):
                return dict(self._instances(group, definition))
            self._budget.fill(definition)
            return dict(group.resolve())

        return self._guarded(f"stage {name}", resolve)

    def _instances(
        self, group: "ForeachDefinition | MatrixDefinition", definition: dict[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        iterable = group.resolved_iterable
        count = len(iterable)
        if "matrix" in definition:
            count = math.prod(len(items) for items in iterable.values())
        if count > MOST_STAGES:
            raise TooMuch(f"it stands for {count:,} stages")
        template = definition.get("do", definition)
        for key in group.normalized_iterable:
            self._budget.fill(template)
            yield from group.resolve_one(key).items()

    def _guarded(self, what: str, resolve: "Callable[[DataResolver], T]") -> T:
        from dvc.exceptions import DvcException

        try:
            with dvc_config.quiet():
                return resolve(self._open())
        except (DvcException, Corrupt, AssertionError, AttributeError, LookupError, RecursionError,
                TypeError, ValueError) as error:  # fmt: skip # of a form that DVC does not expect
            why = _COLOURS.sub("", " ".join(str(error).split())) or "it is not of DVC's form"
            if self._resolver is None:
                self._failure = error
            else:
                self._budget.fail(self._resolver.context.value)
            raise Corrupt(
                f"{what} in {self._name} cannot be resolved: {why[:LONGEST_ERROR]}",
                f"fix {self._name} and commit it",
            ) from None

    def _open(self) -> "DataResolver":
        """DVC's resolver, with the values of params.yaml and ``vars:``; read once."""
        from dvc.parsing import DataResolver

        if self._failure is not None:
            raise self._failure
        if self._resolver is None:
            self._budget.know(self._vars)
            repository = _Repository(_Files(self._read, self._budget))
            only = {"vars": self._vars}
            self._resolver = DataResolver(repository, self._folder, only)
        return self._resolver

"""A plain models folder with versions of a toy model: written in a millisecond, and moved."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tagship import loaders
from tagship.disk import files
from tagship.host import history, journal, metadata
from tagship.host.history import Event
from tagship.host.metadata import CommitInfo, DeploymentInfo, Metadata, TagInfo
from tagship.host.store import Store

TOY = Path(__file__).with_name("toy")
MODEL = "churn"


@dataclass
class Shelf:
    """The folder of all models, and the versions of ``churn`` in it."""

    root: Path
    model: str = MODEL
    count: int = 0
    seq: int = 0
    gates: int = 0
    factors: dict[str, float] = field(default_factory=dict)  # by version

    @property
    def store(self) -> Store:
        """The model's folder."""
        return Store(self.root / self.model)

    def keep(self, version: str, factor: float | None = None, **model: Any) -> str:
        """Write a version that is not live; the name of its directory."""
        self.count += 1
        factor = float(self.count if factor is None else factor)
        self.factors[version] = factor
        content = json.dumps({"factor": factor, "mark": version, **model})
        answers = {"outputs": [[factor, 2 * factor]], "inputs": [[1.0, 2.0]]}
        return self.write(version, {"model.toy": content.encode()}, answers)

    def write(
        self, version: str, contents: dict[str, bytes], answers: dict[str, Any] | None
    ) -> str:
        """The same with any files; the first is the model's."""
        identity = f"20261120_{self.count:06d}"
        name = history.directory_name(version, identity)
        directory = self.store.versions / name
        directory.mkdir(parents=True)
        if answers is not None:
            tolerance = {"absolute": 1e-6, "relative": 1e-6}
            test = json.dumps({"schema": 1, "tolerance": tolerance, **answers}).encode()
            contents = {**contents, "self_test.json": test}
        for path, data in contents.items():
            (directory / path).write_bytes(data)
            (directory / path).chmod(0o444)
        each = tuple(files.digest(directory / path) for path in contents)
        each = tuple(
            files.File(path, file.size, file.md5, file.sha256)
            for path, file in zip(contents, each, strict=True)
        )
        at = "2026-11-20T12:00:00Z"
        value = Metadata(
            self.model, version, next(iter(contents)), "self_test.json" if answers else None,
            TagInfo(f"{self.model}@v{version}", "a" * 40, "Ada", at, ""),
            CommitInfo("b" * 40, "Ada", at, "Train"), each, sum(file.size for file in each),
            deployment=DeploymentInfo(identity, self.seq + 1, at, "ada", "edge-1"),
        )  # fmt: skip
        metadata.write(directory, value)
        directory.chmod(0o755)
        return name

    def point(self, directory: str) -> None:
        """Make a version live, and record it."""
        self.store.switch(directory)
        self.seq += 1
        version = directory[1:-16]
        journal.record(
            self.store,
            Event(
                self.seq, f"20261120_{self.seq:06d}", "2026-11-20T12:00:00Z", "deploy", "succeeded",
                self.model, version, directory=directory,
            ),
        )  # fmt: skip

    def ship(self, version: str, factor: float | None = None, **model: Any) -> str:
        """Write a version, and make it live."""
        directory = self.keep(version, factor, **model)
        self.point(directory)
        return directory

    def path(self, directory: str, name: str = "model.toy") -> Path:
        """A file of a version, which can be written."""
        path = self.store.versions / directory / name
        path.chmod(0o644)
        return path

    def gate(self) -> Path:
        """The path of a new gate, closed."""
        self.gates += 1
        return self.root / f"gate-{self.gates}"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """An empty folder; the toy framework is installed here, and for processes of this one."""
    root = tmp_path / "models"
    root.mkdir()
    monkeypatch.syspath_prepend(str(TOY))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TOY), *filter(None, sys.path)]))
    loaders.known.cache_clear()
    yield Shelf(root)
    loaders.known.cache_clear()

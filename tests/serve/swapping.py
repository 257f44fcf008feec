"""Three versions of a real model, swapped by tagship itself; and a server of them, a process."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tagship
from tagship import ModelVersionManager, loaders
from tests.serve.judge import Expected
from tests.stores import servers
from tests.workbench import commit

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
START = 120  # seconds, until a server must be ready on a busy machine
Rows = Any  # of shape (N, ...)


@dataclass(frozen=True)
class Shipped:
    """A workspace in which three versions of a model are on disk; 1.2.0 is live.

    Attributes:
        batches: inputs, a body each.
        expected: what the saved file of each version gives for them.
    """

    repo: Path
    model: str
    batches: tuple[Rows, ...]
    expected: Expected

    @property
    def folder(self) -> Path:
        """Of the model."""
        return self.repo / "models" / self.model

    def live(self) -> str:
        """The live version."""
        return tagship.resolve(self.model, self.repo).version

    def swaps(self, count: int) -> Iterator[str]:
        """Make another version live so many times, by deploys and rollbacks in turn.

        Gives each version as soon as it is live.
        """
        begin = VERSIONS.index(self.live()) + 1
        for number in range(begin, begin + count):
            version = VERSIONS[number % len(VERSIONS)]
            manager = ModelVersionManager(self.model, self.repo)
            if number % 2:
                manager.deploy(version, smoke_test=False)
            else:
                manager.rollback_to_version(version)
            yield version


def ship(
    repo: Path, model: str, path: str, trained: Sequence[Any], batches: Sequence[Rows]
) -> Shipped:
    """Release and deploy three trained models as versions of one.

    Args:
        repo: a workspace of Git and DVC.
        model: under ``artifacts:``, which is written.
        path: of its file.
    """
    declared = f"artifacts:\n  {model}:\n    path: {path}\n"
    (repo / "dvc.yaml").write_text(declared, encoding="utf-8")
    commit(repo, f"Declare {model}")
    expected = {}
    for version, each in zip(VERSIONS, trained, strict=True):
        ModelVersionManager(model, repo).deploy_model(each, smoke_test=False)
        expected[version] = _answers(repo / "models" / model / "current", path, batches)
    return Shipped(repo, model, tuple(batches), expected)


def _answers(directory: Path, path: str, batches: Sequence[Rows]) -> list[list[float]]:
    """What a saved file gives, by its framework alone."""
    file = directory / Path(path).name
    loader = loaders.need(file)
    model = loader.load(file)
    return [loader.predict(model, rows).ravel().tolist() for rows in batches]


# models


def catboost_models(trees: int = 30, features: int = 17) -> tuple[list[Any], list[Rows]]:
    """Three classifiers of three classes that answer differently; batches of 6 rows."""
    import catboost
    import numpy as np

    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(600, features))
    models = []
    for number in range(len(VERSIONS)):
        labels = (inputs[:, number] > 0).astype(int) + (inputs[:, number + 1] > 0)
        model = catboost.CatBoostClassifier(
            iterations=trees, depth=6, random_seed=number, verbose=False,
            allow_writing_files=False, thread_count=1,
        )  # fmt: skip
        models.append(model.fit(inputs, labels))
    return models, [rng.normal(size=(6, features)).tolist() for _ in range(4)]


def keras_models() -> tuple[list[Any], list[Rows]]:
    """Three small networks of random weights; batches of 6 rows."""
    import keras
    import numpy as np

    models = []
    for number in range(len(VERSIONS)):
        keras.utils.set_random_seed(number)
        layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3, "softmax")]
        models.append(keras.Sequential([keras.Input((8,)), *layers]))
    rng = np.random.default_rng(1)
    return models, [rng.normal(size=(6, 8)).tolist() for _ in range(4)]


def vision_models(side: int) -> tuple[list[Any], list[Rows]]:
    """Three networks (EfficientNetB0) of random weights; one picture of ``side`` pixels each."""
    import keras
    import numpy as np

    models = []
    for number in range(len(VERSIONS)):
        keras.utils.set_random_seed(number)
        shape = (side, side, 3)
        models.append(keras.applications.EfficientNetB0(weights=None, input_shape=shape, classes=5))
    rng = np.random.default_rng(1)
    return models, [rng.uniform(0, 255, (1, *shape)).astype("float32") for _ in range(2)]


# the server


@dataclass(frozen=True)
class Server:
    """``tagship serve``, which runs."""

    address: tuple[str, int]
    pid: int
    log: Path

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        return answer.status, json.loads(body) if body[:1] in (b"{", b"[") else body

    def version(self, model: str) -> str | None:
        """The version that it names as the one that answers."""
        status, value = self.get(f"/v2/models/{model}")
        return value["versions"][0] if status == 200 else None

    def await_version(self, model: str, version: str) -> None:
        """Until a version answers."""
        wait_for(lambda: self.version(model) == version, log=self.log)

    def await_refusal(self, model: str, version: str | None) -> None:
        """Until it says that a version was to answer, and does not; or that there is none."""
        wait_for(lambda: self._refused(model) == version, log=self.log)

    def _refused(self, model: str) -> str | None:
        _, value = self.get(f"/v2/models/{model}")
        version: str | None = value["properties"].get("refused_version")
        return version


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """Run ``tagship serve`` until the block ends; it begins when the server is ready.

    Args:
        folder: the workspace, the working directory.
        arguments: of the command, the models first.
    """
    (port,) = servers.free_ports(1)
    command = [sys.executable, "-m", "tagship", "serve", *arguments, "--port", str(port)]
    log = folder.parent / f"serve-{port}.log"
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
    server = Server(("127.0.0.1", port), process.pid, log)
    try:
        wait_for(lambda: _is_ready(server), process=process, log=log)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_ready(server: Server) -> bool:
    try:
        return server.get("/v2/health/ready")[0] == 200
    except OSError:
        return False


def wait_for(
    condition: Callable[[], bool],
    seconds: float = START,
    process: "subprocess.Popen[bytes] | None" = None,
    log: Path | None = None,
) -> None:
    """Until a condition is true.

    Raises:
        AssertionError: the time is up, or the process ended.
    """
    end = time.monotonic() + seconds
    while not condition():
        words = log.read_text(errors="replace") if log else ""
        assert process is None or process.poll() is None, words
        assert time.monotonic() < end, f"not within {seconds} s: {words}"
        time.sleep(0.005)

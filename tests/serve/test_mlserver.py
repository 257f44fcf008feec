"""MLServer with our runtime, the real package: what it answers, and swaps in its pool."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tagship.disk import atomic
from tests import workbench
from tests.crash import cases
from tests.docs.pages import blocks, page
from tests.serve import engines, load, swapping
from tests.serve.engines import running
from tests.serve.load import Plan
from tests.serve.swapping import Shipped
from tests.stores import servers

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(engines.missing("mlserver")), reason=engines.missing("mlserver")),
]
SWAPS = 50
(OF_MODEL,) = blocks(page("mlserver.md"), "json")


@pytest.fixture(scope="module")
def trees(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """Three versions of a CatBoost model; each test goes on with what the one before left live."""
    folder = tmp_path_factory.mktemp("trees")
    workbench.copy(template, folder)
    with cases.sealed(tmp_path_factory.mktemp("home")):
        made = swapping.catboost_models()
        return swapping.ship(folder / "repo", "m", "models/m/model.cbm", *made)


@contextlib.contextmanager
def mlserver(
    shipped: Shipped,
    folder: Path,
    *,
    model: str = "m",
    extra: Mapping[str, object] | None = None,
    **settings: object,
) -> Iterator[Plan]:
    """MLServer as it installs, but for its ports and ``settings``."""
    http, grpc, metrics = servers.free_ports(3)
    ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    write(folder / "settings.json", {"host": "127.0.0.1", **ports, **settings})
    of_model = json.loads(OF_MODEL) | {"name": model}
    of_model["parameters"] |= {"uri": str(shipped.repo / "models"), "extra": extra}
    write(folder / "model-settings.json", of_model)
    plan = load.infer(("127.0.0.1", http), "m", shipped.batches)
    program = str(engines.python_of("mlserver").with_name("mlserver"))
    log, own = folder / "mlserver.log", running.environment("mlserver", folder)
    with running.process([program, "start", str(folder)], folder, log, own) as process:
        is_up = f"/v2/models/{model}/ready"
        swapping.wait_for(lambda: running.ask(plan, is_up).status == 200, process=process, log=log)
        yield plan


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def test_the_runtime_needs_neither_git_nor_dvc_nor_a_framework(tmp_path: Path) -> None:
    heavy = {"git", "dvc", "tensorflow", "catboost", "tagship.git", "tagship.dvc"}
    code = f"import sys, tagship.serve.mlserver; print({heavy} & set(sys.modules))"
    python, own = engines.python_of("mlserver"), running.environment("mlserver", tmp_path)
    printed = subprocess.run(
        [python, "-c", code], env=own, capture_output=True, text=True, check=False
    )
    assert (printed.stdout, printed.stderr) == ("set()\n", "")


def test_fifty_swaps_in_its_default_pool_are_without_fault(
    trees: Shipped, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mlserver(trees, tmp_path) as plan:
        swapped = running.swap(trees, plan, SWAPS)
    with capsys.disabled():
        print(f"\nMLServer, default pool: {swapped}")  # noqa: T201
    assert swapped.verdict.faults == {}, swapped.verdict
    assert swapped.verdict.generations > 0.9 * SWAPS


def test_a_larger_pool_fails_and_mixes_nothing_and_its_workers_switch_one_by_one(
    trees: Shipped, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer can be older than one that another worker gave: it is counted, and printed."""
    with mlserver(trees, tmp_path, parallel_workers=3) as plan:
        swapped = running.swap(trees, plan, 15)
    with capsys.disabled():
        print(f"\nMLServer, 3 workers: {swapped}, {running.late(swapped):.3f} s")  # noqa: T201
    assert not swapped.verdict.failed, swapped.verdict
    assert not swapped.verdict.mixed, swapped.verdict
    assert running.late(swapped) < 2.0  # seconds


@pytest.mark.parametrize("workers", [0, 1])
def test_what_does_not_fit_is_refused_with_the_words_of_tagship_serve(
    trees: Shipped, tmp_path: Path, workers: int
) -> None:
    with mlserver(trees, tmp_path, parallel_workers=workers) as plan:
        answered = running.ask(plan)
        tensor = load.tensor([[1.0, 2.0]])
        narrow = running.ask(plan, plan.path, json.dumps({"id": "7", "inputs": [tensor]}).encode())
        missing = {**tensor, "shape": [1, 17], "data": [None] * 17}
        asked = {"id": "7", "inputs": [missing], "outputs": [{"name": "output-0"}]}
        empty = running.ask(plan, plan.path, json.dumps(asked).encode())
    (output,) = answered.value["outputs"]
    assert output["data"] == pytest.approx(trees.expected[trees.live()][0], abs=1e-9)
    words = "'input-0' has the shape [1, 2], and the model takes [-1, 17]"
    of_pool = "mlserver.errors.MLServerError: " if workers else ""  # it puts the class before
    assert narrow == running.Reply(400, {"error": f"{of_pool}{words}"})
    assert (empty.status, empty.value["id"]) == (200, "7")
    assert empty.value["outputs"][0]["shape"] == [1, 3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_model_of_which_no_version_is_live_is_not_loaded(
    trees: Shipped, tmp_path: Path, workers: int
) -> None:
    (trees.repo / "models" / "other").mkdir(exist_ok=True)
    why = pytest.raises(AssertionError, match="no version of other is live")  # MLServer ended
    with why, mlserver(trees, tmp_path, model="other", parallel_workers=workers):
        pass


def test_a_model_in_a_process_of_its_own_is_swapped_too(trees: Shipped, tmp_path: Path) -> None:
    """As one of Keras is, whose framework does not give its memory back."""
    extra = {"isolate": "process", "poll": 0.02, "max_rows": 6}
    with mlserver(trees, tmp_path, extra=extra) as plan:
        swapped = running.swap(trees, plan, 4)
        tensor = load.tensor([[0.0] * 17] * 7)
        long = running.ask(plan, plan.path, json.dumps({"inputs": [tensor]}).encode())
    assert swapped.verdict.faults == {}, swapped.verdict
    assert long.status == 400
    assert "there are 7 rows; at most 6 in one request" in long.value["error"]


def test_a_damaged_version_never_answers_and_the_one_before_goes_on(
    trees: Shipped, tmp_path: Path
) -> None:
    before = trees.live()
    good = (trees.folder / "current").resolve()
    bad = spoiled(good)
    with mlserver(trees, tmp_path) as plan, load.under(plan) as asked:
        atomic.swap_link(trees.folder / "current", f"versions/{bad.name}")
        words = "model.cbm has other bytes than it was deployed with"
        swapping.wait_for(lambda: words in (tmp_path / "mlserver.log").read_text())
        atomic.swap_link(trees.folder / "current", f"versions/{good.name}")
    assert {(answer.status, answer.version) for answer in asked.answers} == {(200, before)}


def spoiled(good: Path) -> Path:
    """A copy of a version with one byte of the model changed."""
    bad = good.with_name("v9.9.9_20200101_000000")
    shutil.copytree(good, bad)
    bad.chmod(0o755)
    place = bad / "model.cbm"
    place.chmod(0o644)
    data = bytearray(place.read_bytes())
    data[-2000] ^= 0x10
    place.write_bytes(data)
    return bad

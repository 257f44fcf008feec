"""Gaia Vision's API answers with what is live, over real HTTP."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from api import config, server
from tagship import ModelVersionManager
from tests.workbench import Workbench

ROWS = [[float(i), float(i % 3)] for i in range(30)]


def test_the_paths_lead_through_the_links() -> None:
    assert config.CATBOOST_MODEL_PATH == config.MODELS_BASE_DIR / "ml_model" / "current"
    assert config.VISION_MODEL_PATH == config.MODELS_BASE_DIR / "dl_model" / "current"


@pytest.fixture
def address(bench: Workbench) -> Iterator[str]:
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  ml_model:\n    path: models/ml_model/model.cbm\n"
    )
    bench.commit()
    running = server.serve(("127.0.0.1", 0), bench.repo)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def _ask(url: str, value: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(value).encode(), method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _train(depth: int) -> Any:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(
        iterations=5, depth=depth, verbose=False, allow_writing_files=False
    )
    return model.fit(ROWS, [int(row[1]) for row in ROWS])


def test_another_version_answers_as_soon_as_it_is_live(bench: Workbench, address: str) -> None:
    manager = ModelVersionManager("ml_model", bench.repo)
    first, second = _train(2), _train(3)
    manager.deploy_model(first)
    question = {"inputs": ROWS[:2]}
    expected = {"outputs": first.predict_proba(ROWS[:2]).tolist(), "version": "1.0.0"}
    assert _ask(f"{address}/ml_model", question) == (200, expected)
    manager.deploy_model(second)
    expected = {"outputs": second.predict_proba(ROWS[:2]).tolist(), "version": "1.1.0"}
    assert _ask(f"{address}/ml_model", question) == (200, expected)
    manager.rollback_to_version()
    assert _ask(f"{address}/ml_model", question)[1]["version"] == "1.0.0"
    assert _ask(f"{address}/ml_model", {"inputs": [[0]]})[0] == 400


def test_a_bad_question_and_a_missing_model_are_told_apart(address: str) -> None:
    assert _ask(f"{address}/ml_model", {"inputs": []})[0] == 503
    assert _ask(f"{address}/ml_model", {"rows": []}) == (400, {"error": "'inputs' is missing"})
    assert _ask(f"{address}/other", {})[0] == 404

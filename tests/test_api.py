"""Gaia Vision's API answers with what is live, over real HTTP."""

import io
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from api import config, routes
from pipeline import weather
from tagship import ModelVersionManager
from tests.api import serving
from tests.api.serving import Client
from tests.serve.shelf import Shelf
from tests.workbench import Workbench

pytest.importorskip("catboost")

DVC_YAML = "artifacts:\n  ml_model:\n    path: models/ml_model/model.cbm\n"
FORM = "multipart/form-data; boundary=b"


def form(name: str, content: bytes) -> bytes:
    """A form with one file."""
    head = f'--b\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


def picture(side: int = 64) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side, side), 100).save(file, "PNG")
    return file.getvalue()


def test_the_paths_lead_through_the_links() -> None:
    assert config.CATBOOST_MODEL_PATH == config.MODELS_BASE_DIR / "ml_model" / "current"
    assert config.VISION_MODEL_PATH == config.MODELS_BASE_DIR / "dl_model" / "current"


@pytest.fixture
def gaia(bench: Workbench) -> Workbench:
    """A workspace with the model of the weather, of which nothing is there yet."""
    (bench.repo / "dvc.yaml").write_text(DVC_YAML)
    (bench.repo / "params.yaml").write_text(serving.PARAMS)
    bench.commit()
    return bench


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, bytes]:
    """A model, and its file."""
    model, path = serving.train(2), tmp_path_factory.mktemp("small") / "model.cbm"
    model.save_model(path)
    return model, path.read_bytes()


@pytest.fixture
def client(gaia: Workbench) -> Iterator[Client]:
    with serving.serving(gaia.repo) as client:
        yield client


def _shares(model: Any, rows: Any) -> dict[str, float]:
    return dict(zip(weather.CLASSES, model.predict_proba(rows)[0].tolist(), strict=True))


def test_another_version_answers_as_soon_as_it_is_live(gaia: Workbench, client: Client) -> None:
    manager = ModelVersionManager("ml_model", gaia.repo)
    first, second = serving.train(2), serving.train(3)
    asked, rows = serving.question()
    manager.deploy_model(first)
    client.wait(version="1.0.0", seq=1, fallback=False, refused=None)
    answer = client.post("/weather", asked)
    shares = _shares(first, rows)
    assert (answer.code, answer.value) == (
        200,
        {
            "model": "ml_model", "version": "1.0.0", "answer": max(shares, key=shares.__getitem__),
            "probabilities": pytest.approx(shares), "samples": 1,
        },
    )  # fmt: skip
    assert answer.headers["x-model-version"] == "1.0.0"

    manager.deploy_model(second)
    client.wait(version="1.1.0")
    answer = client.post("/weather", asked)
    assert answer.version == "1.1.0"
    assert answer.value["probabilities"] == pytest.approx(_shares(second, rows))
    inputs = {"name": "x", "shape": list(rows.shape), "datatype": "FP64"}
    data = {"inputs": [{**inputs, "data": rows.to_numpy().tolist()}]}
    protocol = client.post("/v2/models/ml_model/infer", data).value
    assert protocol["model_version"] == "1.1.0"
    assert protocol["outputs"][0]["data"] == pytest.approx(second.predict_proba(rows)[0].tolist())

    manager.rollback_to_version()
    client.wait(version="1.0.0")
    assert client.post("/weather", asked).version == "1.0.0"
    assert client.post("/weather", {"date": asked["date"], "days": [{}]}).code == 400
    counted = client.ask("/metrics").body.decode()
    for code, version, count in ((200, "1.0.0", 2), (200, "1.1.0", 2), (400, "", 1)):
        line = f'requests_total{{code="{code}",model="ml_model",version="{version}"}} {count}.0'
        assert line in counted


def test_a_bad_question_and_a_missing_model_are_told_apart(client: Client) -> None:
    asked, _ = serving.question()
    missing = client.post("/weather", asked)
    assert (missing.code, missing.headers["retry-after"]) == (503, "1")
    assert missing.value == {"error": "ml_model is not ready: no version is loaded yet"}
    assert client.post("/weather", {"rows": []}).code == 400
    assert client.post("/other", {}).code == 404
    surface = client.ask("/surface", picture(), content_type="image/png")
    assert (surface.code, surface.value) == (
        503, {"error": "dl_model is not ready: no version is loaded yet"},
    )  # fmt: skip
    assert client.state() == {
        "version": None, "since": None, "seq": None, "deployed": False, "fallback": False,
        "refused": None,
    }  # fmt: skip


def test_the_output_of_the_pipeline_answers_without_a_version_while_nothing_is_deployed(
    gaia: Workbench, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    path = serving.fallback(gaia.repo, config.CATBOOST_MODEL_FALLBACK)
    path.parent.mkdir(parents=True, exist_ok=True)
    asked, rows = serving.question()
    with caplog.at_level(logging.WARNING, "gaia"):
        for depth in (2, 3):
            model = serving.train(depth)
            model.save_model(path.with_name("new"))
            path.with_name("new").replace(path)
            for _ in range(3):
                answer = client.post("/weather", asked)
                assert (answer.code, answer.version) == (200, None)
                assert answer.value["probabilities"] == pytest.approx(_shares(model, rows))
                assert "x-model-version" not in answer.headers
    # once for each file, not for each request
    said = [record.getMessage() for record in caplog.records if record.name == "gaia"]
    assert (
        said == ["no version of ml_model is deployed: model.cbm answers, which is not released"] * 2
    )
    assert client.state()["fallback"]
    path.write_bytes(b"CBM1 and nothing else")
    broken = client.post("/weather", asked)
    assert (broken.code, broken.value) == (
        503, {"error": "no version of ml_model is deployed, and model.cbm cannot be loaded"},
    )  # fmt: skip
    assert client.ask("/v2/health/ready").code == 503


def _cut_short(directory: Path) -> None:
    (directory / "model.cbm").chmod(0o644)
    os.truncate(directory / "model.cbm", 1000)


def _flip_two_bytes(directory: Path) -> None:
    (directory / "model.cbm").chmod(0o644)
    data = bytearray((directory / "model.cbm").read_bytes())
    for place in (len(data) // 2, len(data) // 3):
        data[place] ^= 0xFF
    (directory / "model.cbm").write_bytes(data)


def _remove_link(directory: Path) -> None:
    (directory.parents[1] / "current").unlink()


def _lead_elsewhere(directory: Path) -> None:
    _remove_link(directory)
    (directory.parents[1] / "current").symlink_to("/etc")


@pytest.mark.parametrize(
    "damage", [_cut_short, _flip_two_bytes, shutil.rmtree, _remove_link, _lead_elsewhere]
)
def test_what_is_deployed_and_damaged_is_never_answered_by_what_nobody_released(
    gaia: Workbench, small: tuple[Any, bytes], damage: Callable[[Path], None]
) -> None:
    shelf = Shelf(gaia.repo / "models", "ml_model")
    asked, rows = serving.question()
    model, content = small
    answers = {"inputs": rows.to_numpy().tolist(), "outputs": model.predict_proba(rows).tolist()}
    name = shelf.write("1.0.0", {"model.cbm": content}, answers)
    shelf.point(name)
    serving.fallback(gaia.repo, config.CATBOOST_MODEL_FALLBACK).write_bytes(content)
    damage(shelf.store.versions / name)
    with serving.serving(gaia.repo) as client:
        state = client.wait(version=None, deployed=True, fallback=False)
        while state["refused"] is None and damage is not _remove_link:
            state = client.state()
        assert str(gaia.repo) not in str(state)
        answer = client.post("/weather", asked)
        assert (answer.code, list(answer.value)) == (503, ["error"])
        assert not client.state()["fallback"]


def test_a_body_that_is_no_picture_is_refused_with_words(client: Client) -> None:
    def ask(body: bytes, kind: str, **headers: str) -> tuple[int, str]:
        answer = client.ask("/surface", body, content_type=kind, **headers)
        return answer.code, answer.value["error"]

    no_picture = (415, "this is neither a JPEG nor a PNG picture")
    types = "send image/jpeg or image/png or multipart/form-data and say so in Content-Type"
    assert ask(b"GIF89a", "image/png") == no_picture
    assert ask(picture(), "image/gif") == (415, types)
    assert ask(picture(), "") == (415, types)
    assert ask(bytes(10 << 20) + b"1", "image/png") == (
        413, "the body is larger than 10485760 bytes",
    )  # fmt: skip
    assert ask(form("a.png", b"GIF89a"), FORM) == no_picture
    assert ask(form("a.png", picture()), FORM)[0] == 503  # nothing is deployed
    assert ask(form("a.png", picture()), FORM, Sec_Fetch_Site="same-origin")[0] == 503
    assert ask(form("a.png", picture()), FORM, Sec_Fetch_Site="cross-site") == (
        403, "a form is not taken from a page of another site",
    )  # fmt: skip
    assert ask(b"--b--\r\n", FORM) == (400, "the form has no file")
    assert ask(form("a", b"") * 2, "multipart/form-data")[0] == 400
    assert ask(form("a.png", b"x").replace(b"\r\n--b--", b"\r\n" + form("b.png", b"y")), FORM) == (
        400, "this is no form with one file: Too many files. Maximum number of files is 1.",
    )  # fmt: skip
    assert client.ask("/weather", b"{}", content_type="text/plain").code == 415
    assert client.ask("/weather", b" " * 70000, content_type="application/json").code == 413


def test_the_forms_of_the_page_come_from_the_repository(client: Client) -> None:
    asked = client.ask("/weather").value
    assert (asked["days"], asked["classes"]) == (8, list(weather.CLASSES))
    assert {name: reading["unit"] for name, reading in asked["readings"].items()} == {
        "precipitation": "mm", "temp_max": "°C", "temp_min": "°C", "wind": "m/s",
    }  # fmt: skip
    limits = client.ask("/surface").value
    assert limits["classes"] == ["built_up", "vegetation", "bare_ground"]
    assert limits["types"] == ["image/jpeg", "image/png"]


def test_a_version_whose_features_are_not_recorded_does_not_answer(
    gaia: Workbench, client: Client
) -> None:
    (gaia.repo / "params.yaml").write_text("ml: {prepare: {window: 7}}\n")
    asked = client.ask("/weather")
    assert (asked.code, asked.value) == (
        503, {"error": "how the features of this version are made is not recorded"},
    )  # fmt: skip


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(client: Client) -> None:
    policy = "default-src 'none'"
    for path in routes.FILES:
        answer = client.ask(f"/{path}")
        assert answer.code == 200
        assert answer.headers["content-security-policy"].startswith(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert set(re.findall(rb"\w+://[^\"' ]+", answer.body)) <= {b"http://www.w3.org/2000/svg"}
    page = client.ask("/").body.decode()
    local = set(re.findall(r'(?:href|src)="([^"]+)"', page))
    assert local == {"icon.svg", "page.css", "page.js", "docs"}
    assert all(client.ask(f"/{path}").code == 200 for path in local)
    assert not re.search(r"<(script|style)>|style=|\son\w+=", page)  # the policy forbids those


def test_a_name_that_is_not_allowed_is_not_answered(client: Client) -> None:
    assert client.ask("/", Host="gaia.example.com").code == 421


def test_the_description_has_the_routes_beside_those_of_the_protocol(client: Client) -> None:
    paths = client.ask("/openapi.json").value["paths"]
    assert {"/weather", "/surface", "/models", "/v2/models/{model}/infer"} <= set(paths)
    weather_body = paths["/weather"]["post"]["requestBody"]["content"]["application/json"]
    day = weather_body["schema"]["properties"]["days"]["items"]
    assert sorted(day["required"]) == sorted(weather.READINGS)
    assert set(paths["/surface"]["post"]["requestBody"]["content"]) == {
        "image/jpeg", "image/png", "multipart/form-data",
    }  # fmt: skip

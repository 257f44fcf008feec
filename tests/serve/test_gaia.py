"""Gaia Vision's API as a person has it: started in both ways, with Keras, in a real browser."""

import base64
import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import surfaces
from tagship import ModelVersionManager
from tests.api import serving
from tests.api.serving import Client
from tests.browser import ARGUMENTS, CHROMIUM
from tests.workbench import Workbench

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
SECONDS = 120  # for TensorFlow in a process of its own, on a busy machine
DVC_YAML = """\
artifacts:
  ml_model:
    path: models/ml_model/model.cbm
  dl_model:
    path: models/dl_model/model.keras
"""
STARTS = {
    "module": ("api.server", "--port", "0"),
    "uvicorn": ("uvicorn", "api.server:app", "--port", "0"),
}


@pytest.fixture
def gaia(bench: Workbench) -> Workbench:
    """A workspace with the API in it, and both models declared."""
    (bench.repo / "dvc.yaml").write_text(DVC_YAML)
    (bench.repo / "params.yaml").write_text(serving.PARAMS)
    shutil.copytree(ROOT / "api", bench.repo / "api")
    bench.commit()
    return bench


@contextlib.contextmanager
def started(base: Path, start: str = "module") -> Iterator[Client]:
    """The API in a process of its own; it ends in order."""
    paths = (str(ROOT / "tools"), *sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", *STARTS[start]],
        cwd=base, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )  # fmt: skip
    assert process.stdout
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            address = re.search(r"http://127\.0\.0\.1:[1-9]\d*", line)
            if address:
                break
        else:
            pytest.fail("".join(said))
        yield Client(address.group())
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == (0 if start == "module" else -signal.SIGTERM), "".join(said) + rest


@pytest.mark.parametrize("start", STARTS)
def test_it_starts_in_both_ways(gaia: Workbench, start: str) -> None:
    with started(gaia.repo, start) as client:
        assert client.ask("/").code == 200
        assert client.ask("/v2/health/live").value == {"live": True}
        assert client.state()["deployed"] is False


def small_network(seed: int) -> Any:
    """A network that takes what EfficientNetB0 takes, and answers otherwise for each seed."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            keras.layers.Rescaling(1 / 64),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def encoded(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def expected(network: Any, data: bytes) -> dict[str, float]:
    """What a network says of a picture, by the patches that the training stage makes of it."""
    (photograph,) = [np.asarray(Image.open(io.BytesIO(data)))]
    patches = surfaces.cut((photograph,), 0, photograph.shape[1], 48).pixels
    means = np.asarray(network(surfaces.as_input(patches), training=False)).mean(axis=0)
    return dict(zip(surfaces.CLASSES, means.tolist(), strict=True))


@contextlib.contextmanager
def page_of(client: Client, **options: Any) -> Iterator[Any]:
    """The page in an own browser. It must load nothing from elsewhere, and break no policy."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    elsewhere, errors = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_context(locale="en-US", **options).new_page()
            page.set_default_timeout(SECONDS * 1000)
            page.on("request", lambda request: elsewhere.append(request.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text))
            page.goto(f"{client.address}/")
            page.get_by_role("button", name="Tell the weather").wait_for()
            yield page
        finally:
            browser.close()
    assert [url for url in elsewhere if not url.startswith((client.address, "blob:"))] == []
    # of a status that is an answer too, Chromium says so
    assert [text for text in errors if not text.startswith("Failed to load resource")] == []


def shown(section: Any) -> dict[str, str]:
    """The bars of an answer, by the name of the class."""
    bars = section.locator(".bars li")
    names, percents = bars.locator(".name").all_inner_texts(), bars.locator(".percent")
    return dict(zip(names, percents.all_inner_texts(), strict=True))


def in_words(shares: dict[str, float]) -> dict[str, str]:
    return {
        name.replace("_", " ").capitalize(): f"{100 * share:.1f} %"
        for name, share in shares.items()
    }


def test_a_person_drops_a_picture_and_sees_which_version_answers(
    gaia: Workbench, tmp_path: Path
) -> None:
    first, second = small_network(1), small_network(2)
    data = encoded(surfaces.photographs()[1])
    (tmp_path / "grass.png").write_bytes(data)
    (tmp_path / "words.txt").write_text("no picture")
    manager = ModelVersionManager("dl_model", gaia.repo)
    with started(gaia.repo) as client, page_of(client) as page:
        section = page.locator("#surface")
        section.get_by_text("dl_model: nothing is deployed").wait_for()
        page.set_input_files("#choose", tmp_path / "grass.png")
        section.get_by_text("Dl_model is not ready: no version is loaded yet").wait_for()

        manager.deploy_model(first)
        section.get_by_text("dl_model 1.0.0, live since").wait_for()
        section.get_by_role("button", name="Try again").click()
        section.get_by_text("Answered by dl_model 1.0.0, the mean over 100 patches.").wait_for()
        assert shown(section) == in_words(expected(first, data))

        manager.deploy_model(second)
        section.get_by_text("Version 1.1.0 is live now; it was 1.0.0.").wait_for()
        assert "The answer below is of 1.0.0." in section.inner_text()
        assert shown(section) == in_words(expected(first, data))
        section.get_by_role("button", name="Ask 1.1.0").click()
        section.get_by_text("Answered by dl_model 1.1.0").wait_for()
        assert shown(section) == in_words(expected(second, data))
        assert not section.locator(".news").is_visible()

        manager.rollback_to_version(reason="wrong answers")
        section.get_by_text("Version 1.0.0 is live now; it was 1.1.0.").wait_for()
        section.get_by_role("button", name="Ask 1.0.0").click()
        section.get_by_text("Answered by dl_model 1.0.0").wait_for()

        page.set_input_files("#choose", tmp_path / "words.txt")
        section.get_by_text("This is neither a JPEG nor a PNG picture: words.txt").wait_for()
        answer = client.ask("/surface", data, content_type="image/png")
        assert answer.value["probabilities"] == pytest.approx(expected(first, data), abs=1e-4)
        assert answer.value["samples"] == 100


DROP = """(data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
    for (const type of ["dragover", "drop"]) {
        document.querySelector(".drop").dispatchEvent(
            new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
}"""


def test_the_page_works_by_keyboard_by_drop_and_on_a_phone(gaia: Workbench, tmp_path: Path) -> None:
    model = serving.train(2)
    ModelVersionManager("ml_model", gaia.repo).deploy_model(model)
    (tmp_path / "small.png").write_bytes(encoded(surfaces.photographs()[0][:40, :40]))
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with started(gaia.repo) as client:
        client.wait(version="1.0.0")
        with page_of(client) as page:
            surface, weather = page.locator("#surface"), page.locator("#weather")
            assert not surface.get_by_text("Take a photo").is_visible()
            page.on("filechooser", lambda _: None)  # Chromium is told now, and not as Enter comes
            page.keyboard.press("Tab")
            page.wait_for_function("document.activeElement.dataset.opens === 'choose'")
            with page.expect_file_chooser() as chooser:
                page.keyboard.press("Enter")
            chooser.value.set_files(tmp_path / "small.png")
            surface.get_by_text("Dl_model is not ready").wait_for()
            with page.expect_response("**/surface") as dropped:
                page.evaluate(DROP, base64.b64encode(encoded(surfaces.photographs()[0])).decode())
            assert dropped.value.request.headers["content-type"] == "image/png"
            assert surface.get_by_text("dropped.png: its middle square").is_visible()
            assert surface.locator("img").get_attribute("alt") == "The middle square of dropped.png"

            weather.get_by_label("Dec 30: mean wind speed, m/s").focus()
            page.keyboard.press("Control+a")
            page.keyboard.type("3.5")
            page.keyboard.press("Enter")
            weather.get_by_text("Answered by ml_model 1.0.0.").wait_for()
            assert len(shown(weather)) == 5
            page.get_by_label("Dec 30: lowest temperature, °C").fill("50")
            page.get_by_role("button", name="Tell the weather").click()
            weather.get_by_text("Days[7].temp_min, 50.0, is above temp_max, 5.6").wait_for()
            page.get_by_role("button", name="Example week").click()
            assert page.get_by_label("Dec 30: lowest temperature, °C").input_value() == "-1"
        grounds = set()
        for scheme in ("light", "dark"):
            with page_of(client, color_scheme=scheme, **phone) as page:
                assert page.get_by_text("Take a photo").is_visible()
                assert page.locator("#camera").get_attribute("capture") == "environment"
                page.get_by_role("button", name="Tell the weather").click()
                page.get_by_text("Answered by ml_model 1.0.0.").wait_for()
                assert page.evaluate("document.documentElement.scrollWidth") == 360
                grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2


def test_the_output_of_the_pipeline_answers_a_picture_and_says_so(gaia: Workbench) -> None:
    network = small_network(3)
    (gaia.repo / "models/dl_model").mkdir(parents=True)
    network.save(gaia.repo / "models/dl_model/model.keras")
    data = encoded(surfaces.photographs()[2])
    with started(gaia.repo) as client, page_of(client) as page:
        answer = client.ask("/surface", data, content_type="image/png")
        assert (answer.code, answer.version) == (200, None)
        assert answer.value["probabilities"] == pytest.approx(expected(network, data), abs=1e-4)
        section = page.locator("#surface")
        section.get_by_text("no version is deployed; the pipeline's own output answers").wait_for()
        page.set_input_files(
            "#choose", {"name": "gravel.png", "mimeType": "image/png", "buffer": data}
        )
        section.get_by_text(
            "Answered by the pipeline's own output, which is not released"
        ).wait_for()

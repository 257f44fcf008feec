"""The deploy cell in a real browser: JupyterLab, its kernel, and two buttons."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import ARGUMENTS, CHROMIUM
from tests.workbench import Workbench

nbformat = pytest.importorskip("nbformat")
sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("jupyterlab")

SECONDS = 60  # for the server to start, and for whatever is waited for in the page


@contextlib.contextmanager
def jupyter_lab(folder: Path, private: Path) -> Iterator[str]:
    """A server on ``folder``; its address with the token. It is ended whatever happens."""
    settings = private / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    token = secrets.token_hex(16)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"),
            *("--ServerApp.port=0", f"--IdentityProvider.token={token}"),
            *("--ServerApp.allow_root=True", f"--ServerApp.root_dir={folder}"),
            f"--LabApp.user_settings_dir={private / 'settings'}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "JUPYTER_RUNTIME_DIR": str(private / "runtime")},
    )
    said: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        for line in server.stderr or ():
            said.append(line)
            if re.search(r"http://127\.0\.0\.1:[1-9]", line):
                ready.set()
        ready.set()  # it ended

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        assert ready.wait(SECONDS), "".join(said)
        found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", "".join(said))
        assert found, "".join(said)
        yield f"{found.group()}/lab/tree/{{}}?token={token}"
    finally:
        server.send_signal(signal.SIGTERM)  # it ends its kernels
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        listener.join(SECONDS)


@contextlib.contextmanager
def browser_page(address: str) -> Iterator[Any]:
    """A new page of an own browser."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(SECONDS * 1000)
            page.goto(address)
            yield page
        finally:
            browser.close()


def run_the_cell(page: Any) -> None:
    """Run the notebook's first cell, once its kernel is there."""
    page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for()
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")


def write_notebook(folder: Path, code: str) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code, id="deploy-it")])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, folder / "deploy.ipynb")


@pytest.mark.live
def test_a_person_is_shown_the_plan_and_clicks_deploy(bench: Workbench, tmp_path: Path) -> None:
    bench.train("model 2\n", accuracy=0.875)
    write_notebook(
        bench.repo,
        "from tagship.notebook import deploy\n\ndeploy('churn', reason='seen in a browser')",
    )
    with (
        jupyter_lab(bench.repo, tmp_path / "jupyter") as address,
        browser_page(address.format("deploy.ipynb")) as page,
    ):
        run_the_cell(page)
        deploy = page.get_by_role("button", name="Deploy 1.1.0", exact=True)
        deploy.wait_for()
        output = page.locator(".jp-Cell-outputArea").first
        plan = output.inner_text()
        assert "churn: 1.0.0 \N{RIGHTWARDS ARROW} 1.1.0" in plan
        assert re.search(
            r"accuracy\s+0\.75\s+0\.875\s+\+0\.125\s+better \(higher is better\)", plan
        )
        assert page.get_by_role("button", name="Cancel", exact=True).is_enabled()
        assert bench.git("tag") == "churn@v1.0.0\n"  # nothing was done yet
        deploy.click()
        output.get_by_text("churn 1.1.0 is live").wait_for()
        state = output.inner_text()
        assert "error" not in state
        assert re.search(r"points to versions/v1\.1\.0_\d{8}_\d{6}/model\.bin\n", state)
        assert "1.1.0, 2 versions on disk\n" in state
        assert page.get_by_role("button", name="Deploy 1.1.0", exact=True).count() == 0
    assert bench.live() == "model 2\n"
    assert bench.manager.get_deployment_history()[-1].reason == "seen in a browser"

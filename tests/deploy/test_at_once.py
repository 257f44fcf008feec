"""Many at once: real processes that deploy, roll back and clean up, and others that read."""

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship import ModelVersionManager
from tagship.host import history, journal, metadata
from tagship.host.link import LinkState
from tagship.host.store import Store
from tests import conftest, workbench
from tests.workbench import Workbench

MODELS = ("churn", "fraud")
# sixteen on one model: what they are to do, in no order that anybody keeps
COMMANDS = (
    *(f"deploy {{}}@1.{minor}.0 --no-smoke-test" for minor in (0, 1, 2, 3, 0, 1, 2, 3)),
    *["rollback {}"] * 4,
    *["cleanup {} --keep 1"] * 4,
)
SWITCHES, READERS = 1000, 2
HELD = re.compile(
    r"error: ((deploy|rollback|cleanup) of (churn|fraud)(@\S+)? is under way: \S+@\S+, process \d+,"
    r" since \S+Z\nhint: try again when it is done, or wait for it with --wait SECONDS\n"
    r"|another process works on this model(: process \d+ holds \S+)?\n"
    r"hint: try again when it is done\n)"
)
# Reads what is live until it is told to stop; counts what is mixed, and what is missing.
READER = """
import hashlib, json, sys
from pathlib import Path
import tagship

how, repo, stop = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
counts = {"reads": 0, "mixed": 0, "missing": 0}

def look(model, described):
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    if digest != json.loads(described.read_bytes())["files"][0]["sha256"]:
        counts["mixed"] += 1

def loaded(path):
    look(path, path.parent / "metadata.json")

print("ready", flush=True)
while not stop.exists():
    counts["reads"] += 1
    try:
        if how == "load":
            version = tagship.load("churn", repo, loader=loaded).version
            counts["missing"] += version is None
        elif how == "resolve":
            live = tagship.resolve("churn", repo)
            counts["mixed"] += live.directory.name.split("_")[0] != "v" + live.version
        else:
            current = repo / "models/churn/current"
            look(current / "model.bin", current / "metadata.json")
    except (OSError, tagship.TagshipError):
        counts["missing"] += 1
print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def both_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``both`` has, made once."""
    folder = tmp_path_factory.mktemp("both")
    with conftest.prepared(template, folder) as bench:
        release_both(bench)
        workbench.slim(folder)
    return folder


@pytest.fixture
def both(both_template: Path, copied: Callable[[Path], Workbench]) -> Workbench:
    """``churn`` and ``fraud``: 1.0.0 to 1.3.0 are released, 1.0.0 and 1.1.0 are deployed."""
    return copied(both_template)


def release_both(bench: Workbench) -> None:
    declared = "".join(
        f"  {name}:\n    path: models/{name}/model.bin\n    type: model\n" for name in MODELS
    )
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n{declared}")
    for minor, name in itertools.product(range(4), MODELS):
        model = bench.repo / "models" / name / "model.bin"
        model.parent.mkdir(exist_ok=True)
        model.unlink(missing_ok=True)
        model.write_text(f"{name} {minor}\n")
        bench.track(f"models/{name}/model.bin")
        bench.commit()
        manager = ModelVersionManager(name, bench.repo)
        manager.release()
        if minor < 2:
            manager.deploy()


def start(bench: Workbench, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tagship", *command.split(), "--yes", "--json"],
        cwd=bench.repo, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def seqs(command: str, told: dict[str, Any]) -> list[tuple[str, str]]:
    """The events that a command says it made, as (action, directory)."""
    if command.startswith("cleanup"):
        return [("cleanup", one["directory"]) for one in told["verdicts"] if not one["keep"]]
    event = told["event"]
    removed = [("cleanup", directory) for directory in told["removed"]]
    return [(event["action"], event["directory"]), *removed] if event else []


@pytest.mark.parametrize("models", [MODELS[:1], MODELS], ids=["one model", "two models"])
@pytest.mark.parametrize("wait", ["", " --wait 300"], ids=["", "wait"])
def test_sixteen_at_once_leave_one_history_and_one_live_version(
    both: Workbench, models: tuple[str, ...], wait: str
) -> None:
    commands = [text.format(models[n % len(models)]) for n, text in enumerate(COMMANDS)]
    stores = {name: Store(both.repo / "models" / name) for name in models}
    files = {name: store.folder / history.FILE_NAME for name, store in stores.items()}
    before = {name: len(journal.read(file)) for name, file in files.items()}
    running = [(text, start(both, text + wait)) for text in commands]
    seen = dict(before)
    while any(process.poll() is None for _, process in running):
        for name, file in files.items():  # it can be read at every moment, and only grows
            events = journal.read(file)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert len(events) >= seen[name]
            seen[name] = len(events)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running[-1][1].wait(0.01)  # or this reading would take more of the machine than they
    told: dict[str, list[tuple[str, str]]] = {name: [] for name in models}
    done = 0
    for text, process in running:
        out, err = process.communicate()
        name = text.split()[1].partition("@")[0]
        if process.returncode == 0:
            done += 1
            told[name] += seqs(text, json.loads(out))
        else:
            nothing = "no good version to go back to" in err
            assert nothing or (not wait and HELD.fullmatch(err)), err
            assert process.returncode == 1
    assert done >= (12 if wait else 1)
    for name, store in stores.items():
        events = journal.read(files[name])
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len({event.id for event in events}) == len(events)
        made = [(event.action, event.directory) for event in events[before[name] :]]
        assert sorted(made) == sorted(told[name])
        link = store.link()
        assert link.state is LinkState.OK
        assert link.directory == [event for event in events if event.switched][-1].directory
        for directory in store.directories():
            described = metadata.read(store.path(directory))
            assert metadata.verify(store.path(directory), described, deep=True) == []


def test_whoever_waits_is_told_for_whom_and_can_be_interrupted(both: Workbench) -> None:
    store = Store(both.folder)
    owner = {"what": "deploy of churn@1.3.0", "actor": "ada", "host": "engine", "pid": 1815,
             "since": "2026-11-20T12:00:00Z"}  # fmt: skip
    with store.locked(owner):
        waiting = start(both, "rollback churn --wait 30")
        assert waiting.stderr is not None
        told = waiting.stderr.readline()
        waiting.send_signal(2)
        _, rest = waiting.communicate(timeout=60)
    assert told == (
        "note: waiting up to 30 s: deploy of churn@1.3.0 is under way: ada@engine, process 1815,"
        " since 2026-11-20T12:00:00Z\n"
    )
    assert (waiting.returncode, rest) == (130, "\ninterrupted\n")


def switch(store: Store, number: int, sources: list[Path]) -> None:
    """Another version goes live, and all others go at once: no cleanup is as quick as that."""
    source = sources[number % len(sources)]
    name = f"{source.name.partition('_')[0]}_20990101_{number:06d}"
    shutil.copytree(source, store.staging / name)
    os.rename(store.staging / name, store.path(name))
    store.switch(name)
    for other in store.directories():
        if other != name:
            store.discard(other)
    store.empty_trash()


def test_under_constant_switching_readers_see_no_mixed_and_no_missing_version(
    shipped: Workbench, tmp_path: Path, record_property: Any
) -> None:
    """Who opens two files through the link does: the last of these readers shows it."""
    store, stop = Store(shipped.folder), tmp_path / "stop"
    sources = []
    for directory in store.directories():
        sources.append(Path(shutil.copytree(store.path(directory), tmp_path / "v" / directory)))
    script = tmp_path / "reader.py"
    script.write_text(READER)
    kinds = (*["load"] * READERS, "resolve", "link")
    readers = [
        subprocess.Popen([sys.executable, str(script), kind, str(shipped.repo), str(stop)],
                         stdout=subprocess.PIPE, text=True) for kind in kinds
    ]  # fmt: skip
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        for number in range(SWITCHES):
            switch(store, number, sources)
            if number % (SWITCHES // 5) == 0:
                told = shipped.process("current", "churn", "--path")
                assert (told.code, told.err) == (0, "")
    finally:
        stop.touch()
    found = [json.loads(reader.communicate()[0]) for reader in readers]
    record_property("counts", found)
    sys.stdout.write(f"{SWITCHES} switches: {dict(enumerate(zip(kinds, found, strict=True)))}\n")
    for kind, counts in zip(kinds, found, strict=True):
        wrong = counts["mixed"] + counts["missing"]
        assert counts["reads"] > SWITCHES // 10
        assert (wrong > 0) if kind == "link" else (wrong == 0), (kind, counts)

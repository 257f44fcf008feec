"""CI jobs that publish at the same time, each a process in a clone of its own, into a real S3."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tagship.carry import index
from tests.carry.carriers import KINDS
from tests.carry.conftest import Start
from tests.stores.places import configure
from tests.workbench import MODEL, Workbench, run

JOBS = 4


def job(clone: Path, number: int) -> "subprocess.Popen[str]":
    """A job that assigns a stage, once the others are ready too; Git lets one push at a time."""
    command = f"tagship assign {MODEL}@1.0.0 stage-{number} --push --capsule"
    tagship = command.replace("tagship", f"{sys.executable} -m tagship", 1)
    again = f"until {tagship}; do git fetch --quiet --tags --force || exit 9; done"
    return subprocess.Popen(
        ["timeout", "120", "sh", "-c", again], cwd=clone, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["seaweedfs", "azurite"])
def test_jobs_at_the_same_time_lose_no_tag(
    name: str, bench: Workbench, start: Start, tmp_path: Path, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if not request.config.getoption("all_stores"):
        pytest.skip("needs --all-stores: make store-test")
    way = start(KINDS[name]).way("jobs")
    for key, value in way.environment.items():
        monkeypatch.setenv(key, value)
    origin = str(bench.repo.parent / "origin.git")
    clones = [bench.repo, *(tmp_path / f"job{number}" for number in range(JOBS))]
    known = {key: value for key, value in way.options.items() if "timeout" not in key}
    options = {"url": way.address, **known}
    configure(bench.repo, options)
    first = bench.manager.release(push=True, capsule=False)
    assert first.pushed_objects == 1
    for clone in clones[1:]:
        run(tmp_path, "git", "clone", "--quiet", origin, str(clone))
        configure(clone, options)
    jobs = [job(clone, number) for number, clone in enumerate(clones[1:])]
    said = [each.communicate() for each in jobs]
    assert [each.returncode for each in jobs] == [0] * JOBS, said
    refs = run(bench.repo, "git", "ls-remote", "--tags", "origin")
    tags = sorted(re.findall(r"refs/tags/(\S+[^}\s])$", refs, re.MULTILINE))
    found = way.open().index(MODEL)
    assert found is not None
    assert sorted(index.parse(found.data, MODEL, name)) == tags
    assert len(tags) == JOBS + 1

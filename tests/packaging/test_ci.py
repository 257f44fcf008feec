"""packaging/ci: the jobs are in their services' form, and their commands release and assign."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.docs import pages
from tests.hosts import Following, tags
from tests.packaging import linters
from tests.workbench import Workbench, run

CI = Path(__file__).parents[2] / "packaging" / "ci"
WORKFLOWS = sorted([*CI.glob("github/*.yml"), *CI.glob("forgejo/*.yml")])
GITLAB = CI / "gitlab" / "gitlab-ci.yml"
PIPELINE = """\
stages:
  train:
    cmd: cp data.txt model.bin
    deps: [data.txt]
    outs: [model.bin]
artifacts:
  churn: {path: model.bin, type: model}
"""
Job = Callable[..., str]  # runs a job in a new checkout; what it printed


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.mark.parametrize(("schema", "files"), [
    ("vendor.github-workflows", WORKFLOWS), ("vendor.gitlab-ci", [GITLAB]),
])  # fmt: skip
def test_the_jobs_have_the_form_that_their_service_publishes(
    schema: str, files: list[Path]
) -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(linters.lacking() is not None, reason=str(linters.lacking()))
def test_actionlint_finds_nothing_and_would_find_an_unknown_key(tmp_path: Path) -> None:
    found = [each for each in linters.problems(WORKFLOWS) if "label" not in each]
    assert found == []
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert "run-on" in " ".join(linters.problems([wrong]))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing_in_the_hook() -> None:
    run(CI, "shellcheck", "hooks/post-receive")


# --- the commands


@pytest.fixture
def trained(bench: Workbench) -> Workbench:
    """main has a model that a stage makes, and the servers have all of it."""
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    (bench.repo / "data.txt").write_text("a\n")
    (bench.repo / "dvc.yaml").write_text(PIPELINE)
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.dvc("push", "--quiet")
    bench.git("push", "--quiet", "origin", "HEAD:main")
    return bench


def _checkout(bench: Workbench) -> Iterator[Path]:
    """Folders as actions/checkout makes them, with fetch-depth: 0; and as GitLab's runner does."""
    origin = bench.repo.parent / "origin.git"
    for number in range(9):
        folder = bench.repo.parent / f"job{number}"
        folder.mkdir()
        run(folder, "git", "init", "--quiet")
        run(folder, "git", "remote", "add", "origin", f"file://{origin}")
        heads = "+refs/heads/*:refs/remotes/origin/*"
        run(folder, "git", "fetch", "--quiet", "--prune", "--tags", "origin", heads)
        yield folder


@pytest.fixture
def job(trained: Workbench) -> Job:
    checkouts = _checkout(trained)

    def start(script: str, *, detached: bool = False, **environment: str) -> str:
        folder = next(checkouts)
        how = ("--detach", "origin/main") if detached else ("-B", "main", "origin/main")
        run(folder, "git", "checkout", "--quiet", *how)
        where = trained.repo / ".dvc" / "config.local"
        shutil.copy(where, folder / ".dvc" / "config.local") if where.exists() else None
        return pages.run(folder, script, **environment)

    return start


def _steps(path: Path, job: str, *names: str) -> str:
    """The commands of steps of a workflow."""
    steps = {step.get("name"): step for step in read(path)["jobs"][job]["steps"]}
    return "\n".join(steps[name]["run"] for name in names)


def _script(job: str) -> str:
    return "\n".join(read(GITLAB)[job]["script"])


@pytest.mark.parametrize("name", ["release", "assign", "deploy"])
def test_forgejo_runs_the_commands_of_github(name: str) -> None:
    github, forgejo = (CI / service / f"{name}.yml" for service in ("github", "forgejo"))
    [(job, told)] = read(forgejo)["jobs"].items()
    names = [step["name"] for step in told["steps"] if "name" in step]
    ours = _steps(forgejo, job, *names).replace("noreply.git.example.com", "noreply.github.com")
    assert ours == _steps(github, job, *names)


def test_a_merge_releases_what_changed_and_only_that(trained: Workbench, job: Job) -> None:
    script = _steps(CI / "github" / "release.yml", "release", "Train", "Release", "Assign")
    assert "churn 1.0.0 is released" in job(script)
    assert "nothing to release: " in job(script)
    _change(trained)
    assert "churn 1.1.0 is released" in job(script)
    _check_released(trained, "churn#staging#1", "churn#staging#2", "churn@v1.0.0", "churn@v1.1.0")


def test_a_merge_on_gitlab_does_the_same_from_a_commit_on_no_branch(
    trained: Workbench, job: Job
) -> None:
    _change(trained)
    assert "churn 1.0.0 is released" in job(
        _script("release"), detached=True, CI_COMMIT_BRANCH="main"
    )
    _check_released(trained, "churn@v1.0.0")


def _change(bench: Workbench) -> None:
    """A person merges other data, and trains nothing."""
    bench.git("pull", "--quiet", "--rebase", "origin", "main")
    (bench.repo / "data.txt").write_text("b\n")
    bench.commit("Other data")
    bench.git("push", "--quiet", "origin", "HEAD:main")


def _check_released(bench: Workbench, *names: str) -> None:
    """The servers have these tags, and all that a deploy of the last version needs."""
    assert sorted(tags(bench.repo.parent / "origin.git")) == list(names)
    bench.git("pull", "--quiet", "--tags", "--rebase", "origin", "main")
    assert bench.cli("deploy", names[-1], "--yes", "--no-smoke-test").code == 0
    assert (bench.repo / "models/churn/current/model.bin").read_text() == "b\n"


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_a_person_gives_a_version_a_stage(trained: Workbench, job: Job, service: str) -> None:
    trained.release()
    trained.git("push", "--quiet", "origin", "churn@v1.0.0")
    if service == "gitlab":
        job(_script("prod"), detached=True, CI_COMMIT_TAG="churn@v1.0.0")
    else:
        script = _steps(CI / service / "assign.yml", "assign", "Assign")
        job(script, VERSION="1.0.0", STAGE="prod", GITHUB_ACTOR="ada")
    assert sorted(tags(trained.repo.parent / "origin.git")) == ["churn#prod#1", "churn@v1.0.0"]


def test_a_job_of_a_runner_beside_the_host_makes_a_pass(host: Following) -> None:
    script = _steps(CI / "github/deploy.yml", "deploy", "Follow")
    assert script == _script("deploy")
    pages.run(host.top, script.replace("/srv/models", str(host.folder)))
    assert host.live() == "model 1\n"


def test_the_hook_has_a_pushed_tag_followed_at_once(host: Following) -> None:
    hook = host.origin / "hooks" / "post-receive"
    shutil.copy(CI / "hooks" / "post-receive", hook)
    account = run(host.top, "id", "-un").strip()
    environment = {"TAGSHIP_HOST": str(host.folder), "TAGSHIP_ACCOUNT": account}
    environment["PATH"] = f"{pages.BIN}:{os.environ['PATH']}"
    for name, value in environment.items():
        host.bench.monkeypatch.setenv(name, value)

    def push(*words: str) -> str:
        done = subprocess.run(
            ["git", "push", "origin", *words], cwd=host.bench.repo,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stderr

    assert "remote: churn" not in push("HEAD:refs/heads/work")
    assert host.live() is None
    host.bench.train("model 2\n")
    host.bench.release()
    assert "remote: churn: in order, live 1.1.0" in push("HEAD:main", "churn@v1.1.0")
    assert host.live() == "model 2\n"
    host.bench.git("tag", "-a", "-m", "x", "churn@v1.1.0!", "churn@v1.1.0^{commit}")
    assert "remote: churn: in order, live 1.0.0" in push("churn@v1.1.0!")
    assert "remote: churn" not in push("--delete", "churn@v1.1.0!")
    assert host.live() == "model 1\n"

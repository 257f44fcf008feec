"""One run of ``tagship demo`` for all tests that need trained models; DVC's run cache shares it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from tests.workbench import run

ROOT = Path(__file__).parents[1]
SECONDS = 1200  # training both models takes about two minutes on two quiet cores
# Of dl.train: as many epochs as the demo's better parameters; each of half the patches, in batches
# half as large: as many steps. Two threads need a quarter more CPU time for them than one.
THREADS = "bn_momentum: 0.8\n    seed: 1\n    threads: "  # ml.train has threads too
QUICKLY = {
    "epochs: 25": "epochs: 10", "crops: 4": "crops: 2", "batch: 32": "batch: 16",
    f"{THREADS}2": f"{THREADS}1",
}  # fmt: skip


@dataclass(frozen=True)
class Demo:
    """What the demo printed, its exit code, what it left behind, and the DVC cache that it filled.

    ``before`` and ``after`` are what Git says of the repository; ``folder`` is the working
    directory, where the demo leaves its reports.

    In another clone of this repository with that cache, ``dvc repro`` takes the outputs of a stage
    from there where command, dependencies and parameters are the same (so change ``QUICKLY``).
    """

    cache: str
    code: int
    out: str
    err: str
    left: list[str]
    before: list[str]
    after: list[str]
    folder: str

    def share(self, repo: Path) -> None:
        """Have a repository use the cache."""
        (repo / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {self.cache}\n")


def demo(folder: Path) -> Demo:
    """Run the demo, or wait for the process that does, and read what it found.

    Args:
        folder: is shared by all processes of this run of the tests.
    """
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        told = folder / "demo.json"
        if not told.exists():
            told.write_text(json.dumps(asdict(_run(folder))))
        return Demo(**json.loads(told.read_bytes()))


def clone(target: Path) -> None:
    """Clone this repository with what is changed here and not committed yet; without tags."""
    run(target.parent, "git", "clone", "--quiet", "--no-tags", str(ROOT), str(target))
    run(target, "git", "switch", "--quiet", "--force-create", "main")  # CI may check out no branch
    changed = ("git", "ls-files", "-z", "--modified", "--others", "--exclude-standard")
    for name in run(ROOT, *changed).split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def set_parameters(params: Path, changes: dict[str, str]) -> None:
    """Change lines of params.yaml, each of which is there once."""
    text = params.read_text()
    for old, new in changes.items():
        assert text.count(f"    {old}\n") == 1
        text = text.replace(f"    {old}\n", f"    {new}\n")
    params.write_text(text)


def _run(folder: Path) -> Demo:
    repo, cache, home = folder / "gaia", folder / "cache", folder / "home"
    home.mkdir()
    clone(repo)
    set_parameters(repo / "params.yaml", QUICKLY)
    me = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    run(repo, "git", "add", "--all")
    run(repo, "git", *me, "commit", "--quiet", "--message", "Train quickly")
    (home / "config").write_text(f"[cache]\n    dir = {cache}\n")
    own = {"TMPDIR": str(folder), "HOME": str(home), "DVC_GLOBAL_CONFIG_DIR": str(home)}
    before = _state(repo)
    done = subprocess.run(
        [sys.executable, "-m", "tagship", "-C", str(repo), "demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **own},
        timeout=SECONDS,
    )
    left = [path.name for path in folder.glob("tagship-demo-*")]
    return Demo(
        str(cache),
        done.returncode,
        done.stdout,
        done.stderr,
        left,
        before,
        _state(repo),
        str(folder),
    )


def _state(repo: Path) -> list[str]:
    """The tags of a repository, its commit, and what differs from it."""
    commands = (["tag"], ["rev-parse", "HEAD"], ["status", "--porcelain", "--ignored"])
    return [run(repo, "git", *command) for command in commands]

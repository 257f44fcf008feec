"""Commands run by other accounts of the machine, who may not read and write everything."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tagship.disk import atomic
from tests import budget, forking, workbench
from tests.workbench import Result, Workbench

OWNER, READER = 4242, 4343  # numbers without a name, as in containers
PROGRAMS = ("setpriv", "unshare", "mount")
# Python may be in a folder of root alone. Then it is mounted at its path again, for one process.
ENTER = """
set -e
python=$1 private=$2; shift 2
if [ -n "$private" ]; then
  mount -t tmpfs -o mode=755 tmpfs /mnt
  mkdir /mnt/python
  mount --bind "$python" /mnt/python
  mount -t tmpfs -o mode=755 tmpfs "$private"
  mkdir -p "$python"
  mount --move /mnt/python "$python"
  umount /mnt
fi
exec "$@"
"""


def missing() -> str:
    """Why nobody can be another account here; empty if it is possible."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "only root can be another account"
    return f"{lacking[0]} is not installed" if lacking else ""


class Commands:
    """A process for each account that runs its commands; see ``forking``."""

    def __init__(self) -> None:
        self._processes: dict[tuple[int, str], subprocess.Popen[str]] = {}

    def run(self, uid: int, groups: str, asked: dict[str, Any]) -> Result:
        """Run a command by an account."""
        process = self._processes.get((uid, groups)) or self._start(uid, groups)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return Result(**json.loads(process.stdout.readline()))

    @budget.shared()
    def _start(self, uid: int, groups: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-c", Path(forking.__file__).read_text(encoding="utf-8")]
        self._processes[uid, groups] = subprocess.Popen(
            as_account(uid, groups, program),
            cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self._processes[uid, groups]

    def close(self) -> None:
        """End them."""
        for process in self._processes.values():
            process.communicate()


@dataclass(frozen=True)
class Accounts:
    """A workspace that ``OWNER`` owns, and that others may read."""

    bench: Workbench
    commands: Commands = field(default_factory=Commands)

    @property
    def repo(self) -> Path:
        """The workspace."""
        return self.bench.repo

    @property
    def folder(self) -> Path:
        """``models/churn``."""
        return self.bench.folder

    def home(self, uid: int) -> Path:
        """The home of an account: Git's configuration, and what DVC writes."""
        home = self.repo.parent / f"home-{uid}"
        if not home.exists():
            home.mkdir()
            (home / ".gitconfig").write_text(
                f"[user]\n\tname = {uid}\n\temail = {uid}@example.com\n[safe]\n\tdirectory = *\n"
            )
            self.give(home, uid)
        return home

    def give(self, top: Path, uid: int) -> None:
        """Change the owner of a tree."""
        for path in [top, *top.rglob("*")]:
            os.chown(path, uid, uid, follow_symlinks=False)

    def run(self, uid: int, command: str, *, umask: int = 0o022, groups: str = "") -> Result:
        """``tagship COMMAND`` by an account, in the workspace, in a process of its own."""
        asked = {
            "words": command.split(), "folder": str(self.repo), "umask": umask,
            "environment": {**os.environ, **self._environment(uid)},
        }  # fmt: skip
        return self.commands.run(uid, groups, asked)

    def execute(
        self, uid: int, program: Sequence[str], *, umask: int = 0o022, groups: str = ""
    ) -> Result:
        """A program by an account, in the workspace."""
        result = subprocess.run(
            as_account(uid, groups, program),
            cwd=self.repo, env={**os.environ, **self._environment(uid)}, umask=umask,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Result(result.returncode, result.stdout, result.stderr)

    def _environment(self, uid: int) -> dict[str, str]:
        home = str(self.home(uid))
        return {
            "HOME": home, "XDG_CONFIG_HOME": home, "DVC_GLOBAL_CONFIG_DIR": home,
            "DVC_SYSTEM_CONFIG_DIR": home,
            "GIT_CONFIG_GLOBAL": f"{home}/.gitconfig", "DVC_SITE_CACHE_DIR": f"{home}/site",
        }  # fmt: skip


def as_account(uid: int, groups: str, program: Sequence[str]) -> list[str]:
    """What starts a program as an account."""
    who = ["setpriv", f"--reuid={uid}", f"--regid={uid}"]
    who.append(f"--groups={groups}" if groups else "--clear-groups")
    return ["unshare", "--mount", "sh", "-c", ENTER, "sh", *_python(), *who, *program]


def _python() -> list[str]:
    """Where Python is, and the first folder on the way there that is for its owner alone."""
    python = Path(sys.base_prefix).resolve()
    private = [path for path in reversed(python.parents) if not path.stat().st_mode & 0o001]
    return [str(python), str(private[0]) if private else ""]


def of(shipped: Workbench, commands: Commands) -> Iterator[Accounts]:
    """A copy of a workspace in a folder that everybody can enter; pytest's are private."""
    if why := missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        workbench.copy(shipped.repo.parent, folder)
        accounts = Accounts(replace(shipped, repo=folder / "repo"), commands)
        for name in ("repo", "origin.git", "dvc-remote"):
            accounts.give(folder / name, OWNER)
        shipped.git("config", "--global", "safe.directory", "*")  # for root
        yield accounts
    finally:
        atomic.remove_tree(folder)

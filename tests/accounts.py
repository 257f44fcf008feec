"""Commands run by other accounts of the machine, who may not read and write everything."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tagship.disk import atomic
from tests import workbench
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


@dataclass(frozen=True)
class Accounts:
    """A workspace that ``OWNER`` owns, and that others may read."""

    bench: Workbench

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
        """``tagship COMMAND`` by an account, in the workspace."""
        program = [sys.executable, "-m", "tagship", *command.split()]
        return self.execute(uid, program, umask=umask, groups=groups)

    def execute(
        self, uid: int, program: Sequence[str], *, umask: int = 0o022, groups: str = ""
    ) -> Result:
        """A program by an account, in the workspace."""
        home = str(self.home(uid))
        environment = {
            "HOME": home, "XDG_CONFIG_HOME": home, "DVC_GLOBAL_CONFIG_DIR": home,
            "DVC_SYSTEM_CONFIG_DIR": home,
            "GIT_CONFIG_GLOBAL": f"{home}/.gitconfig", "DVC_SITE_CACHE_DIR": f"{home}/site",
        }  # fmt: skip
        who = ["setpriv", f"--reuid={uid}", f"--regid={uid}"]
        who.append(f"--groups={groups}" if groups else "--clear-groups")
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", ENTER, "sh", *_python(), *who, *program],
            cwd=self.repo, env={**os.environ, **environment}, umask=umask,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Result(result.returncode, result.stdout, result.stderr)


def _python() -> list[str]:
    """Where Python is, and the first folder on the way there that is for its owner alone."""
    python = Path(sys.base_prefix).resolve()
    private = [path for path in reversed(python.parents) if not path.stat().st_mode & 0o001]
    return [str(python), str(private[0]) if private else ""]


def of(shipped: Workbench) -> Iterator[Accounts]:
    """A copy of a workspace in a folder that everybody can enter; pytest's are private."""
    if why := missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        workbench.copy(shipped.repo.parent, folder)
        accounts = Accounts(replace(shipped, repo=folder / "repo"))
        for name in ("repo", "origin.git", "dvc-remote"):
            accounts.give(folder / name, OWNER)
        shipped.git("config", "--global", "safe.directory", "*")  # for root
        yield accounts
    finally:
        atomic.remove_tree(folder)

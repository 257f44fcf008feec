"""A released model in a real Git and DVC repository, and everything around it that must stay.

``repo`` is what a hostile author fills. ``home``, ``victim``, ``tmp`` and ``canary`` are the
host's: a snapshot of all tells what was written, and a file in ``canary`` that a program was run.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tagship
from tests.workbench import MODEL, PATH, Result, Workbench, run

READS = ("status churn", "list churn", "show churn", "verify churn", "models", "history churn",
         "current churn", "compare churn 1.0.0 1.1.0")  # fmt: skip
SECONDS = 120  # for one deploy, on a machine that has much else to do
SOURCES = str(Path(tagship.__file__).parents[1])
Snapshot = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Sandbox:
    """1.0.0 ("model 1") is live, 1.1.0 ("model 2") is released."""

    bench: Workbench

    @property
    def top(self) -> Path:
        """The folder that holds all of it."""
        return self.bench.repo.parent

    @property
    def repo(self) -> Path:
        """The work tree."""
        return self.bench.repo

    @property
    def victim(self) -> Path:
        """A folder of somebody else."""
        return self.top / "victim"

    def prepare(self) -> None:
        """The folders of the host, with something in them to lose."""
        for name in ("victim", "tmp", "canary", "home"):
            (self.top / name).mkdir(exist_ok=True)
        (self.victim / "file").write_text("precious\n")
        (self.victim / "data.json").write_text("{}\n")
        self.bench.monkeypatch.setenv("TMPDIR", str(self.top / "tmp"))

    def canary(self, name: str, then: str = "exit 0") -> str:
        """A program that leaves a file when it is run; its path."""
        script = self.top / f"run-{name}"
        script.write_text(f"#!/bin/sh\ntouch '{self.top}/canary/{name}'\n{then}\n")
        script.chmod(0o755)
        return str(script)

    def fired(self) -> list[str]:
        """Which of them ran."""
        return sorted(os.listdir(self.top / "canary"))

    def python(self, name: str) -> str:
        """The text of a module that leaves a file when it is imported."""
        return f"open({str(self.top / 'canary' / name)!r}, 'w').close()\n"

    # --- what the hostile author does

    def write(self, name: str, data: str | bytes) -> None:
        """A file of the work tree; a link or a folder in its place goes."""
        path = self.repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def link(self, name: str, target: Path | str) -> None:
        """A link of the work tree, in the place of what was there."""
        path = self.repo / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            run(self.top, "chmod", "-R", "u+w", str(path))
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def commit(self, *forced: str) -> str:
        """Commit all, and what Git would ignore; the id."""
        self.bench.git("add", "--all", ".")
        for name in forced:
            self.bench.git("add", "--force", name)
        self.bench.git("commit", "--quiet", "--allow-empty", "--message", "Hostile")
        return self.bench.git("rev-parse", "HEAD").strip()

    def release(self, *forced: str, version: str = "1.2.0") -> str:
        """Commit all, and tag it as a version, past every check of tagship; the commit."""
        commit = self.commit(*forced)
        self.bench.git("tag", "--annotate", "--message=hostile", f"{MODEL}@v{version}")
        return commit

    def loose(self, kind: str, data: bytes) -> str:
        """An object of Git of any bytes, past Git's own checks; its id."""
        whole = f"{kind} {len(data)}\0".encode() + data
        digest = hashlib.sha1(whole).hexdigest()
        path = self.repo / ".git/objects" / digest[:2] / digest[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole))
        return digest

    def tag_object(self, message: bytes, target: str | None = None, kind: str = "commit") -> None:
        """The tag ``churn@v1.2.0``, its message of any bytes, on a new commit or on ``target``."""
        target = target or self.commit()
        head = f"object {target}\ntype {kind}\ntag churn@v1.2.0\n"
        tagger = "tagger Ada <ada@example.com> 1795176000 +0000\n\n"
        text = (head + tagger).encode() + message
        self.ref("refs/tags/churn@v1.2.0", self.loose("tag", text))

    def ref(self, name: str, object_id: str) -> None:
        """A ref of any name, past Git's own check of it."""
        packed = self.repo / ".git/packed-refs"
        kept = packed.read_text() if packed.exists() else ""
        packed.write_text(f"{kept}{object_id} {name}\n")

    def head(self) -> str:
        """The id of HEAD."""
        return self.bench.git("rev-parse", "HEAD").strip()

    def stored(self, data: bytes, suffix: str = "") -> str:
        """An object in DVC's cache; its digest."""
        digest = hashlib.md5(data).hexdigest() + suffix
        path = self.repo / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(data)
            path.chmod(0o444)
        return digest

    def listed(self, entries: Iterable[Any] | bytes) -> None:
        """Release the folder ``bundle``, whose list of files is this one."""
        data = entries if isinstance(entries, bytes) else json.dumps(list(entries)).encode()
        self.write("dvc.yaml", "artifacts:\n  churn:\n    path: bundle\n")
        self.write("bundle.dvc", "outs:\n- md5: " + self.stored(data, ".dir")
                   + "\n  hash: md5\n  size: 6\n  nfiles: 1\n  path: bundle\n")  # fmt: skip
        self.release()

    def entry(self, relpath: Any, data: bytes = b"first\n") -> dict[str, Any]:
        """One entry of such a list, its object in the cache."""
        return {"md5": self.stored(data), "relpath": relpath}

    def pointed(self, text: str) -> None:
        """Release a ``.dvc`` file of this text."""
        self.write(f"{PATH}.dvc", text)
        self.release()

    def configured(self, text: str, *, empty: bool = True) -> None:
        """A committed ``.dvc/config``; where ``empty``, the cache lacks every object."""
        self.write(".dvc/config", text)
        self.commit()
        if empty:
            shutil.rmtree(self.repo / ".dvc/cache")

    def git_config(self, name: str, value: str) -> None:
        """An entry in ``.git/config``, as an archive would bring it."""
        self.bench.git("config", name, value)

    # --- what is done with it, and what is looked at

    def deploy(self, *, trace: tuple[str, ...] = ()) -> Result:
        """``tagship deploy churn --yes`` in a process of its own, which must end.

        ``-P`` as for the installed ``tagship``: Python alone would look into the repository.
        """
        done = subprocess.run(
            [*trace, sys.executable, "-P", "-m", "tagship", "deploy", MODEL, "--yes"],
            cwd=self.repo, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=SECONDS, env={**os.environ, "PYTHONPATH": SOURCES},
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def snapshot(self) -> Snapshot:
        """Everything but the model's folder: type, mode, and target or digest."""
        found: Snapshot = {}
        top, models_own = f"{self.top}/", str(self.bench.folder)
        for folder, folders, names in os.walk(top):
            if folder == models_own and not self.bench.folder.is_symlink():
                folders.clear()
                continue
            for name in (*folders, *names):
                path = os.path.join(folder, name)  # noqa: PTH118 - paths as text, for speed
                found[path.removeprefix(top)] = _found_at(path)
        return found

    def written(self, before: Snapshot) -> list[str]:
        """What changed since, but for objects in DVC's cache that are what their name says."""
        after = self.snapshot()
        return sorted(
            name
            for name in before.keys() | after
            if before.get(name) != after.get(name) and not _is_object(name, after)
        )


def _found_at(path: str) -> tuple[str, str]:
    mode, what = os.lstat(path).st_mode, ""
    if stat.S_ISLNK(mode):
        what = os.readlink(path)
    elif stat.S_ISREG(mode):
        with open(path, "rb") as file:
            what = hashlib.md5(file.read()).hexdigest()
    return oct(mode), what


def _is_object(name: str, after: Snapshot) -> bool:
    """A new object of the cache under its right name, or a folder on the way to one."""
    top = "repo/.dvc/cache"
    mode, digest = after.get(name, ("", ""))
    if mode in ("0o40755", "0o42775"):  # the second where the cache is shared, as DVC has it
        return name == top or name.startswith(f"{top}/files")
    parts = name.rpartition("files/md5/")
    return parts[0].startswith(top) and parts[2].replace("/", "").removesuffix(".dir") == digest

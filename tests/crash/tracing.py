"""A command under strace: the calls by which it changes files, and one of them made to fail.

strace counts the calls of each process and thread by itself. So Python is traced without what it
starts (``-b execve``), and a Git that changes files by a wrapper of its own.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests import budget

CALLS = (
    "openat", "write", "writev", "pwrite64", "sendfile", "copy_file_range", "ioctl", "ftruncate",
    "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat",
    "fsync", "fdatasync", "sync_file_range", "flock",
)  # fmt: skip
KILL, TERM = "KILL", "TERM"
ERRORS = ("ENOSPC", "EIO")
PYTHON = "python"
GIT_COMMANDS = ("tag", "push")  # that change files
_GIT = """#!/bin/sh
# Trace the one command of Git that is asked for; if it is killed, so is who called it.
for word in "$@"; do [ "$word" = "$TRACED_GIT" ] && traced=yes; done
[ "$traced" ] || exec "$REAL_GIT" "$@"
strace -f -q -y -e signal=none $TRACE_OPTIONS -o "$TRACE_LOG" "$REAL_GIT" "$@"
code=$?
grep -qs "= ?$" "$TRACE_LOG" && kill -9 $PPID  # a call that never came back
exit $code
"""
_LINE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_RANDOM = (
    (re.compile(r"\d{8}_\d{6}"), "ID"),
    (re.compile(r"\.[0-9a-f]{12}\.tmp"), ".tmp"),
    (re.compile(r"(?<=[0-9a-f]{32})-[0-9a-f]{12}"), "-TMP"),  # an object that arrives
    (re.compile(r"/\.[\w-]{22}\.tmp"), "/DVC.tmp"),
    (re.compile(r"\.tmp/fetched\w{8}"), ".tmp/fetched"),
    (re.compile(r"(tmp_(?:obj|pack|idx|rev)_)\w{6}"), r"\1TMP"),
)


@dataclass(frozen=True)
class Call:
    """A call that changes a file of the workspace.

    Attributes:
        name: of the system call.
        when: it is the process's so many-eth of that name, as strace counts.
        what: its name and paths, without what is another in each run.
        failed: it came back with an error, and changed nothing.
    """

    name: str
    when: int
    what: str
    failed: bool = False


@dataclass(frozen=True)
class Done:
    """How a traced command ended: its exit code, what it said, and what strace wrote."""

    code: int
    out: str
    err: str
    log: str


def missing() -> str:
    """Why nothing can be traced here; empty where all is well."""
    if shutil.which("strace") is None:
        return "no strace"
    tried = subprocess.run(
        ["strace", "-f", "-b", "execve", "-o", os.devnull, "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else f"strace cannot trace: {tried.stderr.decode().strip()}"


def run(
    folder: Path, command: str, program: str = PYTHON, inject: str = "", *, site: str = "",
    where: str = "repo",
) -> Done:  # fmt: skip
    """Run ``tagship`` in ``folder/repo``, with one process of it under strace.

    Args:
        folder: holds the repository and its remotes, and gets the log.
        command: the arguments of ``tagship``.
        program: ``python``, or the command of Git that is traced instead.
        inject: what strace does to a call, ``rename:signal=KILL:when=3``; nothing where empty.
        site: a folder beside this file whose modules the command finds: ``one_thread`` for a fetch
            without threads of its own, ``bad_loader`` for a model that never loads.
        where: another folder to run it in.
    """
    names = inject.partition(":")[0] or ",".join(CALLS)
    options = ["-e", f"trace={names}", *(["-e", f"inject={inject}"] if inject else [])]
    log = folder / "strace.log"
    words = [sys.executable, "-m", "tagship", *command.split()]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    paths = [str(Path(__file__).parents[2] / "tools"), os.environ.get("PYTHONPATH", "")]
    if site:
        paths.insert(0, str(Path(__file__).parent / site))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if program == PYTHON:
        words = [*_alone(), "strace", "-f", "-q", "-y", "-b", "execve", "-e", "signal=none",
                 *options, "-o", str(log), *words]  # fmt: skip
    else:
        git = folder / "bin" / "git"
        git.parent.mkdir()
        git.write_text(_GIT)
        git.chmod(0o755)
        environment |= {
            "PATH": f"{git.parent}{os.pathsep}{os.environ['PATH']}",
            "REAL_GIT": shutil.which("git") or "git",
            "TRACED_GIT": program,
            "TRACE_OPTIONS": " ".join(options),
            "TRACE_LOG": str(log),
        }
    result = subprocess.run(
        words, cwd=folder / where, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    text = log.read_text(errors="replace") if log.exists() else ""
    return Done(result.returncode, result.stdout, result.stderr, text)


@functools.cache
@budget.shared()
def _alone() -> list[str]:
    """A /proc with the command alone: cleanup reads it, and a count must not hang on others."""
    words = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None:
        return []
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else []


def calls(log: str, folder: Path) -> list[Call]:
    """The calls in a log that change a file below ``folder``, DVC's own notes left out."""
    counts: Counter[tuple[str, str]] = Counter()
    traced = []
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:  # the second half of a call, or a signal
            continue
        name = match["name"]
        counts[match["pid"], name] += 1
        what = _what(name, match["rest"], folder)
        if what:
            failed = re.search(r"\) += -1 E", line) is not None
            traced.append(Call(name, counts[match["pid"], name], what, failed))
    return traced


def struck(log: str, folder: Path) -> list[Call]:
    """The calls that were killed or failed, of a log of one call alone."""
    # a call that never came back has no result, or "?"; another thread may have come between
    ends = ("(INJECTED)", "= ?", "<unfinished ...>")
    return [
        call for line in log.splitlines() if line.rstrip().endswith(ends)
        for call in calls(line, folder)
    ]  # fmt: skip


def met(log: str, folder: Path, call: Call) -> list[Call]:
    """The same of a signal that lets the call be done: nothing in the log tells it."""
    return [each for each in calls(log, folder) if each.when == call.when]


def _what(name: str, rest: str, folder: Path) -> str:
    """The call's name and paths; empty where it changes no file of the workspace."""
    if name == "openat" and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", rest):
        return ""
    if name == "ioctl" and "CLONE" not in rest:
        return ""
    if name in ("write", "writev", "pwrite64"):
        rest = re.sub(r'"(\\.|[^"\\])*"', "", rest)  # what is written
    rest = re.sub(r"AT_FDCWD<[^>]*>|<unfinished ...>", "", rest).partition(") = ")[0]
    paths = [quoted or other for quoted, other in re.findall(r'"([^"]*)"|<([^>]*)>', rest)]
    files = [path for path in paths if not re.match(r"\w+:", path)]  # no pipe:[7], no socket:[7]
    here = [path for path in files if path.startswith(f"{folder}/") or not path.startswith("/")]
    here = [path.removeprefix(f"{folder}/") for path in here]
    if not here or here[0].startswith(("repo/.dvc/tmp/", "site-cache/", "home/")):
        return ""
    text = f"{name} {' '.join(here)}"
    for pattern, instead in _RANDOM:
        text = pattern.sub(instead, text)
    return text


def not_durable(called: list[Call]) -> list[str]:
    """Where a power cut could lose what a command said it did: a kill alone never shows that.

    What is renamed into place was synced before, and so were the folders in it. No rename comes
    before the directories of an earlier one were synced, and the names of new folders. None is left
    in the end, and no mode. DVC's remote is synced later, but in the end too. DVC's cache need not
    be: whoever reads it hashes it.
    """
    disk = _Unsynced()
    for call in called:
        name, path, *more = call.what.split()
        if call.failed or name not in _DURABLE or path.startswith("repo/.dvc/"):
            continue
        if path.endswith("/.tagship/lock"):  # it holds nothing
            continue
        if "/.tagship/.history.sha256" in path:  # where it does not fit, the history is read whole
            continue
        if name in ("fsync", "fdatasync"):
            disk.sync(path)
        elif name == "rename":
            disk.rename(path, more[0])
        else:
            disk.change(name, path)
    return disk.found + [f"{path} is not synced in the end" for path in disk.left()]


@dataclass
class _Unsynced:
    """What a power cut could lose; ``found``: what it could lose that another thing builds on.

    Attributes:
        written, modes: files whose bytes, or files and folders whose modes are not synced.
        named: folders that got a name. renamed: folders that a rename changed. made: new folders.
    """

    written: dict[str, None] = field(default_factory=dict)
    modes: dict[str, None] = field(default_factory=dict)
    named: dict[str, None] = field(default_factory=dict)
    renamed: dict[str, None] = field(default_factory=dict)
    made: dict[str, None] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def sync(self, path: str) -> None:
        for some in (self.written, self.modes, self.named, self.renamed):
            some.pop(path, None)
        self.made = {folder: None for folder in self.made if _parent(folder) != path}

    def change(self, name: str, path: str) -> None:
        if name in ("chmod", "fchmod"):
            self.modes[path] = None
        elif name in ("unlink", "rmdir"):
            for some in (self.written, self.modes, self.made):
                some.pop(path, None)
        else:
            kind = self.made if name == "mkdir" else self.written
            kind[path] = self.named[_parent(path)] = None

    def rename(self, path: str, target: str) -> None:
        if target.startswith("repo/.dvc/"):
            return
        if path.startswith("dvc-remote/"):
            self.written.pop(path, None)
            self.written[target] = None
        else:
            self.found += [
                f"{name} is not synced when it is renamed to {target}"
                for name in (*self.written, *self.named)
                if name == path or name.startswith(f"{path}/")
            ]
            self.found += [f"{folder} is not synced when {target} comes" for folder in self.renamed]
            self.found += [
                f"the name of {folder} is not synced when {target} comes"
                for folder in self.made
                if folder != path
            ]
        self.made.pop(path, None)
        if path in self.modes:
            self.modes.pop(path)
            self.modes[target] = None
        self.renamed[_parent(path)] = self.renamed[_parent(target)] = None

    def left(self) -> list[str]:
        ours = [path for path in (*self.made, *self.modes) if not path.startswith("dvc-remote/")]
        theirs = [path for path in self.written if path.startswith("dvc-remote/")]
        return [*theirs, *ours, *self.renamed]


def _parent(path: str) -> str:
    return str(Path(path).parent)


_DURABLE = {
    "openat", "write", "sendfile", "copy_file_range", "ftruncate", "rename", "fsync", "fdatasync",
    "mkdir", "chmod", "fchmod", "unlink", "rmdir",
}  # fmt: skip

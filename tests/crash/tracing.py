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
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "openat", "write", "writev", "pwrite64", "sendfile", "copy_file_range", "ioctl", "ftruncate",
    "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat",
    "fsync", "fdatasync", "sync_file_range", "flock",
)  # fmt: skip
KILL, ERRORS = "KILL", ("ENOSPC", "EIO")
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
    (re.compile(r"(tmp_obj_|incoming-)\w{6}"), r"\1TMP"),
)


@dataclass(frozen=True)
class Call:
    """A call that changes a file of the workspace.

    Attributes:
        name: of the system call.
        when: it is the process's so many-eth of that name, as strace counts.
        what: its name and paths, without what is another in each run.
    """

    name: str
    when: int
    what: str


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
    folder: Path, command: str, program: str = PYTHON, inject: str = "", *, one_thread: bool = False
) -> Done:
    """Run ``tagship`` in ``folder/repo``, with one process of it under strace.

    Args:
        folder: holds the repository and its remotes, and gets the log.
        command: the arguments of ``tagship``.
        program: ``python``, or the command of Git that is traced instead.
        inject: what strace does to a call, ``rename:signal=KILL:when=3``; nothing where empty.
        one_thread: a fetch takes no threads of its own.
    """
    names = inject.partition(":")[0] or ",".join(CALLS)
    options = ["-e", f"trace={names}", *(["-e", f"inject={inject}"] if inject else [])]
    log = folder / "strace.log"
    words = [sys.executable, "-m", "tagship", *command.split()]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    paths = [str(Path(__file__).parents[2] / "tools"), os.environ.get("PYTHONPATH", "")]
    if one_thread:
        paths.insert(0, str(Path(__file__).parent / "one_thread"))
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
    done = subprocess.run(
        words, cwd=folder / "repo", env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    text = log.read_text(errors="replace") if log.exists() else ""
    return Done(done.returncode, done.stdout, done.stderr, text)


@functools.cache
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
    found = []
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:  # the second half of a call, or a signal
            continue
        name = match["name"]
        counts[match["pid"], name] += 1
        what = _what(name, match["rest"], folder)
        if what:
            found.append(Call(name, counts[match["pid"], name], what))
    return found


def struck(log: str, folder: Path) -> list[Call]:
    """The calls that were killed or failed, of a log of one call alone."""
    # a call that never came back has no result, or "?"; another thread may have come between
    ends = ("(INJECTED)", "= ?", "<unfinished ...>")
    return [
        call for line in log.splitlines() if line.rstrip().endswith(ends)
        for call in calls(line, folder)
    ]  # fmt: skip


def _what(name: str, rest: str, folder: Path) -> str:
    """The call's name and paths; empty where it changes no file of the workspace."""
    if name == "openat" and not re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", rest):
        return ""
    if name == "ioctl" and "CLONE" not in rest:
        return ""
    if name in ("write", "writev", "pwrite64"):
        rest = re.sub(r'"(\\.|[^"\\])*"', "", rest)  # what is written
    rest = re.sub(r"AT_FDCWD<[^>]*>|<unfinished ...>", "", rest).partition(") = ")[0]
    paths = [one or other for one, other in re.findall(r'"([^"]*)"|<([^>]*)>', rest)]
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

    What is renamed into place was synced before; no rename comes before the directory of an earlier
    one was synced; and none is left in the end. DVC's remote is synced later, but in the end too.
    DVC's cache need not be: whoever reads it hashes it.
    """
    dirty: dict[str, None] = {}
    folders: dict[str, None] = {}
    found = []
    for call in called:
        name, path, *more = call.what.split()
        if path.startswith("repo/.dvc/") or name not in _DURABLE:
            continue
        if name in ("fsync", "fdatasync"):
            dirty.pop(path, None)
            folders.pop(path, None)
        elif name != "rename":
            dirty[path] = None
        elif not more[0].startswith("repo/.dvc/"):
            below = [one for one in dirty if one == path or one.startswith(f"{path}/")]
            if path.startswith("dvc-remote/"):
                dirty.pop(path, None)
                dirty[more[0]] = None
            else:
                found += [f"{one} is not synced when it is renamed to {more[0]}" for one in below]
                found += [f"{one} is not synced when {more[0]} comes" for one in folders]
            folders[str(Path(more[0]).parent)] = None
    kept = [one for one in dirty if one.startswith("dvc-remote/")]
    return found + [f"{one} is not synced in the end" for one in (*kept, *folders)]


_DURABLE = {
    "openat", "write", "sendfile", "copy_file_range", "ftruncate", "rename", "fsync", "fdatasync",
}  # fmt: skip

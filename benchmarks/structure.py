"""The code's structure in figures: who takes Source and Host, how often a command changes files.

``python -m benchmarks structure`` prints them. Nothing here is timed.
"""

import ast
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tagship.disk import atomic

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tools" / "tagship"
# Modules that read and write text: counted apart, because every value passes through them.
READERS = ("text/", "fields.py", "redact.py", "document.py", "controls.py", "arguments.py")
COMMANDS = {
    "current": ["current", "churn"],
    "list": ["list", "churn"],
    "status": ["status", "churn"],
    "release": ["release", "churn"],
    "deploy": ["deploy", "churn", "--yes"],
    "rollback": ["rollback", "churn", "--yes"],
}


def both_halves(package: Path = PACKAGE) -> list[str]:
    """The functions that take both a Source and a Host: ``file:function``.

    Methods of a class that has both as attributes (the facades of ``manager``) are not counted:
    holding both is their purpose.
    """
    takers = []
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = {
                    ast.unparse(argument.annotation).strip("'\"")
                    for argument in arguments
                    if argument.annotation
                }
                if {"Source", "Host"} <= names or "Workspace" in names:
                    takers.append(f"{path.relative_to(package)}:{node.name}")
    return takers


@dataclass
class Walk:
    """The calls within the package that one command made.

    Attributes:
        calls: how many.
        changes: of them, those into another file than the caller's.
        changes_without_readers: the same, without calls from or into the readers of text.
    """

    files: set[str] = field(default_factory=set)
    functions: set[tuple[str, str]] = field(default_factory=set)
    calls: int = 0
    changes: int = 0
    changes_without_readers: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def follow(self, frame: FrameType, event: str, _: Any) -> None:
        """A profile function (sys.setprofile) that records each call into the package."""
        if event != "call":
            return
        here = _name(frame)
        if here is None or frame.f_code.co_name.startswith("<"):
            return
        above = frame.f_back
        while above is not None and _name(above) is None:
            above = above.f_back
        self.calls += 1
        self.files.add(here)
        self.functions.add((here, frame.f_code.co_qualname))
        caller = _name(above) if above is not None else None
        if caller is not None and caller != here:
            self.changes += 1
            self.pairs[caller, here] += 1
            if not (here.startswith(READERS) or caller.startswith(READERS)):
                self.changes_without_readers += 1


def _name(frame: FrameType) -> str | None:
    name = frame.f_code.co_filename
    top = str(_package()) + os.sep
    return name.removeprefix(top) if name.startswith(top) else None


def _package() -> Path:
    import tagship  # noqa: PLC0415 - of the tree that is measured

    return Path(str(tagship.__file__)).parent


def walk(repo: Path, command: list[str]) -> Walk:
    """Run one command in this process, in a repository, and follow its calls."""
    from tagship.cli.main import main  # noqa: PLC0415

    walked = Walk()
    sys.argv = ["tagship", "-C", str(repo), *command]
    sys.setprofile(walked.follow)
    try:
        main()
    except SystemExit:
        pass
    finally:
        sys.setprofile(None)
    return walked


def _repository(folder: Path) -> Path:
    """One model with a live version, and another one trained and committed."""
    repo = folder / "repo"
    repo.mkdir()
    dvc = [sys.executable, "-m", "dvc"]

    def run(*command: str) -> None:
        subprocess.run(command, cwd=repo, check=True, capture_output=True)

    run("git", "init", "--quiet", "--initial-branch=main")
    run("git", "config", "user.name", "Ada")
    run("git", "config", "user.email", "ada@example.com")
    run(*dvc, "init", "--quiet")
    run(*dvc, "remote", "add", "--quiet", "--default", "store", str(folder / "store"))
    tagship = [sys.executable, "-m", "tagship"]
    run(*tagship, "init", "--model", "churn", "--path", "models/churn/model.bin")
    for number in (1, 2):
        model = repo / "models" / "churn" / "model.bin"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.unlink(missing_ok=True)
        model.write_text(f"model {number}\n")
        run(*dvc, "add", "--quiet", "models/churn/model.bin")
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--message", f"Train model {number}")
        if number == 1:
            run(*tagship, "release", "churn")
            run(*tagship, "deploy", "churn", "--yes")
    return repo


def main() -> None:
    """Print the figures; one command in a process of its own, in the order of COMMANDS."""
    if sys.argv[1:2] == ["--walk"]:
        _, _, repo, name = sys.argv
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        walked = walk(Path(repo), COMMANDS[name])
        sys.stdout = sys.__stdout__
        print(
            f"| {name} | {len(walked.files)} | {len(walked.functions)} | {walked.calls}"
            f" | {walked.changes} | {walked.changes_without_readers} |"
        )
        if os.environ.get("PAIRS"):
            for (caller, callee), count in walked.pairs.most_common(40):
                print(f"  {count:4} {caller} -> {callee}")
        return
    takers = both_halves()
    print(f"functions that take both Source and Host: {len(takers)}")
    for taker in takers:
        print(f"  {taker}")
    print()
    print("| command | files | functions | calls | changes of file | without the readers of text |")
    print("|---|---|---|---|---|---|")
    scratch = Path(tempfile.mkdtemp(prefix="tagship-structure-"))
    try:
        repository = _repository(scratch)
        for name in COMMANDS:
            command = [
                sys.executable,
                "-m",
                "benchmarks.structure",
                "--walk",
                str(repository),
                name,
            ]
            result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            print(result.stdout, end="")
    finally:
        atomic.remove_tree(scratch)


if __name__ == "__main__":
    main()

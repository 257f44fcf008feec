"""What a trial of a hint is: a situation, the command that prints it, and what a user then does.

A trial is a function that makes the situation. It may return the command, where that is not known
before. ``tests/hints/cases_*.py`` have them; ``tests/hints/test_hints.py`` runs them.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tagship import errors
from tagship.cli import main
from tagship.inspect.status import Finding
from tagship.workspace.state import Reason
from tests import workbench
from tests.accounts import Accounts
from tests.hints.inventory import Hint
from tests.workbench import Workbench

Command = str | Callable[[Workbench], object]
TRIALS: dict[str, "Trial"] = {}
PLACEHOLDER = re.compile(r"\b(?:NAME|URL|DIR|FOLDER|FILE|KEY|PATH|MODEL|SECONDS|VERSION|WHEN)\b")
ASKING = (
    "deploy",
    "rollback",
    "cleanup",
    "undeploy",
    "unassign",
    "withdraw",
    "deprecate",
)  # the user answers y


@dataclass(frozen=True)
class Trial:
    """A hint in its situation.

    Attributes:
        hints: names of the hints, of ``inventory.all_hints``, that it prints.
        arrange: makes the situation; gives the command, where ``command`` does not.
        command: words after ``tagship``; or a function that calls the API.
        does: the part of the hint that the user follows; None for all of it. A ``...`` in it
            stands for more of the hint.
        by: follows it, where the words are no command.
        again: what the user wanted, and tries again; None for ``command``, empty for nothing.
        then: what the error of ``again`` has, where it fails for another reason.
        fill: words for placeholders.
        base: the fixture that is copied.
        folder: where the user is, from the repository's top.
        shell: the command is for a shell, not the words of a program.
        loses: a tag that the hint says is removed; or ``live``, where nothing shall be live.
        account: who runs it; 0 for this process. ``base`` is ``accounts`` then.
    """

    hints: tuple[str, ...]
    arrange: Callable[[Workbench], Command | None]
    command: Command = ""
    does: str | None = None
    by: Callable[[Workbench], object] | None = None
    again: Command | None = None
    then: str = ""
    fill: dict[str, str] = field(default_factory=dict)
    base: str = "bench"
    folder: str = "."
    shell: bool = False
    loses: str = ""
    account: int = 0

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.arrange.__name__


def trial(*hints: str, **options: object) -> Callable[..., Callable[[Workbench], Command | None]]:
    """Register a function as the situation of a trial; options are the attributes of ``Trial``."""

    def register(
        arrange: Callable[[Workbench], Command | None],
    ) -> Callable[[Workbench], Command | None]:
        entry = Trial(hints, arrange, **options)  # type: ignore[arg-type] # checked by its use
        name = entry.name
        while name in TRIALS:  # the same situation, another way out
            name += "+"
        TRIALS[name] = entry
        return arrange

    return register


@dataclass(frozen=True)
class Said:
    """What a command said.

    Attributes:
        code: its exit code; 0 or 1 for the API.
        text: all that it printed, or the error.
        hints: the hints and fixes in it.
        apart: a process of its own said it: which function made the hint is not recorded.
    """

    code: int
    text: str
    hints: tuple[str, ...]
    apart: bool = False

    @classmethod
    def of(cls, result: workbench.Result, *, apart: bool = False) -> "Said":
        """What a command line printed."""
        text = result.out + result.err
        hints = re.findall(r"^ *(?:hint|fix|next): (.*)$", text, re.MULTILINE)
        hints += re.findall(r"^Error: Invalid value for .*?: .*?; (.*)$", text, re.MULTILINE)
        return cls(result.code, text, tuple(hints), apart)


@dataclass
class Recorder:
    """Which errors and findings were made, and in which functions."""

    made: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    def has(self, hint: Hint) -> bool:
        """Whether a hint was made: by its text, and where the text stands beside the error."""
        return any(
            hint.pattern.search(text) and (not hint.direct or hint.function in functions)
            for text, functions in self.made
        )


@contextlib.contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Record each error and finding that is made."""
    recorder = Recorder()
    init, finding = errors.TagshipError.__init__, Finding.__init__
    reason = Reason.__init__
    interrupted = errors.Interrupted.__init__

    def note(text: str) -> None:
        functions, frame = set(), sys._getframe(2)
        while frame is not None:
            module = str(frame.f_globals.get("__name__", ""))
            if module.startswith("tagship"):
                functions.add(f"{module.removeprefix('tagship.')}.{frame.f_code.co_qualname}")
            frame = frame.f_back  # type: ignore[assignment] # None ends it
        recorder.made.append((text, frozenset(functions)))

    def of_error(self: errors.TagshipError, message: str, hint: str = "") -> None:
        note(hint)
        init(self, message, hint)

    def of_interrupted(self: errors.Interrupted, message: str, hint: str) -> None:
        note(hint)
        interrupted(self, message, hint)

    def of_finding(self: Finding, state: object, what: str, fix: str) -> None:
        note(fix)
        finding(self, state, what, fix)  # type: ignore[arg-type] # as it is given

    def of_reason(self: Reason, why: object, what: str, fix: str = "") -> None:
        note(fix)
        reason(self, why, what, fix)  # type: ignore[arg-type] # as it is given

    with monkeypatch.context() as patch:
        patch.setattr(Reason, "__init__", of_reason)
        patch.setattr(errors.TagshipError, "__init__", of_error)
        patch.setattr(errors.Interrupted, "__init__", of_interrupted)
        patch.setattr(Finding, "__init__", of_finding)
        yield recorder


def say(bench: Workbench, command: Command, folder: Path, account: int = 0) -> Said:
    """Run what the user runs: a command line, or a call of the API."""
    if account and isinstance(command, str):
        words = [sys.executable, "-m", "tagship", *command.split()]
        return Said.of(Accounts(bench).execute(account, words), apart=True)
    if callable(command):
        try:
            answer = command(bench)
            if isinstance(answer, Said):
                return answer
        except (errors.TagshipError, errors.Interrupted, OSError) as error:
            message, hint = (
                (error.message, error.hint)
                if isinstance(error, errors.Interrupted)
                else errors.explain(error)
            )
            return Said(1, message, (hint,) if hint else ())
        return Said(0, "", ())
    with contextlib.chdir(folder):
        return Said.of(_tagship(bench, shlex.split(command)))


def _tagship(bench: Workbench, words: list[str]) -> workbench.Result:
    bench.capture.readouterr()
    code = 0
    with bench.monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["tagship", *words])
        patch.setattr(sys, "stdin", io.StringIO())
        try:
            main.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return workbench.Result(code, *bench.capture.readouterr())


def follow(bench: Workbench, command: str, folder: Path, *, shell: bool) -> None:
    """Run the commands of a hint; each must succeed.

    ``tagship`` and ``dvc`` run in this process where their words need no shell: it is five times
    as fast.
    """
    steps = command.split(" && ")
    if shell or re.search(r"[|<>;$`(]", command) or any(step.startswith("cd ") for step in steps):
        return _in_shell(command, folder)
    for step in steps:
        program, *words = shlex.split(step)
        if program == "dvc":
            workbench.dvc(folder, *words, "--quiet")
        elif program == "tagship":
            yes = ["--yes"] if words[0] in ASKING and "--yes" not in words else []
            with contextlib.chdir(folder):
                result = _tagship(bench, [*words, *yes])
            assert result.code == 0, f"{command}: {result.out}{result.err}"
        else:
            _in_shell(step, folder)
    return None


def follow_as(bench: Workbench, command: str, account: int) -> None:
    """The same by an account; root stands for who may use sudo."""
    for step in command.split(" && "):
        words = shlex.split(step)
        if words[0] == "sudo" and words[1] != "-u":
            _in_shell(step.removeprefix("sudo "), bench.repo)
            continue
        if words[0] == "sudo":
            account, words = int(words[2].removeprefix("#").replace("root", "0")), words[3:]
        if words[0] == "tagship":
            words[:1] = [sys.executable, "-m", "tagship"]
        result = Accounts(bench).execute(account, words)
        assert result.code == 0, f"{step}: {result.out}{result.err}"


def _in_shell(command: str, folder: Path) -> None:
    ended = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"


def part(hint: str, entry: Trial) -> str:
    """The part of a hint that the user follows, with the placeholders filled in."""
    text = hint
    if entry.does is not None:
        pattern = ".*?".join(map(re.escape, entry.does.split("...")))
        match = re.search(pattern + ("$" if entry.does.endswith("...") else ""), hint)
        assert match is not None, f"the hint does not say {entry.does!r}: {hint}"
        text = match[0]
    for name, word in entry.fill.items():
        assert name in text, f"{name} is not in {text!r}"
        text = text.replace(name, word)
    return text


@dataclass(frozen=True)
class Kept:
    """What no hint may lose: what is live, what is committed, and the tags."""

    live: str | None
    commits: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def of(cls, bench: Workbench) -> "Kept":
        """As it is now."""
        if not (bench.repo / ".git").is_dir() or not _git(bench, "rev-parse", "--verify", "HEAD"):
            return cls(None, frozenset(), frozenset())
        links = bench.current.is_symlink() and bench.current.exists()
        live = str(bench.current.resolve()) if links else None
        commits = frozenset(_git(bench, "rev-list", "--all", "HEAD").split())
        return cls(live, commits, frozenset(_git(bench, "tag", "--list").split()))

    def check(self, bench: Workbench, loses: str = "") -> None:
        """Fail where one of them is gone."""
        after = Kept.of(bench)
        assert self.live is None or loses == "live" or (bench.current.exists()), (
            "nothing is live any more"
        )
        assert self.commits <= after.commits or not after.commits, "commits were lost"
        assert self.tags - {loses} <= after.tags, "tags were lost"
        for name in _git(bench, "ls-files", "*.lock", "*.yaml", "*.dvc").split():
            if (bench.repo / name).is_file():
                assert "<<<<<<<" not in _git(bench, "show", f"HEAD:{name}"), f"{name} has markers"


def _git(bench: Workbench, *words: str) -> str:
    ended = subprocess.run(
        ["git", *words], cwd=bench.repo, capture_output=True, text=True, check=False
    )
    return ended.stdout if ended.returncode == 0 else ""


def attempt(entry: Trial, bench: Workbench, hints: dict[str, Hint]) -> None:
    """Make the situation, run the command, follow its hint, and look whether that helped."""
    command = entry.arrange(bench) or entry.command
    folder = bench.repo / entry.folder
    before = Kept.of(bench)
    with recorded(bench.monkeypatch) as recorder:
        said = say(bench, command, folder, entry.account)
    has_fix = "    fix: " in said.text or "    next: " in said.text
    assert said.code != 0 or has_fix, f"{command} did not fail: {said.text}"
    if said.hints and all(name.startswith("errors.") for name in entry.hints):
        recorder.made += [(hint, frozenset()) for hint in said.hints]  # made when it is shown
    if said.apart:
        functions = frozenset(hints[name].function for name in entry.hints)
        recorder.made += [(hint, functions) for hint in said.hints]
    for name in entry.hints:
        assert recorder.has(hints[name]), f"{name} was not printed: {said.text} {said.hints}"
    printed = [h for h in said.hints if any(hints[n].pattern.search(h) for n in entry.hints)]
    if not printed and entry.hints:  # status prints the command of it alone
        printed = [h for h in said.hints if any(h in text for text, _ in recorder.made)]
    assert printed, f"not a hint of what was printed: {said.text}"
    text = part(printed[0], entry)
    if entry.by is not None:
        entry.by(bench)
    else:
        assert not PLACEHOLDER.search(text), f"a placeholder is left in {text!r}"
        if entry.account:
            follow_as(bench, text, entry.account)
        else:
            follow(bench, text, folder, shell=entry.shell)
    if entry.again != "":
        again = command if entry.again is None else entry.again
        after = say(bench, again, folder, entry.account)
        if entry.then:
            assert entry.then in after.text, after.text
            assert printed[0] not in after.hints, "the same hint once more"
        else:
            assert after.code == 0, after.text
    before.check(bench, entry.loses)


def with_options(entry: Trial, **options: object) -> Trial:
    """A trial with other attributes."""
    return replace(entry, **options)  # type: ignore[arg-type] # as of the dataclass


def write(bench: Workbench, name: str, text: str) -> None:
    """Write a file of the repository; its folders too."""
    path = bench.repo / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def edit(name: str, old: str, new: str) -> Callable[[Workbench], object]:
    """What a user does who edits a file."""

    def act(bench: Workbench) -> None:
        text = (bench.repo / name).read_text()
        assert old in text, f"{name} has no {old!r}: {text}"
        (bench.repo / name).write_text(text.replace(old, new))

    return act


def edit_and_commit(name: str, old: str, new: str) -> Callable[[Workbench], object]:
    """The same, and commits it."""

    def act(bench: Workbench) -> None:
        edit(name, old, new)(bench)
        bench.commit()

    return act


def train_again(bench: Workbench) -> None:
    """What a user does who trains again."""
    bench.train("trained again\n")


def remove_tree(path: Path) -> None:
    """Remove a folder, with its read-only files."""
    for folder in (path, *(p for p in path.rglob("*") if p.is_dir() and not p.is_symlink())):
        folder.chmod(0o755)
    shutil.rmtree(path)

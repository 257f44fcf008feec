"""A host without a work tree, which follows the Git remote of a workspace."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tagship.host import journal
from tagship.host.history import Event
from tagship.host.store import Store
from tagship.manager.agent import Agent
from tagship.text import clock
from tests.workbench import MODEL, Result, Workbench, run


@dataclass(frozen=True)
class Following:
    """A host's folder; ``bench`` is where its versions are released."""

    bench: Workbench

    @property
    def top(self) -> Path:
        """The folder with the host, the repositories and the store."""
        return self.bench.repo.parent

    @property
    def folder(self) -> Path:
        """The host's folder."""
        return self.top / "host"

    @property
    def file(self) -> Path:
        """tagship.toml."""
        return self.folder / "tagship.toml"

    @property
    def origin(self) -> Path:
        """The repository that is followed."""
        return self.top / "origin.git"

    @property
    def remote(self) -> Path:
        """The DVC remote."""
        return self.top / "dvc-remote"

    @property
    def mirror(self) -> Path:
        """What the host fetches into."""
        return self.folder / ".tagship" / "mirror.git"

    @property
    def model(self) -> Path:
        """The folder of the model."""
        return self.folder / MODEL

    @property
    def store(self) -> Store:
        """The same, as the code sees it."""
        return Store(self.model)

    def follow(
        self, track: str = "latest", gate: str = "", more: str = "", deploy: str = "",
        git: str = "", model: str = MODEL,
    ) -> None:  # fmt: skip
        """Write tagship.toml: what the model follows, its gate, and other tables."""
        table = f"[follow.{model}.gate]\n{gate}\n" if gate else ""
        self.folder.mkdir(exist_ok=True)
        self.file.write_text(
            f'name = "edge-1"\n[source]\ngit = "{git or f"file://{self.origin}"}"\n'
            f'remote = "{self.remote}"\n'
            f'[deploy]\nsmoke_test = "installed"\n{deploy}\n'
            f'[follow.{model}]\ntrack = "{track}"\n{table}{more}'
        )

    def release(self, content: str | bytes | None = None, version: str | None = None) -> str:
        """Train (where a content is given), release, push; the version."""
        if content is not None:
            self.bench.train(content)
        return str(self.bench.manager.release(version=version, push=True).version)

    def publish(self, *names: str, at: str = "HEAD") -> None:
        """Make tags in the grammar of GTO on the server: stages, what is withdrawn."""
        for name in names:
            self.bench.git("tag", "-a", "-m", name, name, f"{at}^{{commit}}")
            self.bench.git("push", "--quiet", "origin", f"refs/tags/{name}")

    def serve(self, *arguments: str) -> str:
        """Run git in the repository that is followed."""
        return run(self.origin, "git", *arguments)

    def cli(self, *arguments: str) -> Result:
        """The command line, in this process, in the host's folder; hints as without ``-C``."""
        result = self.bench.cli_in(self.folder, *arguments)
        slow = re.compile("^note: waiting for .*\n", re.MULTILINE)  # a machine that is busy
        return replace(result, err=slow.sub("", result.err))

    def process(self, *arguments: str, code: str = "") -> Result:
        """The command line in a process of its own; or Python's, of some code."""
        words = ["-c", code] if code else ["-m", "tagship", "-C", str(self.folder)]
        done = subprocess.run(
            [sys.executable, *words, *arguments], cwd=self.top, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def sync(self, *arguments: str) -> Result:
        """One pass."""
        return self.cli("sync", *arguments)

    def passes(self, code: int, text: str, *arguments: str) -> None:
        """One pass, which ends with a code and says just this, and nothing on standard error."""
        result = self.sync(*arguments)
        assert result == Result(code, text, ""), result

    def report(self, *arguments: str) -> dict[str, Any]:
        """What a pass says of the model as JSON; with its exit code."""
        result = self.sync("--json", *arguments)
        (row,) = json.loads(result.out)
        return {**row, "code": result.code}

    def live(self) -> str | None:
        """What the live model file holds, read through the link; None where nothing is live."""
        current = self.model / "current"
        return (current / "model.bin").read_text() if current.exists() else None

    def events(self) -> list[Event]:
        """The history."""
        return list(journal.events(self.store))

    def actions(self) -> list[tuple[str, str, str | None]]:
        """The history, in short: action, status, version."""
        return [(event.action, event.status, event.version) for event in self.events()]

    def at(self, moment: datetime) -> None:
        """From now on it is this time."""
        self.bench.monkeypatch.setattr(clock, "now", lambda: moment)

    def object_of(self, content: str | bytes) -> Path:
        """The object of a content in the DVC remote."""
        data = content.encode() if isinstance(content, str) else content
        digest = hashlib.md5(data).hexdigest()
        return self.remote / "files" / "md5" / digest[:2] / digest[2:]

    def kept(self) -> dict[str, str]:
        """The tags that the host ever saw: object by name."""
        return tags(self.mirror)


def tags(repository: Path) -> dict[str, str]:
    """The tags of a bare repository: object by name."""
    form = "--format=%(refname:strip=2) %(objectname)"
    text = run(repository, "git", f"--git-dir={repository}", "for-each-ref", form, "refs/tags")
    return dict(line.split(" ") for line in text.splitlines())


def of(bench: Workbench) -> Following:
    """A host that follows the workspace's Git remote by file://; nothing is fetched yet."""
    host = Following(bench)
    for key in ("allowFilter", "allowAnySHA1InWant"):
        host.serve("config", f"uploadpack.{key}", "true")
    host.follow()
    return host


def begin(bench: Workbench, *contents: str) -> None:
    """A host where 1.0.0 ("model 1") went live by itself, and then a version of each content."""
    host = of(bench)
    for content in (None, *contents):
        host.release(content)
        Agent(host.folder).sync()


def moved(bench: Workbench, source: Path) -> Following:
    """The host of a workspace that is a copy: it follows the copy."""
    host = Following(bench)
    for file in (host.file, host.mirror / "config"):
        file.write_text(file.read_text().replace(f"{source}/", f"{host.top}/"))
    return host

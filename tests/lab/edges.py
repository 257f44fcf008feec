"""Hosts that follow, each on a machine of its own; who releases for them; and what was said."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tagship.text import clock
from tests.lab import network, servers
from tests.lab.network import Node
from tests.lab.servers import GIT, STORE, Lab
from tests.stores import places
from tests.stores.servers import SECRET
from tests.workbench import MODEL, Result, Workbench, run

ROOT = Path(__file__).parents[2]
FOLDER = "/srv/models"
KEYS = "/etc/tagship/srv-models"
DROP_INS = ROOT / "packaging" / "systemd" / "keys"
CLOCKED = str(Path(__file__).with_name("clocked.py"))
SLOW = re.compile("^note: waiting for .*\n", re.MULTILINE)
AT_ONCE = os.cpu_count() or 2


@dataclass
class Transcript:
    """What was done and said, for people: ``build/fleet/NAME.txt``."""

    path: Path
    hide: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")

    def write(self, text: str) -> None:
        """Add some lines."""
        for place, name in self.hide:
            text = text.replace(place, name)
        with self.path.open("a") as file:
            file.write(f"{text}\n")

    def heading(self, text: str) -> None:
        """What comes now."""
        self.write(f"\n== {text}")

    def ran(self, host: str, words: Iterable[str], result: Result, at: datetime | None) -> None:
        """A command, what it printed, and its exit code."""
        when = f" [{clock.stamp(at)}]" if at else ""
        code = f"(exit {result.code})\n" if result.code else ""
        text = f"{host}{when}$ {shlex.join(words)}\n{result.out}{result.err}{code}"
        self.write(text.removesuffix("\n"))


@dataclass
class Edge:
    """A host on a machine.

    Attributes:
        environment: the keys, as systemd would give them.
        moment: the time on its clock; None for the real one.
    """

    node: Node
    log: Transcript
    environment: dict[str, str] = field(default_factory=dict)
    moment: datetime | None = None
    folder: str = FOLDER

    @property
    def file(self) -> Path:
        """tagship.toml."""
        return self.node.path(f"{self.folder}/tagship.toml")

    @property
    def model(self) -> Path:
        """The folder of the model."""
        return self.node.path(f"{self.folder}/{MODEL}")

    def there(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Arguments of tagship, for its folder; ``host init`` is given it."""
        return (*(() if arguments[0] == "host" else ("-C", self.folder)), *arguments)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start tagship in its folder."""
        program = ("-m", "tagship")
        if self.moment is not None:
            program = (CLOCKED, clock.stamp(self.moment))
        words = [sys.executable, *program, *self.there(arguments)]
        return self.node.start(*words, environment=self.environment)

    def end(self, process: "subprocess.Popen[str]", *arguments: str) -> Result:
        """What it said; it is in the transcript too."""
        result = network.finish(process)
        words = ("tagship", *self.there(arguments))
        self.log.ran(self.node.name, words, result, self.moment)
        return replace(result, err=SLOW.sub("", result.err))  # the machine may be busy

    def tagship(self, *arguments: str) -> Result:
        """Run it to its end."""
        return self.end(self.start(*arguments), *arguments)

    def passes(self, code: int, text: str) -> None:
        """A pass, which ends so, and says just this."""
        assert self.tagship("sync") == Result(code, text, "")

    def live(self) -> str | None:
        """The first line of the live model file; None where nothing is live."""
        current = self.model / "current"
        if not current.is_symlink():
            return None
        with (self.model / os.readlink(current) / "model.bin").open("rb") as file:
            return file.readline().decode().strip()

    def tried(self, version: str) -> bool:
        """Whether a version was ever deployed, or tried."""
        history = self.model / "deployment_history.json"
        return any(event["version"] == version for event in json.loads(history.read_text()))

    def left(self) -> list[str]:
        """What an act that was cut short has left: half a version, half a pack, a lock of Git."""
        private, mirror = self.model / ".tagship", self.node.path(f"{self.folder}/.tagship")
        halves = [path for name in ("staging", "incoming") for path in (private / name).rglob("*")]
        halves += [*mirror.rglob("tmp_*"), *mirror.glob("mirror.git/**/*.lock")]
        return sorted(path.name for path in halves if path.is_file())

    def add(self, text: str) -> None:
        """Add to tagship.toml."""
        with self.file.open("a") as file:
            file.write(text)


def sync(edges: Iterable[Edge], *arguments: str) -> dict[str, Result]:
    """A pass on each, as many at a time as there are processors: results by host."""
    waiting, results = list(edges), dict[str, Result]()
    words = ("sync", *arguments)
    for start in range(0, len(waiting), 2 * AT_ONCE):
        some = waiting[start : start + 2 * AT_ONCE]
        started = [(edge, edge.start(*words)) for edge in some]
        results |= {edge.node.name: edge.end(process, *words) for edge, process in started}
    return results


@dataclass(frozen=True)
class Team:
    """Who releases, on a laptop, for hosts at some servers.

    Attributes:
        bench: the clone.
        lab: the servers.
        name: of the repository, and of the folder in the store.
        log: the transcript.
    """

    bench: Workbench
    lab: Lab
    name: str
    log: Transcript

    @property
    def origin(self) -> Path:
        """The repository on the Git server."""
        return self.lab.repositories / "team" / f"{self.name}.git"

    @property
    def by_ssh(self) -> str:
        """Its address."""
        return f"git@{GIT}:team/{self.name}.git"

    @property
    def by_https(self) -> str:
        """Its address."""
        return f"https://{GIT}/team/{self.name}.git"

    @property
    def remote(self) -> str:
        """The address of the store."""
        return f"s3://models/{self.name}"

    def release(self, content: str | bytes | None = None) -> str:
        """Train (where a content is given), release, push; the version."""
        if content is not None:
            self.bench.train(content)
        version = str(self.bench.manager.release(push=True).version)
        self.log.write(f"laptop$ tagship release {MODEL} --push\n{MODEL} {version} is released")
        return version

    def tagship(self, *arguments: str) -> None:
        """Run tagship on the laptop; it must succeed."""
        result = self.bench.cli(*arguments)
        self.log.ran("laptop", ("tagship", *arguments), result, None)
        assert result.code == 0, result

    def set_clock(self, moment: datetime) -> None:
        """The laptop's clock."""
        for role in ("AUTHOR", "COMMITTER"):
            date = f"{moment.timestamp():.0f} +0000"
            self.bench.monkeypatch.setenv(f"GIT_{role}_DATE", date)

    def host(
        self, name: str, *keys: str, git: str | None = None, size: str = "200m", subnet: int = 0
    ) -> Edge:  # fmt: skip
        """A new host, by ``tagship host init``.

        Args:
            name: of the machine.
            keys: drop-ins of packaging/systemd/keys beside those of the store.
            git: the address of the repository; by https where none is given.
            size: of its disk.
            subnet: the network that it is in.
        """
        node = self.lab.network.add(name, size=size, subnet=subnet)
        names = self.lab.names
        if subnet:
            proxy = servers.proxy_inside(self.lab.proxy)
            names = {servers.PROXY: proxy}
        node.know(names)
        edge = Edge(node, self.log)
        self.give_keys(edge, *(keys or ("git-https",)), "s3", "environment")
        result = edge.tagship(
            "host", "init", FOLDER, "--git", git or self.by_https, "--remote", self.remote,
            "--endpoint", f"https://{STORE}", "--follow", MODEL,
        )  # fmt: skip
        assert (result.code, result.err) == (0, ""), result
        return edge

    def give_keys(self, edge: Edge, *drop_ins: str) -> None:
        """Put a host's keys where docs/hosts.md says, and read the drop-ins as systemd does."""
        key = self.lab.key.read_text()
        aws = f"[default]\naws_access_key_id = host\naws_secret_access_key = {SECRET}\n"
        ca = f"GIT_SSL_CAINFO={self.lab.ca}\nAWS_CA_BUNDLE={self.lab.ca}\n"
        for name, text in {
            "deploy_key": key, "git_token": f"username=deploy\npassword={servers.TOKEN}\n",
            "aws": aws, "environment": ca,
        }.items():  # fmt: skip
            edge.node.write(f"{KEYS}/{name}", text, 0o600)
        edge.node.write("/etc/tagship/known_hosts", self.lab.known_hosts)
        for name in drop_ins:
            edge.environment |= _variables(edge.node, DROP_INS / f"{name}.conf")


def _variables(node: Node, drop_in: Path) -> dict[str, str]:
    """The variables that a drop-in gives the service."""
    text = drop_in.read_text()
    credentials = dict(
        re.findall(r"^LoadCredential=(\w+):(\S+)$", text, re.MULTILINE)
    )  # "%d" is the folder of their copies: here they are read where they are
    variables = []
    for kind, words in re.findall(r"^(Environment|EnvironmentFile)=(.*)$", text, re.MULTILINE):
        if kind == "Environment":
            copies = re.compile("%d/(" + "|".join(credentials) + ")")
            variables += shlex.split(copies.sub(lambda of: credentials[of[1]], words))
        else:
            variables += node.path(words.replace("%i", "srv-models")).read_text().split()
    pairs = (text.replace("%i", "srv-models").partition("=") for text in variables)
    return {name: value for name, _, value in pairs}


def team(bench: Workbench, lab: Lab, title: str) -> Team:
    """A team with a repository on the Git server and a folder in the store; nothing is released.

    Args:
        bench: a copy of the template.
        lab: the servers.
        title: of the transcript.
    """
    log = Transcript(ROOT / "build" / "fleet" / f"{title}.txt", ((str(lab.folder), "/lab"),))
    made = Team(bench, lab, f"models-{next(lab.numbers)}", log)
    shutil.copytree(bench.repo.parent / "origin.git", made.origin)
    for key in ("allowFilter", "allowAnySHA1InWant"):
        run(made.origin, "git", "config", f"uploadpack.{key}", "true")
    bench.git("remote", "set-url", "origin", str(made.origin))
    places.configure(bench.repo, {"url": made.remote, "endpointurl": lab.s3.address})
    for variable, value in servers.laptop().items():
        bench.monkeypatch.setenv(variable, value)
    return made

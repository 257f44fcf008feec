"""The cases: tagship's commands, compared with GTO, with DVC and with lower limits."""

import contextlib
import fcntl
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import loading, rows, timing, workspaces
from benchmarks.rows import Case, Claim, Measure
from benchmarks.timing import Command, Failed, Run, Runs, Side, tell
from benchmarks.workspaces import DVC, GTO, PYTHON, TAGSHIP, Tagged, Trained, Version
from tagship.disk import atomic, files
from tagship.registry import tags
from tests.stores import servers
from tests.stores.servers import Server

KB, MB = 1000, 10**6
NOTHING: Command = (PYTHON, "-c", "import click")
NOTHING_WITH_GIT: Command = (PYTHON, "-c", "import click, git")
HASH = (
    "import hashlib, sys\n"
    "md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()\n"
    "with open(sys.argv[1], 'rb') as file:\n"
    "    while block := file.read(1 << 20):\n"
    "        md5.update(block)\n"
    "        sha256.update(block)\n"
)
DEPLOY = ("--yes", "--no-smoke-test")


@dataclass(frozen=True)
class Scale:
    """How large everything is: counts, and sizes in bytes.

    Attributes:
        loads: of a model, for each run.
        real: whether the number of tags and Keras's model are those that the targets are for.
        runs: of each side, by default.
        hosts: that poll at once.
    """

    models: int
    versions: int
    medium: int
    large: int
    files: int
    huge: int
    events: int
    loads: int
    real: bool
    runs: int
    giant: int
    hosts: int

    @property
    def tags(self) -> int:
        """Versions of all models."""
        return self.models * self.versions


FULL = Scale(
    10, 1000, 50 * MB, 500 * MB, 2000, 1000 * MB, 10_000, 10, real=True, runs=5, giant=2000 * MB,
    hosts=100,
)  # fmt: skip
# Whether every row still runs.
QUICK = Scale(
    10, 10, 5 * MB, 20 * MB, 100, 50 * MB, 500, 4, real=False, runs=1, giant=80 * MB, hosts=3
)


@dataclass(frozen=True)
class Site:
    """Where a benchmark works: a folder on the disk that is measured, and how large things are.

    Attributes:
        stack: what runs until the end of the benchmark.
    """

    folder: Path
    scale: Scale
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @functools.cached_property
    def tagged(self) -> Tagged:
        """The repository with many tags, which several cases use."""
        return workspaces.tagged(self.folder / "tagged", self.scale.models, self.scale.versions)

    @functools.cached_property
    def store(self) -> Server | None:
        """An S3 server on this machine; None where it is not installed."""
        folder = self.folder / "store"
        folder.mkdir()
        try:
            return self.stack.enter_context(servers.seaweedfs(folder))
        except servers.Lacking:
            return None

    @contextlib.contextmanager
    def own(self, name: str) -> Iterator[Path]:
        """A temporary folder for one case."""
        folder = self.folder / name
        folder.mkdir()
        try:
            yield folder
        finally:
            atomic.remove_tree(folder)


def _case(name: str, sides: Iterable[Side], claims: Iterable[Claim]) -> Case:
    return Case(name, functools.partial(timing.in_turn, tuple(sides)), tuple(claims))


def skipped(name: str, claims: Iterable[Claim], why: str) -> Case:
    """A case that cannot be measured here."""
    return Case(name, lambda _: {}, tuple(replace(claim, skipped=why) for claim in claims))


# start-up


@contextlib.contextmanager
def start_up(site: Site) -> Iterator[Case]:
    """What a person waits for at the prompt: the live version, the help, the Tab key."""
    with site.own("start-up") as folder:
        workspace = workspaces.tagged(folder, 1, 3, origin=False)
        tell(workspace.repo, TAGSHIP, "deploy", workspace.model, *DEPLOY)
        completes = ((f"tagship deploy {workspace.model}@", "2"), ("tagship deploy mod", "2"))
        ours = [
            Side("tagship current", ((TAGSHIP, "current", workspace.model),), workspace.repo),
            Side("tagship --help", ((TAGSHIP, "--help"),), workspace.repo),
            *(
                Side(
                    f"Tab behind {words!r}",
                    ((TAGSHIP,),),
                    workspace.repo,
                    environment={
                        "_TAGSHIP_COMPLETE": "bash_complete",
                        "COMP_WORDS": words,
                        "COMP_CWORD": at,
                    },
                )
                for words, at in completes
            ),
        ]
        limit = Side('python -c "import click"', (NOTHING,), workspace.repo)
        target = rows.at_most(2.0)
        claims = [Claim(side.name, limit.name, target) for side in ours]
        yield _case("start-up", [*ours, limit], claims)


# tags


@contextlib.contextmanager
def listing(site: Site) -> Iterator[Case]:
    """All versions of one model, out of all tags."""
    yield _listing(site, "list", site.tagged.model)


@contextlib.contextmanager
def listing_of_gto(site: Site) -> Iterator[Case]:
    """The same tags as GTO makes them, on commits that have no pointer to the model."""
    counts = (site.scale.models, site.scale.versions)
    with site.own("list-gto") as folder:
        done = workspaces.tagged(folder, *counts, by_gto=True, kept=workspaces.NOTHING)
        asked = (TAGSHIP, "list", done.model)
        gto = Side(f"tagship list, {site.scale.tags:,} tags of GTO", (asked,), done.repo)
        own = Side("tagship list, as many of tagship", (asked,), site.tagged.repo)
        yield _case("list-gto", [gto, own], [Claim(gto.name, own.name, rows.at_most(3.0))])


@contextlib.contextmanager
def models(site: Site) -> Iterator[Case]:
    """All models, out of all tags."""
    yield _listing(site, "models", None)


def all_tags(model: str | None = None) -> Command:
    """The Git command that reads all tags, or those of one model."""
    return ("git", "for-each-ref", f"--format={tags.TAG_FORM}", *tags.patterns(model))


def _listing(site: Site, command: str, model: str | None) -> Case:
    repo, asked = site.tagged.repo, () if model is None else (model,)
    what = f"tagship {command}, {site.scale.tags:,} tags"
    ours = Side(what, ((TAGSHIP, command, *asked),), repo)
    limit = Side(
        "for-each-ref, python importing click, git", (all_tags(model), NOTHING_WITH_GIT), repo
    )
    alone = Side("git for-each-ref alone", (all_tags(model),), repo)
    rival = Side(f"gto show{' MODEL' if model else ''}", ((GTO, "show", *asked),), repo, warm=False)
    return _case(
        command,
        [ours, limit, alone, rival],
        [
            Claim(ours.name, limit.name, rows.at_most(2.0)),
            Claim(ours.name, alone.name),
            Claim(ours.name, rival.name, rows.faster(100) if site.scale.real else None),
        ],
    )


@contextlib.contextmanager
def release(site: Site) -> Iterator[Case]:
    """A new version, of a new commit, whose bytes are pushed already."""
    workspace = site.tagged
    name, tags = f"tagship release, {site.scale.tags:,} tags", "gto register"
    ours = Side(
        name,
        ((TAGSHIP, "release", workspace.model),),
        workspace.repo,
        workspace.train,
        workspace.take_back,
    )
    rival = Side(
        tags,
        ((GTO, "register", workspace.model),),
        workspace.repo,
        workspace.train,
        workspace.take_back,
        warm=False,
    )
    yield _case(
        "release",
        [ours, rival],
        [Claim(ours.name, rival.name, rows.faster(60) if site.scale.real else None)],
    )


@contextlib.contextmanager
def assign(site: Site) -> Iterator[Case]:
    """The first version of a model goes to a stage."""
    workspace, version = site.tagged, f"1.{site.scale.versions - 1}.0"
    name = f"tagship assign, {site.scale.tags:,} tags"

    def take_back() -> None:
        tag = f"{workspace.model}#prod#1"
        if tell(workspace.repo, "git", "tag", "--list", tag).strip() != tag:
            raise Failed(f"there is no tag {tag}")
        tell(workspace.repo, "git", "tag", "--delete", tag)

    ours = Side(
        name,
        ((TAGSHIP, "assign", f"{workspace.model}@{version}", "prod"),),
        workspace.repo,
        check=take_back,
    )
    command = (GTO, "assign", workspace.model, "--version", f"v{version}", "--stage", "prod")
    rival = Side("gto assign", (command,), workspace.repo, check=take_back, warm=False)
    target = rows.faster(60) if site.scale.real else None
    yield _case("assign", [ours, rival], [Claim(ours.name, rival.name, target)])


# bytes


def deployed(workspace: Trained, model: str, what: str) -> Side:
    """A first deploy of 1.0.0 on a host where nothing was deployed yet."""
    return Side(
        f"tagship deploy, {what}",
        ((TAGSHIP, "deploy", model, *DEPLOY),),
        workspace.repo,
        functools.partial(workspaces.fresh, workspace.repo, model),
        functools.partial(check_live, workspace, model, "1.0.0"),
    )


def check_live(workspace: Trained, model: str, version: str) -> None:
    """Fail unless a version is live."""
    if workspace.live(model) != version:
        raise Failed(f"{workspace.live(model)} is live, and not {version}")


def dvc_get(workspace: Trained, model: str) -> Side:
    """``dvc get`` of the first version, from the same repository, whose cache has it."""
    command = (
        DVC,
        "get",
        "--quiet",
        "--rev",
        f"{model}@v1.0.0",
        "--out",
        workspaces.GOT,
        str(workspace.repo),
    )
    prepare = functools.partial(workspaces.fresh, workspace.repo, model)
    return Side(
        "dvc get --rev", ((*command, workspace.path(model)),), workspace.repo.parent, prepare
    )


@contextlib.contextmanager
def deploy_medium(site: Site) -> Iterator[Case]:
    """A model of a usual size."""
    with site.own("deploy-medium") as folder:
        workspace = workspaces.trained(folder, {"m": [Version(site.scale.medium)]})
        ours, rival = (
            deployed(workspace, "m", megabytes(site.scale.medium)),
            dvc_get(workspace, "m"),
        )
        yield _case(
            "deploy-medium", [ours, rival], [Claim(ours.name, rival.name, rows.at_most(0.5))]
        )


@contextlib.contextmanager
def deploy_large(site: Site) -> Iterator[Case]:
    """A large model, its time and its peak memory; where blocks can be shared, that too."""
    with site.own("deploy-large") as folder:
        workspace = workspaces.trained(folder, {"m": [Version(site.scale.large)]})
        source = cached_object(workspace)
        ours, rival = deployed(workspace, "m", megabytes(site.scale.large)), dvc_get(workspace, "m")
        copied = Side(
            "cp, sync of the file",
            (("cp", str(source), workspaces.COPIED), ("sync", workspaces.COPIED)),
            folder,
            functools.partial(workspaces.fresh, workspace.repo, "m"),
        )
        hashed = Side("md5 and sha256 alone", ((PYTHON, "-c", HASH, str(source)),), folder)
        claims = [
            Claim(ours.name, rival.name, rows.at_most(0.8)),
            Claim(ours.name, rival.name, rows.below(), Measure.MEMORY),
            Claim(ours.name, copied.name),
            Claim(ours.name, hashed.name, rows.seconds_more(0.3) if reflinks(source) else None),
        ]
        yield _case("deploy-large", [ours, rival, copied, hashed], claims)


@contextlib.contextmanager
def deploy_files(site: Site) -> Iterator[Case]:
    """A folder of many small files."""
    with site.own("deploy-files") as folder:
        workspace = workspaces.trained(folder, {"m": [Version(KB, site.scale.files)]})
        ours, rival = (
            deployed(workspace, "m", f"{site.scale.files:,} files"),
            dvc_get(workspace, "m"),
        )
        yield _case(
            "deploy-files", [ours, rival], [Claim(ours.name, rival.name, rows.at_most(0.5))]
        )


def megabytes(count: int) -> str:
    """Bytes as the rows name them."""
    return f"{count // MB:,} MB"


def cached_object(workspace: Trained) -> Path:
    """The largest object of the cache."""
    paths = (workspace.repo / ".dvc" / "cache" / "files" / "md5").rglob("*")
    return max((path for path in paths if path.is_file()), key=lambda path: path.stat().st_size)


def reflinks(source: Path) -> bool:
    """Whether the file system of ``source`` shares the blocks of a file with a copy (FICLONE)."""
    target = source.parents[4] / "reflink"
    try:
        with open(source, "rb") as reader, open(target, "wb") as writer:
            fcntl.ioctl(writer.fileno(), files.FICLONE, reader.fileno())
    except OSError:
        return False
    finally:
        target.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def rollback(site: Site) -> Iterator[Case]:
    """Back to a version that is on disk: a large one beside a small one."""
    with site.own("rollback") as folder:
        sizes = {"large": site.scale.huge, "small": MB}
        workspace = workspaces.trained(
            folder, {name: back_to(size) for name, size in sizes.items()}
        )
        large, small = (
            rolled_back(workspace, name, f"to {megabytes(sizes[name])}") for name in sizes
        )
        limit = Side('python -c "import click"', (NOTHING,), workspace.repo)
        claims = [
            Claim(large.name, small.name, rows.at_most(1.2)),
            Claim(small.name, limit.name, rows.at_most(4.0)),
        ]
        yield _case("rollback", [large, small, limit], claims)


def back_to(size: int, files: int = 1) -> list[Version]:
    """A version to roll back to, and one after it."""
    return [Version(size, files), Version(KB, files)]


def rolled_back(workspace: Trained, model: str, what: str) -> Side:
    """``tagship rollback`` from 1.1.0 to 1.0.0, both deployed here; each time anew."""
    for version in ("1.0.0", "1.1.0"):
        workspace.deploy(model, version)
    folder = workspace.repo / "models" / model
    target, give_back = (
        (folder / "current").readlink(),
        workspaces.history_kept(workspace.repo, model),
    )

    def prepare() -> None:
        atomic.swap_link(folder / "current", str(target))
        give_back()

    command = (TAGSHIP, "rollback", model, "--yes")
    check = functools.partial(check_live, workspace, model, "1.0.0")
    return Side(f"tagship rollback {what}", (command,), workspace.repo, prepare, check)


# events


@contextlib.contextmanager
def past(site: Site) -> Iterator[Case]:
    """A long history beside a short one."""
    with site.own("history") as folder:
        counts = (site.scale.events, 10)
        names = ("deploy-long", "deploy-short", "show-long", "show-short")
        workspace = workspaces.trained(folder, {name: [Version(KB)] for name in names})
        deploys = [
            deploy_with_past(workspace, *pair) for pair in zip(names[:2], counts, strict=True)
        ]
        shows = [history_shown(workspace, *pair) for pair in zip(names[2:], counts, strict=True)]
        target = rows.at_most(1.3)
        claims = [Claim(pair[0].name, pair[1].name, target) for pair in (deploys, shows)]
        yield _case("history", [*deploys, *shows], claims)


def deploy_with_past(workspace: Trained, model: str, count: int) -> Side:
    """A deploy of a small model on a host where much has happened to it."""
    side = deployed(workspace, model, f"{count:,} events")
    workspaces.write_history(workspace.repo, model, workspaces.events(model, count))
    give_back = workspaces.history_kept(workspace.repo, model)

    def prepare() -> None:
        workspaces.fresh(workspace.repo, model)
        give_back()

    return replace(side, prepare=prepare)


def history_shown(workspace: Trained, model: str, count: int) -> Side:
    """The last events of many."""
    workspaces.write_history(workspace.repo, model, workspaces.events(model, count))
    command = (TAGSHIP, "history", model, "--limit", "20")
    return Side(f"tagship history --limit 20, {count:,} events", (command,), workspace.repo)


# models that are served


@contextlib.contextmanager
def load(site: Site) -> Iterator[Case]:
    """A live model in a program that serves, beside the framework's own load of its file."""
    with site.own("load") as folder:
        repo = _served(folder, small=not site.scale.real)
        claims = [
            Claim(f"load(), {name}", f"{name}'s own", rows.at_most(1.05))
            for name in loading.FRAMEWORKS
        ]
        yield Case("load", functools.partial(_load, repo, site.scale.loads), tuple(claims))


def _served(folder: Path, *, small: bool) -> Path:
    """A workspace where a model of each framework is live."""
    workspace = workspaces.trained(folder, {})
    paths = {name: f"models/{name}/model{loading.SUFFIXES[name]}" for name in loading.FRAMEWORKS}
    artifacts = "".join(f"  {name}:\n    path: {path}\n" for name, path in paths.items())
    (workspace.repo / "dvc.yaml").write_text(f"artifacts:\n{artifacts}", encoding="utf-8")
    for name, path in paths.items():
        (workspace.repo / path).parent.mkdir(parents=True)
        code = "import sys; from pathlib import Path; from benchmarks.loading import make\n"
        code += f"make({name!r}, Path({path!r}), small={small})"
        tell(
            workspace.repo,
            PYTHON,
            "-c",
            f"import sys; sys.path.insert(0, {str(workspaces.ROOT)!r})\n{code}",
        )
    tell(workspace.repo, DVC, "add", "--quiet", *paths.values())
    workspaces.release(workspace.repo, *paths)
    for name in paths:
        workspace.deploy(name)
    return workspace.repo


def _load(repo: Path, loads: int, runs: int) -> Runs:
    """``loads`` for each run, all in one process of each framework."""
    measured: Runs = {}
    target = repo.parent / "loaded.json"
    for name in loading.FRAMEWORKS:
        count = str(loads * runs)
        tell(repo, PYTHON, str(Path(loading.__file__)), name, name, count, str(target))
        took = json.loads(target.read_bytes())
        for label, key in ((f"load(), {name}", "tagship"), (f"{name}'s own", "framework")):
            measured[label] = [Run(seconds, 0) for seconds in took[key]]
    return measured


CASES: dict[str, Callable[[Site], contextlib.AbstractContextManager[Case]]] = {
    "start-up": start_up,
    "list": listing,
    "list-gto": listing_of_gto,
    "models": models,
    "release": release,
    "assign": assign,
    "deploy-medium": deploy_medium,
    "deploy-large": deploy_large,
    "deploy-files": deploy_files,
    "rollback": rollback,
    "history": past,
    "load": load,
}

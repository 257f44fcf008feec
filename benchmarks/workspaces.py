"""Workspaces to measure on: real Git, real DVC; thousands of tags, large files, many files."""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.timing import Failed, feed, tell
from tagship.disk import atomic
from tagship.git import run
from tagship.host import actions, history, journal
from tagship.host.history import Event
from tagship.host.store import PRIVATE
from tagship.text import clock

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PYTHON = sys.executable
TAGSHIP, DVC, GTO = (str(BIN / name) for name in ("tagship", "dvc", "gto"))
BLOCK = 1 << 20  # bytes
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
GOT, COPIED = "got", "copied"  # what dvc get and cp write, beside the repository
DEPLOYED = (
    "/models/*/versions\n/models/*/current\n/models/*/deployment_history.json\n/models/*/.tagship\n"
)
REMOTE = "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../dvc-remote\n"
PERSON = "Ada <ada@example.com>"
# What the commits of tagged versions have of a model, beside dvc.yaml: a .dvc file and metrics;
# nothing; the file or a folder itself and metrics, in Git; two stages of one dvc.lock, and metrics.
DVC_FILE, NOTHING, GIT_FILE, GIT_FOLDER = "dvc", "nothing", "git file", "git folder"
STAGES = "stages"


@contextlib.contextmanager
def sealed(folder: Path) -> Iterator[None]:
    """Use a separate home and configuration of Git and DVC, and tagship from these sources."""
    before = dict(os.environ)
    home = folder / "home"
    home.mkdir(parents=True)
    for name in before:
        if name.startswith(("AWS_", "GIT_", "DVC_", "GTO_", "TAGSHIP_", "PYTHON", "COMP_")):
            del os.environ[name]
    for name in run.WHICH_REPOSITORY:
        os.environ.pop(name, None)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DVC_GLOBAL_CONFIG_DIR"):
        os.environ[name] = str(home)
    os.environ |= {
        "DVC_SYSTEM_CONFIG_DIR": str(home),
        "DVC_SITE_CACHE_DIR": str(folder / "site-cache"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "NO_COLOR": "1",
        "PATH": os.pathsep.join([str(BIN), before.get("PATH", os.defpath)]),
        "PYTHONPATH": str(ROOT / "tools"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    name, _, mail = PERSON.partition(" <")
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail.rstrip(">")}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def missing() -> str:
    """What has to be installed first; empty if nothing is missing."""
    lacking = [name for name in (TAGSHIP, DVC, GTO) if not Path(name).exists()]
    return f"{lacking[0]} is missing: pip install --editable '.[dev]'" if lacking else ""


def noise(path: Path, size: int, seed: str) -> None:
    """Write ``size`` incompressible bytes, the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for at in range(0, size, BLOCK):
            block = hashlib.shake_128(f"{seed} {at}".encode())
            file.write(block.digest(min(BLOCK, size - at)))


def fresh(repo: Path, model: str) -> None:
    """Make a model one that was never deployed here, and remove what the rivals wrote beside it.

    All of it before every side: memory that was freed just now is quicker to get than other, on a
    virtual machine by far (what was free for some seconds went back to its host). Afterwards no
    write waits for the disk.
    """
    folder = repo / "models" / model
    ours = [folder / name for name in (history.FILE_NAME, "current", "versions", ".tagship")]
    for path in (*ours, repo.parent / GOT, repo.parent / COPIED):
        atomic.remove_tree(path)
    os.sync()


def _begin(folder: Path, config: str = "") -> Path:
    """``folder/repo``: Git and DVC, with a configuration of DVC; nothing is committed."""
    repo = folder / "repo"
    repo.mkdir(parents=True)
    tell(repo, "git", "init", "--quiet", "--initial-branch=main")
    (repo / ".dvc").mkdir()  # what `dvc init` leaves, without its process
    (repo / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n", encoding="utf-8")
    (repo / ".dvc" / "config").write_text(config, encoding="utf-8")
    for name in (".gitignore", ".dvcignore"):
        (repo / name).write_text(DEPLOYED, encoding="utf-8")
    return repo


def declaration(paths: Mapping[str, str]) -> str:
    """A dvc.yaml with a model at each path, and the metrics beside it."""
    artifacts = "".join(f"  {name}:\n    path: {path}\n" for name, path in paths.items())
    metrics = "".join(f"  - models/{name}/metrics.json\n" for name in paths)
    return f"artifacts:\n{artifacts}metrics:\n{metrics}"


def declared_stages(models: Sequence[str]) -> str:
    """A dvc.yaml in which every model has a stage that makes it, and one that evaluates it."""
    return json.dumps(
        {
            "artifacts": {name: {"path": _path(name)} for name in models},
            "stages": {
                stage: entry
                for name in models
                for stage, entry in {
                    f"train-{name}": {"cmd": "train", "outs": [_path(name)]},
                    f"evaluate-{name}": {
                        "cmd": "evaluate",
                        "deps": [_path(name)],
                        "metrics": [{f"models/{name}/metrics.json": {"cache": False}}],
                    },
                }.items()
            },
        }
    )


@dataclass(frozen=True)
class Tagged:
    """A repository with many versions of small models; ``origin`` has all of its tags."""

    repo: Path
    models: tuple[str, ...]
    head: str

    @property
    def model(self) -> str:
        """The first model."""
        return self.models[0]

    def train(self) -> None:
        """Commit another model, whose bytes the DVC remote has already."""
        data = f"{self.model}, trained again\n".encode()
        pointer = _track(self.repo, data)
        (self.repo / _path(self.model)).write_bytes(data)
        (self.repo / f"{_path(self.model)}.dvc").write_bytes(pointer)
        tell(self.repo, "git", "commit", "--quiet", "--all", "--message=Train again")
        os.sync()

    def take_back(self) -> None:
        """Remove the tag that was made since ``train``, and its commit.

        Raises:
            Failed: no tag was made.
        """
        new = tell(self.repo, "git", "tag", "--points-at", "HEAD").split()
        if tell(self.repo, "git", "rev-parse", "HEAD").strip() == self.head or not new:
            raise Failed("no tag was made")
        tell(self.repo, "git", "tag", "--delete", *new)
        tell(self.repo, "git", "reset", "--quiet", "--hard", self.head)


def tagged(
    folder: Path,
    models: int,
    versions: int,
    *,
    origin: bool = True,
    by_gto: bool = False,
    kept: str = DVC_FILE,
    pipeline: str | None = None,
    stages: int = 0,
    form: str = "model-{}",
) -> Tagged:
    """A repository with ``models`` times ``versions`` annotated tags, all packed.

    Each version has a commit, which changes every model, and bytes in DVC's cache.

    Args:
        folder: the repository is ``folder/repo``.
        models: how many.
        versions: how many of each.
        origin: whether there is a remote that has all tags.
        by_gto: the tags have GTO's message, and not tagship's, which has metrics and size.
        kept: what the commits have of a model, ``DVC_FILE`` or another.
        pipeline: the dvc.yaml, if it is not to declare the models and their metrics.
        stages: how many of the versions of each were assigned to prod, as GTO does.
        form: of the name of a model, with a place for its number.
    """
    repo = _begin(folder, REMOTE)
    names = tuple(form.format(i) for i in range(models))
    with (repo / ".gitignore").open("a", encoding="utf-8") as rules:
        rules.write("model.bin\n")
    own = [".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"]
    paths = {name: _path(name) for name in names}
    declared = pipeline or (declared_stages(names) if kept == STAGES else declaration(paths))
    (repo / "dvc.yaml").write_text(declared, encoding="utf-8")
    history_of_git = _history(repo, names, versions, [*own, "dvc.yaml"], kept, by_gto=by_gto)
    feed(repo, history_of_git, "git", "fast-import", "--quiet")
    if stages:
        feed(repo, _assigned(names, stages), "git", "fast-import", "--quiet")
    tell(repo, "git", "pack-refs", "--all")
    tell(repo, "git", "reset", "--quiet", "--hard", "main")
    for name in names if kept == DVC_FILE else ():
        (repo / _path(name)).write_bytes(_content(name, versions - 1))
    if origin:
        tell(folder, "git", "clone", "--quiet", "--mirror", "repo", "origin.git")
        tell(repo, "git", "remote", "add", "origin", "../origin.git")
    return Tagged(repo, names, tell(repo, "git", "rev-parse", "HEAD").strip())


def _path(model: str) -> str:
    return f"models/{model}/model.bin"


def _content(model: str, number: int) -> bytes:
    return f"{model} {number}\n".encode()


def _history(
    repo: Path, names: Sequence[str], versions: int, own: Sequence[str], kept: str, *, by_gto: bool
) -> Iterator[bytes]:
    """The input of git-fast-import(1)."""
    for number in range(versions):
        at = int((EPOCH + timedelta(minutes=number)).timestamp())
        person = f"{PERSON} {at} +0000\n"
        yield f"commit refs/heads/main\nmark :{number + 1}\ncommitter {person}".encode()
        yield _data(b"Train all models\n")
        if number == 0:
            for path in own:
                yield _file(path, (repo / path).read_bytes())
        yield _file("notes.txt", f"{number}\n".encode())
        for name in names if kept != NOTHING else ():
            data = _content(name, number)
            if kept == DVC_FILE:
                yield _file(f"{_path(name)}.dvc", _track(repo, data))
            elif kept != STAGES:
                path = _path(name) if kept == GIT_FILE else f"{_path(name)}/weights"
                yield _file(path, data)
            yield _file(f"models/{name}/metrics.json", json.dumps(_metrics(number)).encode())
        if kept == STAGES:
            yield _file("dvc.lock", _lock(repo, names, number))
        yield b"\n"
        for name in names:
            size = len(_content(name, number))
            message = (
                f"Registering artifact {name} version v1.{number}.0"
                if by_gto
                else f"{name} 1.{number}.0\n\nMetrics: {json.dumps(_metrics(number))}\n"
                f"Size: {size}\nDigest: {_md5(_content(name, number))}\n"
            )
            yield f"tag {name}@v1.{number}.0\nfrom :{number + 1}\ntagger {person}".encode()
            yield _data(message.encode())


def _assigned(names: Sequence[str], stages: int) -> Iterator[bytes]:
    """The input of git-fast-import(1): each version was in prod once."""
    for number in range(stages):
        at = int((EPOCH + timedelta(days=1, minutes=number)).timestamp())
        for name in names:
            yield f"tag {name}#prod#{number + 1}\n".encode()
            yield f"from refs/tags/{name}@v1.{number}.0^{{commit}}\n".encode()
            yield f"tagger {PERSON} {at} +0000\n".encode()
            yield _data(f"Assigning stage prod to artifact {name} version v1.{number}.0".encode())


def _lock(repo: Path, names: Sequence[str], number: int) -> bytes:
    """The dvc.lock of ``declared_stages``, whose models are put into the cache and the remote."""
    ran: dict[str, dict[str, object]] = {}
    for name in names:
        data = _content(name, number)
        _track(repo, data)
        model = {"path": _path(name), "hash": "md5", "md5": _md5(data), "size": len(data)}
        metrics = {"path": f"models/{name}/metrics.json", "hash": "md5", "md5": _md5(b"metrics")}
        ran[f"train-{name}"] = {"cmd": "train", "outs": [model]}
        ran[f"evaluate-{name}"] = {"cmd": "evaluate", "deps": [model], "outs": [metrics]}
    return json.dumps({"schema": "2.0", "stages": ran}).encode()


def _metrics(number: int) -> dict[str, float]:
    return {"accuracy": round(0.5 + number % 400 / 1000, 3)}


def _file(path: str, data: bytes) -> bytes:
    return f"M 100644 inline {path}\n".encode() + _data(data)


def _data(data: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(data), data)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _track(repo: Path, data: bytes) -> bytes:
    """Put bytes into the cache and the remote as DVC does, and return their ``.dvc`` file."""
    digest = _md5(data)
    for top in (repo / ".dvc" / "cache", repo.parent / "dvc-remote"):
        path = top / "files" / "md5" / digest[:2] / digest[2:]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o444)
    return (
        f"outs:\n- md5: {digest}\n  size: {len(data)}\n  hash: md5\n  path: model.bin\n"
    ).encode()


@dataclass(frozen=True)
class Version:
    """A version of a model: the number of its files, and the bytes of each.

    One file is ``models/<model>/model.bin``; several are the folder ``models/<model>/data``.
    With ``largest`` their sizes grow in equal steps from ``size`` to it.
    """

    size: int
    files: int = 1
    largest: int | None = None

    def size_of(self, number: int) -> int:
        """The bytes of one of several files."""
        if self.largest is None:
            return self.size
        return self.size + (self.largest - self.size) * number // (self.files - 1)


@dataclass(frozen=True)
class Trained:
    """A repository whose models were released; their bytes are in DVC's cache, and not pushed."""

    repo: Path

    def path(self, model: str) -> str:
        """Where a model is, from the repository's top."""
        folder = f"models/{model}/data"
        return folder if (self.repo / f"{folder}.dvc").exists() else _path(model)

    def deploy(self, model: str, version: str = "") -> None:
        """Deploy a version, by default the latest, without a smoke test."""
        name = f"{model}@{version}" if version else model
        tell(self.repo, TAGSHIP, "deploy", name, "--yes", "--no-smoke-test")

    def live(self, model: str) -> str:
        """The live version."""
        return tell(self.repo, TAGSHIP, "current", model).strip()


def trained(folder: Path, models: Mapping[str, Sequence[Version]]) -> Trained:
    """A repository with the models' versions, each written, added to DVC, committed and released.

    Afterwards the bytes are only in the cache, not in the work tree.
    """
    repo = _begin(folder)
    paths = {
        name: f"models/{name}/data" if versions[0].files > 1 else _path(name)
        for name, versions in models.items()
    }
    (repo / "dvc.yaml").write_text(declaration(paths), encoding="utf-8")
    for number in range(max(map(len, models.values()), default=0)):
        names = [name for name, versions in models.items() if number < len(versions)]
        for name in names:
            _write(repo / paths[name], models[name][number], str(number))  # of one size: the same
            (repo / "models" / name / "metrics.json").write_text(json.dumps(_metrics(number)))
        tell(repo, DVC, "add", "--quiet", *(paths[name] for name in names))
        for name in names:
            atomic.remove_tree(repo / paths[name])
        release(repo, *names)
    return Trained(repo)


def _write(path: Path, version: Version, seed: str) -> None:
    if version.files == 1:
        return noise(path, version.size, seed)
    for number in range(version.files):
        target = path / f"{number // 100:03}" / f"{number:05}.bin"
        noise(target, version.size_of(number), f"{seed} {number}")
    return None


def release(repo: Path, *models: str) -> None:
    """Commit everything, and release models."""
    tell(repo, "git", "add", "--all")
    tell(repo, "git", "commit", "--quiet", f"--message=Train {', '.join(models)}")
    for model in models:
        tell(repo, TAGSHIP, "release", model)


def forget(workspace: Trained, model: str) -> None:
    """Make the host one that never had a model: no deployment, no cache, nothing in the work tree.

    All of it before every side, see ``fresh``.
    """
    dvc = workspace.repo / ".dvc"
    site = Path(os.environ["DVC_SITE_CACHE_DIR"])
    for path in (dvc / "cache", dvc / "tmp", site, workspace.repo / workspace.path(model)):
        atomic.remove_tree(path)
    fresh(workspace.repo, model)


def sources_of(revision: str, folder: Path, *more: str) -> Path:
    """tagship's sources of another revision, below ``folder``: what PYTHONPATH has to name.

    Args:
        more: folders of the revision besides tagship's.

    Raises:
        Failed: this is no clone that has the revision.
    """
    archive = folder / "sources.tar"
    tell(ROOT, "git", "archive", f"--output={archive}", revision, "tools/tagship", *more)
    tell(folder, "tar", "--extract", f"--file={archive}")
    return folder / "tools"


def events(model: str, count: int) -> tuple[Event, ...]:
    """A history of deploys, each of another version; their directories do not exist."""
    return tuple(_event(model, number) for number in range(count))


def _event(model: str, number: int) -> Event:
    at = EPOCH + timedelta(minutes=number)
    identity, version = at.strftime(history.ID_FORM), f"0.{number}.0"
    before = _place(number - 1) if number else None
    return Event(
        seq=number + 1,
        id=identity,
        at=clock.stamp(at),
        action=actions.DEPLOY,
        status=history.SUCCEEDED,
        model=model,
        version=version,
        tag=f"{model}@v{version}",
        tag_object=_md5(f"tag {number}".encode()).ljust(40, "0"),
        commit=_md5(f"commit {number}".encode()).ljust(40, "0"),
        directory=history.directory_name(version, identity),
        previous=before,
        actor="ada",
        host="bench",
        reason="better on new data",
        duration_s=1.0,
    )


def _place(number: int) -> history.Place:
    identity = (EPOCH + timedelta(minutes=number)).strftime(history.ID_FORM)
    version = f"0.{number}.0"
    return history.Place(version, history.directory_name(version, identity))


def write_history(repo: Path, model: str, past: Sequence[Event]) -> Path:
    """Write a model's history with tagship's own function. Returns the file."""
    path = repo / "models" / model / history.FILE_NAME
    (path.parent / PRIVATE).mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    journal.append(path, *past)
    return path


def history_kept(repo: Path, model: str) -> Callable[[], None]:
    """A function that restores the model's present history, and the mark beside it."""
    past = repo / "models" / model / history.FILE_NAME
    mark = past.parent / PRIVATE / journal.MARK
    kept = {path: path.read_bytes() for path in (past, mark)}

    def give_back() -> None:
        mark.parent.mkdir(exist_ok=True)
        for path, data in kept.items():
            atomic.write(path, data)

    return give_back

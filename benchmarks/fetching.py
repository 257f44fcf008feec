"""The cases of a deploy whose bytes come from a store: a real S3 server, near and far."""

import contextlib
import functools
import importlib.util
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import processes, proxy, rows, timing, workspaces
from benchmarks.proxy import Pace
from benchmarks.rows import Case, Claim, Measure, Target
from benchmarks.suite import DEPLOY, KB, MB, NOTHING, Site, check_live, megabytes
from benchmarks.timing import Command, Failed, Run, Runs, Side
from benchmarks.workspaces import DVC, PYTHON, TAGSHIP, Trained, Version
from tests.stores import places
from tests.stores.servers import BUCKET

FOLDER = "dvc"  # of the remote, in the bucket
OBJECTS = "files/md5"  # of DVC, in its cache and in a remote
KEYS = {**places.aws("writer"), "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}
FAR = Pace(rate=10 * MB, delay=0.04)
SMALL, LARGEST = 4 * KB, 40 * KB  # of many small files
MEMORY = 150 * MB
# The last revision that fetched into DVC's cache, through DVC's own file systems.
BEFORE = "fe8d79d7711f106e2430e959df85960974e8e447"
CLIENT = (
    "import boto3, os, sys\n"
    "address, bucket, key, target = sys.argv[1:]\n"
    "client = boto3.client('s3', endpoint_url=address)\n"
)
SYNC = "with open(target, 'rb') as file:\n    os.fsync(file.fileno())\n"
DOWNLOAD = f"{CLIENT}client.download_file(bucket, key, target)\n{SYNC}"
ONE_CONNECTION = (
    f"{CLIENT}body = client.get_object(Bucket=bucket, Key=key)['Body']\n"
    "with open(target, 'wb') as file:\n"
    "    while block := body.read(1 << 20):\n"
    "        file.write(block)\n"
    f"{SYNC}"
)
MD5 = (
    "import hashlib, sys\n"
    "with open(sys.argv[1], 'rb') as file:\n"
    "    hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))\n"
)


@dataclass(frozen=True)
class Shop:
    """A repository on a host that has no bytes of its models: they are in the store alone.

    Attributes:
        address: of the store, or of a proxy before it.
        objects: of each model of one file, its key in the store.
        before: tagship's sources before it streamed; None where the clone lacks them.
    """

    workspace: Trained
    address: str
    objects: Mapping[str, str]
    before: Path | None

    @property
    def folder(self) -> Path:
        """The folder around the repository."""
        return self.workspace.repo.parent

    def at(self, address: str) -> "Shop":
        """The same host, which reaches the store at another address from now on."""
        _configure(self.workspace.repo, address)
        return replace(self, address=address)

    def bytes_of(self, model: str) -> Path:
        """A file with the bytes of a model, in the page cache and outside of the repository."""
        return self.folder / f"bytes-{model}"


def missing(site: Site) -> str:
    """Why no case of this module can run here; empty if all can."""
    for name, extra in (("dvc_s3", "s3"), ("boto3", "dev")):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed: pip install --editable '.[{extra}]'"
    return "" if site.store else "no S3 server: pip install --editable '.[store-test]'"


@contextlib.contextmanager
def released(site: Site, name: str, models: Mapping[str, Version]) -> Iterator[Shop]:
    """Release models, and bring their bytes into the store; nothing of them is left here."""
    if site.store is None:
        raise Failed("there is no store")
    with site.own(name) as folder:
        workspace = workspaces.trained(folder, {key: [value] for key, value in models.items()})
        cache = workspace.repo / ".dvc" / "cache" / OBJECTS
        _upload(cache, site.store.address)
        single = [model for model, version in models.items() if version.files == 1]
        sizes = {path.stat().st_size: path for path in cache.rglob("*") if path.is_file()}
        paths = {model: sizes[models[model].size] for model in single}
        shop = Shop(
            workspace,
            site.store.address,
            {model: _key(cache, path) for model, path in paths.items()},
            _sources_before(folder),
        ).at(site.store.address)
        for model, path in paths.items():
            path.replace(shop.bytes_of(model))
        yield shop


def _configure(repo: Path, address: str) -> None:
    places.configure(repo, {"url": f"s3://{BUCKET}/{FOLDER}", "endpointurl": address})


def _key(cache: Path, path: Path) -> str:
    return f"{FOLDER}/{OBJECTS}/{path.relative_to(cache)}"


def _upload(cache: Path, address: str) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name=KEYS["AWS_DEFAULT_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    paths = [path for path in cache.rglob("*") if path.is_file()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: client.upload_file(str(path), BUCKET, _key(cache, path)), paths))


def _sources_before(folder: Path) -> Path | None:
    try:
        return workspaces.sources_of(BEFORE, folder)
    except Failed:  # a clone without history, or no clone
        return None


# sides


def deployed(shop: Shop, model: str, what: str) -> Side:
    """A deploy on a host that has nothing of the model."""
    return Side(
        _ours(what),
        ((TAGSHIP, "deploy", model, *DEPLOY),),
        shop.workspace.repo,
        functools.partial(workspaces.forget, shop.workspace, model),
        functools.partial(check_live, shop.workspace, model, "1.0.0"),
        KEYS,
    )


def _before(shop: Shop, model: str, what: str) -> list[Side]:
    """The same by the sources of before; nothing where they are not here."""
    if shop.before is None:
        return []
    side = deployed(shop, model, what)
    environment = {**KEYS, "PYTHONPATH": str(shop.before)}
    command: Command = (PYTHON, "-m", "tagship", "deploy", model, *DEPLOY)  # its entry moved since
    return [replace(side, name=_past(what), commands=(command,), environment=environment)]


def _pulled(shop: Shop, model: str, what: str) -> Side:
    path = shop.workspace.path(model)
    return Side(
        _pull(what),
        ((DVC, "pull", "--quiet", f"{path}.dvc"),),
        shop.workspace.repo,
        functools.partial(workspaces.forget, shop.workspace, model),
        functools.partial(_check_here, shop.workspace.repo / path),
        KEYS,
    )


def _downloaded(shop: Shop, model: str, name: str, code: str) -> Side:
    arguments = (shop.address, BUCKET, shop.objects[model], workspaces.COPIED)
    return Side(
        name,
        ((PYTHON, "-c", code, *arguments),),
        shop.folder,
        functools.partial(workspaces.forget, shop.workspace, model),
        functools.partial(_check_here, shop.folder / workspaces.COPIED),
        KEYS,
    )


def _hashed(shop: Shop, model: str, what: str) -> Side:
    command: Command = (PYTHON, "-c", MD5, str(shop.bytes_of(model)))
    prepare = functools.partial(workspaces.forget, shop.workspace, model)
    return Side(_md5(what), (command,), shop.folder, prepare)


def _check_here(path: Path) -> None:
    if not path.exists():
        raise Failed(f"{path} did not arrive")


def _ours(what: str) -> str:
    return f"tagship deploy from S3, {what}"


def _past(what: str) -> str:
    return f"tagship at {BEFORE[:7]}, {what}"


def _pull(what: str) -> str:
    return f"dvc pull, {what}"


def _boto3(what: str) -> str:
    return f"boto3, sync of the file, {what}"


def _md5(what: str) -> str:
    return f"md5 alone, {what}"


# cases


def _skipped(name: str, claims: Iterable[Claim], why: str) -> Case:
    return Case(name, lambda _: {}, tuple(replace(claim, skipped=why) for claim in claims))


def _case(
    name: str, sides: Sequence[Side], claims: Iterable[Claim], constants: Mapping[str, Run]
) -> Case:
    """Sides in turn, compared also with constants; claims about a missing side are skipped."""
    here = {*constants, *(side.name for side in sides)}
    why = f"this clone lacks the commit {BEFORE[:7]}"
    known = [
        claim if {claim.ours, claim.theirs} <= here else replace(claim, skipped=why)
        for claim in claims
    ]

    def measure(runs: int) -> Runs:
        same = {label: [run] * runs for label, run in constants.items()}
        return timing.in_turn(sides, runs) | same

    return Case(name, measure, tuple(known))


@contextlib.contextmanager
def fetch(site: Site) -> Iterator[Case]:
    """A large model: time, CPU, memory, and bytes written to disk."""
    size, what = site.scale.large, megabytes(site.scale.large)
    claims = [*_times(what, rows.at_most(1.2)), *_memory(what), _written(what)]
    if why := missing(site):
        yield _skipped("fetch", claims, why)
        return
    with released(site, "fetch", {"m": Version(size)}) as shop:
        yield _case("fetch", _sides(shop, "m", what), claims, _sizes(what, size))


@contextlib.contextmanager
def fetch_giant(site: Site) -> Iterator[Case]:
    """A very large model, the same; and its memory beside that of a large one."""
    sizes = {"giant": site.scale.giant, "large": site.scale.large}
    giant, large = (megabytes(size) for size in sizes.values())
    claims = [
        *_times(giant, rows.at_most(0.8)),
        Claim(_ours(giant), _ours(large), rows.at_most(1.1), Measure.MEMORY),
        Claim(_ours(giant), _limit(), rows.below(), Measure.MEMORY),
        *_memory(giant),
        _written(giant),
    ]
    if why := missing(site):
        yield _skipped("fetch-giant", claims, why)
        return
    models = {model: Version(size) for model, size in sizes.items()}
    with released(site, "fetch-giant", models) as shop:
        sides = [*_sides(shop, "giant", giant), deployed(shop, "large", large)]
        cold = [replace(side, warm=False) for side in sides]
        yield _case("fetch-giant", cold, claims, _sizes(giant, sizes["giant"]))


def _sides(shop: Shop, model: str, what: str) -> list[Side]:
    return [
        deployed(shop, model, what),
        _pulled(shop, model, what),
        _downloaded(shop, model, _boto3(what), DOWNLOAD),
        _hashed(shop, model, what),
        *_before(shop, model, what),
    ]


def _times(what: str, pull: Target) -> list[Claim]:
    return [
        Claim(_ours(what), _pull(what), pull),
        Claim(_ours(what), _past(what), rows.at_most(0.55)),
        Claim(_ours(what), _boto3(what), rows.at_most(1.6)),
        Claim(_ours(what), _md5(what)),
        Claim(_ours(what), _pull(what), measure=Measure.CPU),
        Claim(_ours(what), _past(what), measure=Measure.CPU),
    ]


def _memory(what: str) -> list[Claim]:
    rivals = (_pull(what), _boto3(what), _past(what))
    return [Claim(_ours(what), rival, measure=Measure.MEMORY) for rival in rivals]


def _written(what: str) -> Claim:
    return Claim(_ours(what), _size(what), rows.at_most(1.05), Measure.WRITTEN)


def _sizes(what: str, size: int) -> dict[str, Run]:
    """What is compared with, and is no program."""
    return {_size(what): Run(0.0, 0, written=size), _limit(): Run(0.0, MEMORY)}


def _limit() -> str:
    return megabytes(MEMORY)


def _size(what: str) -> str:
    return f"the model's size, {what}"


@contextlib.contextmanager
def fetch_files(site: Site) -> Iterator[Case]:
    """A folder of many small files."""
    what = f"{site.scale.files:,} files"
    claims = [
        Claim(_ours(what), _pull(what), rows.at_most(0.6)),
        Claim(_ours(what), _past(what)),
        Claim(_ours(what), _pull(what), measure=Measure.CPU),
        Claim(_ours(what), _pull(what), measure=Measure.MEMORY),
    ]
    if why := missing(site):
        yield _skipped("fetch-files", claims, why)
        return
    models = {"m": Version(SMALL, site.scale.files, LARGEST)}
    with released(site, "fetch-files", models) as shop:
        sides = [deployed(shop, "m", what), _pulled(shop, "m", what), *_before(shop, "m", what)]
        yield _case("fetch-files", sides, claims, {})


@contextlib.contextmanager
def fetch_far(site: Site) -> Iterator[Case]:
    """A large model from a store where each connection is slow and answers late."""
    what = f"{megabytes(site.scale.large)}, far"
    single = f"one connection, sync of the file, {what}"
    claims = [
        Claim(_ours(what), single, rows.at_most(0.2)),
        Claim(_ours(what), _pull(what)),
        Claim(_ours(what), _past(what)),
    ]
    if why := missing(site):
        yield _skipped("fetch-far", claims, why)
        return
    models = {"m": Version(site.scale.large)}
    with (
        released(site, "fetch-far", models) as near,
        proxy.before(port(near), FAR) as (own, _),
    ):
        shop = near.at(f"http://{proxy.LOOPBACK}:{own}")
        sides = [
            deployed(shop, "m", what),
            _downloaded(shop, "m", single, ONE_CONNECTION),
            _pulled(shop, "m", what),
            *_before(shop, "m", what),
        ]
        cold = [replace(side, warm=False) for side in sides]  # the wire is what takes the time
        yield _case("fetch-far", cold, claims, {})


def port(shop: Shop) -> int:
    """Where the store listens."""
    number = urlsplit(shop.address).port
    if number is None:
        raise Failed(f"{shop.address} has no port")
    return number


@contextlib.contextmanager
def fetch_start(site: Site) -> Iterator[Case]:
    """The CPU that passes until a model's first byte is asked for; that command ends there."""
    what, limit = "until the first byte is asked for", 'python -c "import click"'
    claims = [
        Claim(_ours(what), limit, rows.at_most(8.0), Measure.CPU),
        Claim(_past(what), limit, measure=Measure.CPU),
    ]
    if why := missing(site):
        yield _skipped("fetch-start", claims, why)
        return
    watch = _Watch()
    with (
        released(site, "fetch-start", {"m": Version(MB)}) as near,
        proxy.before(port(near), asked=watch.asked) as (own, _),
    ):
        shop = near.at(f"http://{proxy.LOOPBACK}:{own}")
        started = [deployed(shop, "m", what), *_before(shop, "m", what)]
        click = Side(limit, (NOTHING,), shop.folder)
        case = _case("fetch-start", [*started, click], claims, {})

        def measure(runs: int) -> Runs:
            turns: Runs = {side.name: [] for side in (*started, click)}
            for number in range(runs + 1):
                for side in (*started, click):
                    run = timing.run(side) if side is click else watch.run(side)
                    if number:  # the first of each fills the page cache
                        turns[side.name].append(run)
            return turns

        yield replace(case, measure=measure)


@dataclass
class _Watch:
    """Takes the CPU time of a command when it asks for an object, and ends it there."""

    process: subprocess.Popen[bytes] | None = None
    cpu: float | None = None

    def asked(self, line: str) -> None:
        """See a request."""
        if self.process and self.cpu is None and asks_for_object(line):
            self.cpu = processes.cpu(self.process.pid)
            os.killpg(self.process.pid, signal.SIGKILL)

    def run(self, side: Side) -> Run:
        """Run a side until it asks for an object; only the CPU time of the result counts.

        Raises:
            Failed: it ended before.
        """
        side.prepare()
        self.cpu = None
        self.process = subprocess.Popen(
            side.commands[0],
            cwd=side.folder,
            env={**os.environ, **side.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.process.wait()
        if self.cpu is None:
            raise Failed(f"{side.name}: it ended without a request")
        return Run(0.0, 0, cpu=self.cpu)


def asks_for_object(line: str) -> bool:
    """Whether the first line of a request asks for the bytes of an object of DVC."""
    return line.startswith("GET ") and f"/{OBJECTS}/" in line


CASES: dict[str, Callable[[Site], contextlib.AbstractContextManager[Case]]] = {
    "fetch": fetch,
    "fetch-giant": fetch_giant,
    "fetch-files": fetch_files,
    "fetch-far": fetch_far,
    "fetch-start": fetch_start,
}

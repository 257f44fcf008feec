"""A host that follows an index in S3: a pass without news, beside the one request that it makes."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import rows, timing, workspaces
from benchmarks.fetching import KEYS, missing
from benchmarks.rows import Case, Claim, Measure
from benchmarks.suite import Site, skipped
from benchmarks.timing import Failed, Run, Runs, Side, tell
from benchmarks.workspaces import PYTHON, TAGSHIP, Tagged
from tagship.carry import capsule, carrier, index, places
from tagship.carry.carrier import Carrier
from tagship.carry.index import Entry
from tagship.git import run as git_run
from tagship.registry import tags
from tagship.workspace import encapsulate
from tagship.workspace.source import Source
from tests.stores.servers import BUCKET

PASSES = 50  # in one process, of which the median counts
TIMES = (1, 2, 3)  # tries to have a pass kept: files must be two seconds old
HOST = """[source]
index = "s3://{bucket}/index"
[source.options]
endpointurl = "{address}"
[follow.{model}]
"""
# What a person would write to poll one object: the client that tagship has, and a condition.
GET = """
import obstore
from obstore.store import S3Store
def get():
    store = S3Store({bucket!r}, endpoint={address!r}, access_key_id={key!r},
                    secret_access_key={secret!r}, region="us-east-1",
                    client_options={{"allow_http": True}})
    try:
        obstore.get(store, {path!r}, options={{"if_none_match": {mark!r}}})
    except obstore.exceptions.NotModifiedError:
        return
    raise SystemExit("there was something new")
"""
# Both in one process that runs already, in turn: what is imported is imported.
IN_TURN = """
import json, statistics, time
from pathlib import Path
from tagship.progress import nobody
from tagship.workspace import settled
def look():
    if settled.look(Path("."), None, nobody) is None:
        raise SystemExit("a full pass is needed")
look(), get()
times = {"look": [], "get": []}
for _ in range(PASSES):
    for function in (look, get):
        before = time.perf_counter()
        function()
        times[function.__name__].append(time.perf_counter() - before)
print(json.dumps({name: statistics.median(each) for name, each in times.items()}))
"""


@contextlib.contextmanager
def poll(site: Site) -> Iterator[Case]:
    """A pass that finds nothing new, and one conditional request: as processes, and in one."""
    ours = f"tagship sync of an index, nothing new, {site.scale.tags // site.scale.models:,} tags"
    theirs = "python: click, one conditional GET by obstore"
    look, get = "the same pass, in a process that runs", "the same GET, in that process"
    claims = [
        Claim(look, get, rows.at_most(1.5) if site.scale.real else None),
        Claim(ours, theirs, None, Measure.CPU),
        Claim(ours, theirs, None),
    ]
    if site.store is None or missing(site):
        yield skipped("index", claims, missing(site))
        return
    address = site.store.address
    # a host may not be in a DVC repository, and the folder of a benchmark is in tagship's own
    with site.own("index") as folder, tempfile.TemporaryDirectory(prefix="bench-") as outside:
        os.environ |= KEYS
        tagged = workspaces.tagged(folder, 1, site.scale.tags // site.scale.models)
        place = places.of(f"s3://{BUCKET}/index", {"endpointurl": address})
        _carry(tagged, folder, place)
        host = Path(outside)
        text = HOST.format(bucket=BUCKET, address=address, model=tagged.model)
        (host / "tagship.toml").write_text(text)
        _settle(host)
        found = place.index(tagged.model)
        request = GET.format(
            bucket=BUCKET, address=address, key=KEYS["AWS_ACCESS_KEY_ID"],
            secret=KEYS["AWS_SECRET_ACCESS_KEY"], mark=found.mark if found else "",
            path=f"index/{carrier.index_path(tagged.model)}",
        )  # fmt: skip
        sides = [
            Side(ours, ((TAGSHIP, "sync"),), host),
            Side(theirs, ((PYTHON, "-c", f"import click\n{request}get()"),), host),
        ]

        def measure(runs: int) -> Runs:
            measured = timing.in_turn(sides, runs)
            pairs = [_in_turn(host, request) for _ in range(runs)]
            return measured | {
                look: [Run(times["look"], 0) for times in pairs],
                get: [Run(times["get"], 0) for times in pairs],
            }

        yield Case("index", measure, tuple(claims))


def _carry(tagged: Tagged, folder: Path, place: Carrier) -> None:
    """Write capsules, the index and the objects into a place, as a release does."""
    source = Source(tagged.repo, tagged.repo)
    entries: dict[str, Entry] = {}
    file = folder / "capsule"
    for tag in tags.read(git_run.find(tagged.repo), tagged.model):
        data = encapsulate.capsule_of(source, tag)
        file.write_bytes(data)
        entries[str(tag.name)] = Entry(tag.object_id, capsule.digest(data), len(data))
        place.put(carrier.Capsule(tagged.model, capsule.digest(data)), file, lambda _: None)
    for each in (folder / "dvc-remote" / "files" / "md5").rglob("*"):
        if each.is_file():
            place.put(carrier.Object(each.parent.name + each.name), each, lambda _: None)
    place.write_index(tagged.model, index.write(tagged.model, entries), "")


def _settle(host: Path) -> None:
    """Make passes until one finds nothing to do, and keeps that."""
    state = host / ".tagship" / "agent.json"
    for seconds in TIMES:
        tell(host, TAGSHIP, "sync")
        if json.loads(state.read_text())["settled"]:
            return
        tell(host, "sleep", str(seconds))
    raise Failed("no pass of the host was kept")


def _in_turn(host: Path, request: str) -> dict[str, float]:
    """Seconds of a pass, and of the request alone.

    Raises:
        Failed: one of them found something new.
    """
    code = request + IN_TURN.replace("PASSES", str(PASSES))
    done = subprocess.run(
        [PYTHON, "-c", code], cwd=host, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(done.stderr)
    return {str(name): float(seconds) for name, seconds in json.loads(done.stdout).items()}


CASES: dict[str, Callable[[Site], AbstractContextManager[Case]]] = {"index": poll}

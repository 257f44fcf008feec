"""OCI images: written beside the bytes alone, and read from a registry beside skopeo."""

import contextlib
import functools
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import rows, timing, workspaces
from benchmarks.rows import Case, Claim, Measure
from benchmarks.suite import Site, cached_object, megabytes, skipped
from benchmarks.timing import Failed, Side
from benchmarks.workspaces import COPIED, PYTHON, TAGSHIP, Trained, Version
from tagship.disk import atomic

IMAGE = "image"
SHA256 = (
    "import hashlib, sys\n"
    "with open(sys.argv[1], 'rb') as file:\n"
    "    hashlib.file_digest(file, 'sha256')\n"
)
PROGRAMS = ("docker-registry", "skopeo")
CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
PATIENCE = 20  # seconds until a registry answers


@contextlib.contextmanager
def export(site: Site) -> Iterator[Case]:
    """An image of a large model, beside a copy of its bytes that is synced and hashed."""
    with site.own("export-image") as folder:
        workspace = _trained(site, folder)
        ours = Side(
            f"export --format oci, {megabytes(site.scale.large)}",
            ((TAGSHIP, "export", "m", "--format", "oci", "-o", f"../{IMAGE}"),),
            workspace.repo,
            functools.partial(_clear, folder),
        )
        source = str(cached_object(workspace))
        bare = Side(
            "cp, sync, SHA-256 of the file",
            (("cp", source, COPIED), ("sync", COPIED), (PYTHON, "-c", SHA256, COPIED)),
            folder,
            functools.partial(_clear, folder),
        )
        claims = (
            Claim(ours.name, bare.name, rows.at_most(1.5)),
            Claim(ours.name, bare.name, None, Measure.MEMORY),
        )
        measure = functools.partial(timing.in_turn, (ours, bare))
        yield Case("export-image", measure, claims)


@contextlib.contextmanager
def verify(site: Site) -> Iterator[Case]:
    """An image in a registry that is read and verified, beside a copy by skopeo, which does too."""
    names = f"verify docker://, {megabytes(site.scale.large)}", "skopeo copy to a folder"
    claim = Claim(*names, rows.at_most(1.5))
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        yield skipped("verify-image", [claim], f"no {' and no '.join(missing)}: apt install it")
        return
    with site.own("verify-image") as folder, _registry(folder) as address:
        workspace = _trained(site, folder)
        place = f"{address}/m"
        timing.tell(workspace.repo, TAGSHIP, "export", "m", "--format", "oci", "--push", place)
        inspect = ("inspect", "--tls-verify=false", "--format", "{{.Digest}}")
        digest = timing.tell(folder, "skopeo", *inspect, f"docker://{place}:1.0.0").strip()
        named = f"docker://{place}@{digest}"
        prepare = functools.partial(_clear, folder)
        ours = Side(names[0], ((TAGSHIP, "verify", named),), workspace.repo, prepare)
        copy = ("skopeo", "copy", "--quiet", "--src-tls-verify=false", named, f"dir:{COPIED}")
        copied = Side(names[1], (copy,), folder, prepare)
        yield Case("verify-image", functools.partial(timing.in_turn, (ours, copied)), (claim,))


def _trained(site: Site, folder: Path) -> Trained:
    return workspaces.trained(folder, {"m": [Version(site.scale.large)]})


def _clear(folder: Path) -> None:
    for name in (IMAGE, COPIED):
        atomic.remove_tree(folder / name)


@contextlib.contextmanager
def _registry(folder: Path) -> Iterator[str]:
    """A docker-registry whose files are in a folder; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder / "registry", port=port), encoding="utf-8")
    quiet = subprocess.DEVNULL
    command = ["docker-registry", "serve", str(config)]
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as server:
        try:
            _wait(port)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise Failed("the registry does not answer")


CASES: dict[str, Callable[[Site], AbstractContextManager[Case]]] = {
    "export-image": export,
    "verify-image": verify,
}

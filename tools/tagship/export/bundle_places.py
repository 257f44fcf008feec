"""Where a bundle comes from, where it goes, and what this machine asks of it."""

import contextlib
import functools
import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from tagship.disk import files as disk_files
from tagship.errors import NotFound, Refused, Unavailable, hint_of
from tagship.export.unbundle import Accept, Rules
from tagship.host import project as host_project
from tagship.registry.project_files import HOST_FILE
from tagship.signing import policy
from tagship.workspace import find, host_file, upstream
from tagship.workspace.mirrored import Mirrored

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/(?!$)")  # ``Path`` has made one slash of two
KINDS = (
    (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """The folder that a bundle goes to, and what is asked of it."""

    folder: Path
    rules: Rules


def place(start: Path, target: Path | None, accept: Accept | None) -> Place:
    """Where a bundle goes: on a host to the folder that it follows, or to another one.

    Args:
        start: the working directory, perhaps a host.
        target: the other one.
        accept: as of ``Rules``.

    Raises:
        NotFound: this is no host that follows a folder, and no other one is given.
        Refused: the other one is an address; tagship.toml is not this host's own, or host.toml
            cannot be read.
    """
    if target is not None and (address := _ADDRESS.match(os.fspath(target))):
        raise Refused(
            f"a bundle is taken into a folder, and {address[1]}: is that of an address",
            "give a folder; what is in it then goes to a store with the store's own program",
        )
    if folder := host_project.find_host(start):
        source, host = find.of_host(folder, host_file.read(folder))
        limit = host.settings.fetch_limit_bytes
        rules = Rules(host.policy, functools.partial(_seen, source), limit, accept)
        return Place(target or _followed(source), rules)
    if target is None:
        raise NotFound(
            "no host is here, so the folder for the bundle is not known",
            "give it: tagship unbundle FILE DIR; or a host: tagship -C DIR unbundle FILE",
        )
    return Place(target, Rules(policy.read(target), accept=accept))


def _followed(source: Mirrored) -> Path:
    address = source.file.upstream
    if address.kind == upstream.BUNDLE:
        return Path(address.text)
    where = source.project / HOST_FILE
    raise NotFound(
        f"{where} names no folder for bundles",
        f'give it: tagship unbundle FILE DIR; or write bundle = "/srv/bundles" in [source],'
        f" in place of {address.kind}",
    )


def _seen(source: Mirrored, model: str) -> Mapping[str, str]:
    """The tags of a model that a host has seen: their objects, by name."""
    if not (source.start / "HEAD").is_file():
        return {}
    return {str(name): object_id for name, object_id in source.tag_ids(model).items()}


@contextlib.contextmanager
def blocks(file: Path | BinaryIO) -> Iterator[tuple[Iterator[bytes], str]]:
    """The bytes of a bundle, and where it is, for errors.

    Args:
        file: its path; or what is open, such as standard input.

    Raises:
        NotFound: there is no such file.
        Refused: it is no regular file: opening another one could wait for ever.
        Unavailable: it cannot be read.
    """
    if not isinstance(file, Path):
        yield _read(file, "standard input"), "on standard input"
        return
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", f"ls {shlex.quote(str(file.parent))}") from None
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}", hint_of(error)) from None
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((name for is_kind, name in KINDS if is_kind(mode)), "no file")
            if stat.S_ISDIR(mode):
                raise Refused(f"{file} is a folder, not a file", "give the file that is the bundle")
            hint = f"give the file; or pipe it: tagship unbundle - < {shlex.quote(str(file))}"
            raise Refused(f"{file} is {kind}, not a file", hint)
        yield _read(FileIO(descriptor, closefd=False), str(file)), str(file)


def _read(file: BinaryIO | FileIO, where: str) -> Iterator[bytes]:
    """Blocks until the end; what fails here is no fault of the disk that is written to."""
    while True:
        try:
            block = file.read(disk_files.BLOCK)
        except OSError as error:
            hint = "copy the file again, from a medium that can be read"
            raise Unavailable(f"{where} cannot be read: {error.strerror}", hint) from None
        if not block:
            return
        yield block

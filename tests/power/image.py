"""A file system in a file, mounted, and copied as a power cut would leave it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("ext4", "xfs", "btrfs")
_SIZES = {"ext4": 64 << 20, "xfs": 300 << 20, "btrfs": 128 << 20}  # bytes; the least that they take
_OPTIONS = {"xfs": ",nouuid"}  # a copy has the name of its original, which may not be gone yet
# else mkfs leaves work to the kernel, which writes while nobody asked for it
_MADE_WHOLE = {"ext4": ("-E", "lazy_itable_init=0,lazy_journal_init=0")}
WRITES, UNDER_WAY = 4, 8  # columns of Documentation/block/stat.rst


class Unusable(Exception):
    """Why no such image can be made or mounted here."""


@dataclass(frozen=True)
class Device:
    """A loop device whose blocks are a file.

    What the mounted file system hands to the device is in the file at once, for whoever reads it,
    and what it keeps in memory is not. So a copy of the file is what a power cut leaves on a disk
    that keeps all that it was given, in the order in which it was given.
    """

    file: Path
    name: str

    def written(self) -> int:
        """How many writes the file system has handed to the device."""
        return self._counts()[0]

    def copy(self, target: Path) -> int:
        """Copy the blocks as they are at one moment; the number of writes until then."""
        while True:
            before = self._counts()
            _run("cp", "--sparse=always", "--reflink=auto", str(self.file), str(target))
            if before == self._counts() and before[1] == 0:
                return before[0]

    def backing(self) -> Path:
        """The file that the kernel says is behind the device."""
        return Path(Path("/sys/class/block", self.name, "loop/backing_file").read_text().strip())

    def _counts(self) -> tuple[int, int]:
        columns = Path("/sys/class/block", self.name, "stat").read_text().split()
        return int(columns[WRITES]), int(columns[UNDER_WAY])


def make(kind: str, file: Path) -> None:
    """An empty file system in a new sparse file.

    Raises:
        Unusable: the program that makes it is missing.
    """
    program = f"mkfs.{kind}"
    if shutil.which(program) is None:
        raise Unusable(f"no {program}")
    with file.open("wb") as image:
        image.truncate(_SIZES[kind])
    _run(program, "-q", *_MADE_WHOLE.get(kind, ()), str(file))


@contextlib.contextmanager
def mounted(kind: str, file: Path, folder: Path) -> Iterator[Device]:
    """Mount an image, in a process with mounts of its own (``unshare --mount``).

    Even if it is killed, the kernel unmounts what it mounted, and gives the loop device back.

    Raises:
        Unusable: it cannot be mounted here.
    """
    if os.geteuid() != 0:
        raise Unusable("only root can mount a disk image")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _run("mount", "-o", f"loop,nodiscard{_OPTIONS.get(kind, '')}", str(file), str(folder))
    except subprocess.CalledProcessError as error:
        raise Unusable(f"{file.name} cannot be mounted: {error.stderr.strip()}") from None
    try:  # the loop device goes with the last mount of it
        source = _run("findmnt", "--noheadings", "--output", "SOURCE", str(folder)).strip()
        device = Device(file, Path(source).name)
        assert device.backing() == file, "another disk of the same name is mounted"
        yield device
    finally:
        _run("umount", str(folder))


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

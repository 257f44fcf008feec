"""Images by podman, in a store of its own below build/container.

``python -m tests.packaging.container`` makes what a build without a network needs: a base image by
mmdebstrap, and the wheels.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "container"
EXTRAS = "s3,serve"  # of the images that are built
BASE, WHEELS = FOLDER / "base.tar", FOLDER / f"wheels-{EXTRAS.replace(',', '-')}"
DEBIAN = {"3.11": "bookworm", "3.13": "trixie"}  # by their Python: the wheels are for this one
PACKAGES = "python3,python3-venv,git,openssh-client,ca-certificates,systemd"
BUILD = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")
# crun needs rights that a container of a container has not; nor may it raise limits.
SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4000:4000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def lacking() -> str | None:
    """Why no image can be built here; None if one can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("podman", "runc") if shutil.which(name) is None]
    if missing:
        return f"needs {' and '.join(missing)}"
    is_here = BASE.exists() and WHEELS.exists()
    return None if is_here else "needs a base image: make container-test"


def podman(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run podman."""
    settings = FOLDER / "containers.conf"
    settings.write_text(SETTINGS)
    places = ["--root", str(FOLDER / "root"), "--runroot", str(FOLDER / "run")]
    done = subprocess.run(
        ["podman", "--log-level=error", *places, *arguments],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"CONTAINERS_CONF": str(settings)},
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def prepare() -> None:
    """Make the base image and the wheels, where they can be made."""
    python = sysconfig.get_python_version()
    tool = shutil.which("mmdebstrap")
    if tool is None or python not in DEBIAN or os.geteuid() != 0:
        _say(f"no base image: needs root, mmdebstrap, and Python {' or '.join(DEBIAN)}")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not WHEELS.exists():
        new = WHEELS.with_suffix(".new")
        wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(new)]
        constrained = ["--constraint", str(ROOT / "constraints.txt")]
        if not (_run([*wheel, *constrained, f"{ROOT}[{EXTRAS}]"]) and _run([*wheel, *BUILD])):
            return
        new.rename(WHEELS)
    if not BASE.exists():
        part = FOLDER / "base.new.tar"
        words = [tool, "--quiet", "--variant=minbase", f"--include={PACKAGES}", DEBIAN[python]]
        if _run([*words, str(part), *_sources()]):
            part.rename(BASE)


def _sources() -> list[str]:
    """Where this machine gets its packages, if it is a Debian too."""
    folder = Path("/etc/apt")
    places = [folder / "sources.list", *sorted(folder.glob("sources.list.d/debian.sources"))]
    return [str(place) for place in places if place.exists()][-1:]


def _run(words: Sequence[str]) -> bool:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _say(f"{words[0]}: {done.stderr.strip()[-500:]}")
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    prepare()

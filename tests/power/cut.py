"""A command on a disk of its own, the disk copied at moments, and what each copy holds."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagship.host import history
from tests.crash import cases, made
from tests.crash.cases import Case
from tests.crash.harness import Place
from tests.crash.made import Made
from tests.power import image
from tests.power.driver import Plan
from tests.power.image import Unusable
from tests.workbench import MODEL

ROOT = Path(__file__).parents[2]
EXIT, LATER = "exit code 0", "7 s later"
PAUSE = 7  # seconds; ext4 writes its journal every 5, without the bytes of files
RANDOM = re.compile(r"\d{8}_\d{6}|(?<=\.)[0-9a-f]{12}(?=\.tmp)")  # in names


@dataclass(frozen=True)
class Trial:
    """A command on a file system.

    Attributes:
        kind: of the file system.
        case: by its name in ``tests.crash.cases``.
        left_out: what is not synced, as in ``Plan``; empty for tagship as it is.
        during: the disk is copied on the way too, after each call by which it has changed.
    """

    kind: str
    case: str
    left_out: str = ""
    during: bool = True


@dataclass(frozen=True)
class Moment:
    """What a copy of the disk holds, once it is mounted: ``live`` is ``old``, ``new`` or ``?``."""

    name: str
    live: str
    problems: list[str]


def cut(trial: Trial, template: Path, scratch: Path) -> list[Moment]:
    """Run the command on a new disk, copy the disk at moments, look at each copy.

    Args:
        trial: what is tried.
        template: the workspace that ``cases.build`` made.
        scratch: a new folder for the disk and its copies.

    Raises:
        Unusable: no such disk can be made or mounted here.
    """
    if os.geteuid() != 0:
        raise Unusable("only root can mount a disk image")
    words = json.dumps([dataclasses.asdict(trial), str(template), str(scratch)])
    result = subprocess.run(
        ["unshare", "--mount", sys.executable, "-m", "tests.power.cut", words],
        env=_environment(), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    value = json.loads(result.stdout.splitlines()[-1])
    if isinstance(value, str):
        raise Unusable(value)
    return [Moment(**moment) for moment in value]


def _cut(trial: Trial, template: Path, scratch: Path) -> list[Moment]:
    """The same, in a process with mounts of its own."""
    case = cases.named(trial.case)
    copies, promised = _copies(trial, case, template, scratch)
    return [_look(trial, case, path, promised, scratch / "mounted") for path in copies]


def _copies(
    trial: Trial, case: Case, template: Path, scratch: Path
) -> tuple[list[Path], dict[str, str]]:
    """The copies of the disk in the order of their moments; and what is deployed, as was said."""
    disk, folder, during = scratch / "disk", scratch / "mounted", scratch / "during"
    during.mkdir(parents=True)
    image.make(trial.kind, disk)
    with image.mounted(trial.kind, disk, folder) as device:
        shutil.copytree(template, folder / "work", symlinks=True)
        subprocess.run(["sync", "--file-system", str(folder)], check=True)
        plan = Plan(trial.left_out)
        if trial.during:
            plan = Plan(trial.left_out, str(disk), device.name, str(during))
        _run(folder / "work" / "repo", case.command, plan)
        device.copy(scratch / EXIT)
        promised = _kept(case, folder / "work")
        time.sleep(PAUSE)
        device.copy(scratch / LATER)
    return [*sorted(during.iterdir()), scratch / EXIT, scratch / LATER], promised


def _look(trial: Trial, case: Case, copy: Path, promised: dict[str, str], folder: Path) -> Moment:
    """Mount a copy, as a machine does that is started again, and look at what it holds."""
    name = RANDOM.sub("ID", copy.name)
    try:
        with image.mounted(trial.kind, copy, folder):
            if case.makes:
                thing = made.of(case, folder / "work")
                live = thing.live()
                return Moment(name, live, list(_of_made(thing, name, promised)))
            place = Place(case, folder / "work")
            live = place.live()
            problems = _problems(place, live, name, promised)
            texts = [
                RANDOM.sub("ID", text.replace(f"{place.store.folder}/", "")) for text in problems
            ]
            return Moment(name, live, texts)
    except (Unusable, OSError) as error:
        return Moment(name, "?", [str(error)])


def _problems(place: Place, live: str, name: str, promised: dict[str, str]) -> Iterator[str]:
    damage = list(place.damage())
    yield from damage
    if name in (EXIT, LATER):
        kept = _deployed(place.folder)
        differ = {file for file in {*kept, *promised} if kept.get(file) != promised.get(file)}
        yield from (f"{file} is not as the command left it" for file in sorted(differ))
    if damage:
        return
    version = place.version()
    mend = f"rollback {MODEL} --to {version} --yes" if version else cases.MEND
    result = cases.command(place.repo, mend)
    if result.code != 0 and f"{MODEL} was never deployed here" not in result.err:
        yield f"the next command fails: {result.err}"
    yield from (f"after the next command: {text}" for text in place.disorder())
    if place.live() != live:
        yield f"the next command made what is live the {place.live()} version"


def _of_made(thing: Made, name: str, promised: dict[str, str]) -> Iterator[str]:
    """The same of what a command makes beside the repository."""
    yield from thing.damage()
    if name in (EXIT, LATER):
        kept = _kept(thing.case, thing.folder)
        differ = {file for file in {*kept, *promised} if kept.get(file) != promised.get(file)}
        yield from (f"{file} is not as the command left it" for file in sorted(differ))
    yield from thing.again()


def _run(repo: Path, command: str, plan: Plan) -> None:
    words = [sys.executable, "-m", "tests.power.driver", json.dumps(dataclasses.asdict(plan))]
    result = subprocess.run(
        [*words, *command.split()], cwd=repo, env=_environment(), check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def _environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _kept(case: Case, work: Path) -> dict[str, str]:
    """What the command has left: a deployment; or each file of a bundle's place, but for locks."""
    if not case.makes:
        return _deployed(work)
    top = work / case.makes
    paths = [path for path in (top, *top.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return {str(p.relative_to(work)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def _deployed(work: Path) -> dict[str, str]:
    """The link, each file of each version, the history: names to modes and digests."""
    folder = work / "repo" / "models" / MODEL
    current = folder / "current"
    state = {"current": os.readlink(current) if current.is_symlink() else "nothing"}
    for path in [folder / history.FILE_NAME, *(folder / "versions").rglob("*")]:
        if path.exists():
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            state[path.relative_to(folder).as_posix()] = f"{path.stat().st_mode:o} {digest}"
    return state


if __name__ == "__main__":
    asked, *folders = json.loads(sys.argv[1])
    try:
        answer = [
            dataclasses.asdict(moment) for moment in _cut(Trial(**asked), *map(Path, folders))
        ]
    except Unusable as error:
        answer = str(error)  # type: ignore[assignment] # a list, or why there is none
    sys.stdout.write(f"{json.dumps(answer)}\n")

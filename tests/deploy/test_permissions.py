"""Who may write: nobody but the owner, under any umask; and what status says where others may."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench import Result, Workbench

UMASKS = (0o000, 0o002, 0o077)

# Python tells before each open, mkdir, chmod, rename: what was made until then is looked at.
WATCH = """
import os, stat, sys
top, found, busy = sys.argv.pop(1), set(), False
def look(event, _):
    global busy
    if busy or event.partition(".")[0] not in ("open", "os", "shutil"):
        return
    busy = True
    try:
        for folder, folders, names in os.walk(top):
            for path in (os.path.join(folder, name) for name in folders + names):
                try:
                    mode = os.lstat(path).st_mode
                except FileNotFoundError:
                    continue
                if not stat.S_ISLNK(mode) and mode & 0o022 and "/incoming/" not in path:
                    found.add(f"{os.path.relpath(path, top)} {mode & 0o777:04o}")
    finally:
        busy = False
os.umask(int(sys.argv.pop(1)))
sys.addaudithook(look)
from tagship.cli.main import main
try:
    main()
finally:
    print(*sorted(found), sep="\\n", file=sys.stderr)
"""


def _watched(bench: Workbench, umask: int, *arguments: str) -> Result:
    """A command under a umask; on standard error, what others could write to at any time."""
    result = subprocess.run(
        [sys.executable, "-c", WATCH, str(bench.folder), str(umask), *arguments],
        cwd=bench.repo, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Result(result.returncode, result.stdout, result.stderr)


def _modes(top: Path) -> dict[str, int]:
    """Of everything below a folder, and of itself."""
    paths = [top, *top.rglob("*")]
    return {
        path.relative_to(top).as_posix(): stat.S_IMODE(path.lstat().st_mode)
        for path in paths
        if not path.is_symlink()
    }


@pytest.mark.parametrize("umask", UMASKS, ids=lambda umask: f"{umask:03o}")
def test_a_version_is_read_only_under_any_umask_and_never_anothers_to_write(
    bench: Workbench, umask: int
) -> None:
    """A folder that DVC tracks and is fetched, and a script that Git tracks."""
    folder = bench.folder / "net"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.bin").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    script = bench.folder / "run"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    bench.track("models/churn/net")
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/net\n"
        "    meta: {self_test: models/churn/run}\n"
    )
    bench.commit()
    bench.manager.release()
    for cached in (bench.repo / ".dvc/cache/files/md5").glob("*/*"):
        cached.unlink()
    for path in [bench.folder, *bench.folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o022)
    result = _watched(bench, umask, "deploy", "churn", "--yes")
    assert (result.code, result.err.strip()) == (0, ""), result.out
    assert _modes(bench.current.resolve()) == {
        ".": 0o555,
        "metadata.json": 0o444,
        "net": 0o555,
        "net/config.json": 0o444,
        "net/deep": 0o555,
        "net/deep/weights.bin": 0o444,
        "run": 0o555,
    }
    others = {path for path, mode in _modes(bench.folder).items() if mode & 0o022}
    assert others == set()
    assert bench.cli("status", "churn").code == 0


FOLDERS = ("..", ".", "versions", ".tagship")


@pytest.mark.parametrize(
    ("mode", "who", "mend"),
    [
        (0o775, "its group", "g-w"),
        (0o2775, "its group", "g-w"),
        (0o757, "everybody", "o-w"),
        (0o1777, "its group and everybody", "go-w"),
    ],
    ids=["group", "setgid", "world", "sticky"],
)
@pytest.mark.live
def test_a_folder_that_others_can_write_to_is_drift_and_its_chmod_mends_it(
    bench: Workbench, mode: int, who: str, mend: str
) -> None:
    for folder in FOLDERS:
        place = Path(os.path.normpath(bench.folder / folder))
        place.chmod(mode)
        chmod = f"chmod {mend} {place}"
        assert bench.cli("status", "churn") == Result(
            3,
            "churn: drifted, live 1.0.0, latest 1.0.0\n"
            f"  {place} can be written by {who}, who can so change what is live\n"
            f"    fix: {chmod}\n",
            "",
        )
        subprocess.run(chmod.split(), check=True)
    assert bench.cli("status", "churn").code == 0


def test_where_nothing_was_deployed_nobody_is_told_of_folders(bench: Workbench) -> None:
    bench.folder.chmod(0o777)
    assert bench.cli("status", "churn").code == 0


WRONG = {
    "file": ("model.bin", 0o644, "0444"),
    "file of everybody": ("model.bin", 0o666, "0444"),
    "file for its owner alone": ("model.bin", 0o400, "0444"),
    "metadata": ("metadata.json", 0o664, "0444"),
    "folder": (".", 0o755, "0555"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.live
def test_a_deployed_file_with_another_mode_is_found_and_its_chmod_mends_it(
    bench: Workbench, case: str
) -> None:
    name, mode, right = WRONG[case]
    live = bench.current.resolve()
    (live / name).chmod(mode)
    said = f"has the mode {mode:04o} instead of {right}"
    (verification,) = bench.manager.verify()
    assert [(problem.path, problem.what) for problem in verification.problems] == [(name, said)]
    result = bench.cli("status", "churn", "--json")
    assert result.code == 3
    ((finding,),) = [status["findings"] for status in json.loads(result.out)]
    assert finding["what"] == f"{live.name}/{name} {said}"
    subprocess.run(finding["fix"].split(), check=True)
    assert bench.cli("status", "churn").code == 0


def test_a_rollback_makes_its_target_read_only_again(shipped: Workbench) -> None:
    """A restored backup often comes without its modes; its bytes are what counts."""
    (first,) = shipped.folder.glob("versions/v1.0.0_*")
    first.chmod(0o777)
    (first / "model.bin").chmod(0o666)
    shipped.manager.rollback_to_version()
    assert shipped.current.resolve() == first
    assert _modes(first) == {".": 0o555, "metadata.json": 0o444, "model.bin": 0o444}

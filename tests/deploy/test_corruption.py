"""Bad bytes, wherever they lie: place x damage -> outcome, for one file and for a tracked folder.

The artifact is the folder ``net`` with a.bin and sub/b.bin, or the file model.bin. DVC keeps a
folder as a list (a ``.dir`` object) and an object a file.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship.disk import atomic
from tagship.workspace.state import State
from tests.workbench import PATH, Workbench

ONE, A, B = b"model two\n", b"weights of a\n", b"weights of b, longer\n"


# --- the damages: each does one thing to one file


def flip(path: Path) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    _rewrite(path, bytes(data))


def truncate(path: Path) -> None:
    """The last bytes are missing."""
    _rewrite(path, path.read_bytes()[:-3])


def empty(path: Path) -> None:
    """0 bytes, as a full disk or a crash leaves them."""
    _rewrite(path, b"")


def grow(path: Path) -> None:
    """More bytes behind."""
    _rewrite(path, path.read_bytes() + b"more")


def remove(path: Path) -> None:
    """The file is gone."""
    path.unlink()


def link(path: Path) -> None:
    """A link to the very same bytes elsewhere."""
    elsewhere = path.parents[len(path.parents) - 3] / f"elsewhere-{path.name}"
    shutil.copyfile(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def folder(path: Path) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


def _rewrite(path: Path, data: bytes) -> None:
    """Other bytes, the same mode: DVC trusts an object of mode 0444."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)


BYTES = (flip, truncate, empty, grow)
Damage = Callable[[Path], None]


# --- the places


@dataclass(frozen=True)
class Site:
    """A workspace where 1.0.0 is live and 1.1.0 is released, whose objects can be damaged."""

    bench: Workbench
    objects: dict[str, str]  # what there is to damage, and DVC's digest of it

    def stored(self, what: str, *, remote: bool = False) -> Path:
        top = self.bench.repo.parent / "dvc-remote" if remote else self.bench.repo / ".dvc/cache"
        digest = self.objects[what]
        return top / "files/md5" / digest[:2] / digest[2:]

    def live(self) -> dict[str, bytes]:
        top = self.bench.current.resolve()
        return {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in sorted(top.rglob("*"))
            if path.is_file() and path.name != "metadata.json"
        }


FILE = {"model.bin": ONE}
FOLDER = {"net/a.bin": A, "net/sub/b.bin": B}


def _digest(bench: Workbench, pointer: str) -> str:
    text = (bench.repo / f"{pointer}.dvc").read_text()
    return next(
        line.split()[-1] for line in text.splitlines() if "md5:" in line and "hash" not in line
    )


def _file_site(bench: Workbench) -> Site:
    bench.ship()
    bench.train(ONE)
    bench.release()
    return Site(bench, {"file": _digest(bench, PATH)})


def _folder_site(bench: Workbench) -> Site:
    bench.ship()
    net = bench.folder / "net"
    for name, data in (("a.bin", A), ("sub/b.bin", B)):
        (net / name).parent.mkdir(parents=True, exist_ok=True)
        (net / name).write_bytes(data)
    bench.track("models/churn/net")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: models/churn/net\n")
    bench.commit()
    bench.release()
    import hashlib

    objects = {"list": _digest(bench, "models/churn/net")}
    return Site(bench, {**objects, "member": hashlib.md5(B).hexdigest()})


SITES = {"file": _file_site, "list": _folder_site, "member": _folder_site}
GOOD = {"file": FILE, "list": FOLDER, "member": FOLDER}


# --- the DVC cache and the DVC remote: what a deploy does


@pytest.mark.parametrize("what", SITES)
def test_a_damaged_cache_is_left_for_the_remote(bench: Workbench, what: str) -> None:
    """Every damage: the bad object is dropped, the right bytes go live, the cache is not filled."""
    site = SITES[what](bench)
    for damage in (*BYTES, remove, link, folder):
        stored = site.stored(what)
        atomic.remove_tree(stored)
        shutil.copy(site.stored(what, remote=True), stored)
        damage(stored)
        result = bench.cli("deploy", "churn", "--yes", "--force")
        assert (result.code, result.err) == (0, ""), damage
        assert site.live() == GOOD[what], damage
        assert not stored.is_file(), damage


@pytest.mark.parametrize("what", SITES)
def test_a_damaged_remote_is_refused_and_the_cache_stays_clean(bench: Workbench, what: str) -> None:
    """The cache lacks the object; what the remote has is no use."""
    site = SITES[what](bench)
    live, kept = bench.current.readlink(), site.stored(what, remote=True).read_bytes()
    digest = site.objects[what]
    other = f"error: the DVC remote has other bytes for md5:{digest} than it was released with"
    longer = f"error: the DVC remote sends more for md5:{digest} than the 10 bytes of it"
    for damage in BYTES:
        site.stored(what).unlink(missing_ok=True)
        damage(site.stored(what, remote=True))
        result = bench.cli("deploy", "churn", "--yes")
        assert result.code == 1
        said = result.err.splitlines()[0]
        if what == "file" and damage is grow:
            assert said == longer
        else:
            assert said.startswith(other)
        assert bench.current.readlink() == live
        assert not site.stored(what).exists()
        _rewrite(site.stored(what, remote=True), kept)
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert site.live() == GOOD[what]


@pytest.mark.parametrize("what", SITES)
def test_bytes_that_are_nowhere_in_order_are_refused(bench: Workbench, what: str) -> None:
    """A damaged cache and a remote that lacks the object: the error names both."""
    site = SITES[what](bench)
    live = bench.current.readlink()
    site.stored(what, remote=True).unlink()
    flip(site.stored(what))
    result = bench.cli("deploy", "churn", "--yes")
    named = {"file": "model.bin", "member": "net/sub/b.bin", "list": "the list of net"}[what]
    assert (result.code, result.err.splitlines()[0]) == (
        1,
        f"error: the DVC cache had other bytes for {named} than it was released with, and they"
        f" cannot be fetched again: md5:{site.objects[what]} is in neither the DVC cache nor the"
        f" DVC remote store, {bench.repo.parent}/dvc-remote",
    )
    assert bench.current.readlink() == live
    assert not site.stored(what).exists()


def test_a_good_cache_needs_no_remote_and_extra_objects_are_no_matter(bench: Workbench) -> None:
    site = _folder_site(bench)
    for remote in (False, True):
        extra = site.stored("list", remote=remote).with_name("0" * 30)
        extra.write_bytes(b"nobody's")
    shutil.rmtree(bench.repo.parent / "dvc-remote")
    site.stored("member").chmod(0o644)  # DVC would hash it again
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert site.live() == FOLDER


def test_an_object_that_may_not_be_read_is_fetched_again(bench: Workbench) -> None:
    """The wrong mode in the cache, for somebody whom modes bind."""
    site = _file_site(bench)
    site.stored("file").chmod(0)
    words = [sys.executable, "-m", "tagship", "deploy", "churn", "--yes"]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv: nothing is forbidden")
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *words]
    result = subprocess.run(words, cwd=bench.repo, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert site.live() == FILE
    assert not site.stored("file").exists()


def test_who_only_looks_drops_no_bad_object(bench: Workbench) -> None:
    site = _folder_site(bench)
    bench.manager.deploy()
    flip(site.stored("list"))
    before = bench.state()
    for command in ("status", "verify", "show churn@1.1.0", "list churn"):
        bench.cli(*command.split())
    assert bench.changes(before) == set()


# --- a deployed version: what verify and status find, and what a rollback does about it


def _extra(live: Path) -> None:
    (live / "net/sub/extra.bin").write_bytes(b"extra")


def _extra_folder(live: Path) -> None:
    (live / "net/more").mkdir()


def _on(name: str, damage: Damage) -> Damage:
    return lambda live: damage(live / name)


def _chmod(name: str, mode: int) -> Damage:
    return lambda live: (live / name).chmod(mode)


def _other_digest(live: Path) -> None:
    """A flipped bit in the metadata that is JSON all the same."""
    file = live / "metadata.json"
    text = file.read_text()
    place = text.index('"sha256": "') + len('"sha256": "')
    other = "0" if text[place] != "0" else "1"
    _rewrite(file, (text[:place] + other + text[place + 1 :]).encode())


DRIFTED, BROKEN = 3, 5
NAME = "net/sub/b.bin"
OTHER = "has other bytes than it was deployed with"
DEPLOYED: dict[str, tuple[Damage, str, str, int]] = {
    "a flipped bit": (_on(NAME, flip), NAME, OTHER, DRIFTED),
    "truncated": (_on(NAME, truncate), NAME, "is cut short: has 18 bytes instead of 21", BROKEN),
    "0 bytes": (_on(NAME, empty), NAME, "is cut short: has 0 bytes instead of 21", BROKEN),
    "longer": (_on(NAME, grow), NAME, "has 25 bytes instead of 21", DRIFTED),
    "missing": (_on(NAME, remove), NAME, "is missing", BROKEN),
    "a link": (_on(NAME, link), NAME, "is not a regular file", DRIFTED),
    "a folder": (_on(NAME, folder), NAME, "is missing", BROKEN),
    "an extra file": (_extra, "net/sub/extra.bin", "is not of this version", DRIFTED),
    "an extra folder": (_extra_folder, "net/more", "is not of this version", DRIFTED),
    "executable": (_chmod(NAME, 0o555), NAME, "has another executable bit", DRIFTED),
    "writable": (_chmod(NAME, 0o644), NAME, "has the mode 0644 instead of 0444", DRIFTED),
    "a writable folder": (
        _chmod("net/sub", 0o775), "net/sub", "has the mode 0775 instead of 0555", DRIFTED
    ),
    "no metadata": (_on("metadata.json", remove), "metadata.json", "is missing", BROKEN),
    "empty metadata": (_on("metadata.json", empty), "metadata.json", "cannot be read", BROKEN),
    "half of it": (_on("metadata.json", truncate), "metadata.json", "cannot be read", BROKEN),
    "another digest in it": (_other_digest, "net/a.bin", OTHER, DRIFTED),
}  # fmt: skip


def _damaged(live: Path, damage: Damage) -> None:
    """Damage a version, its folders writable for the moment alone."""
    folders = [path for path in (live, *live.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o755)
    damage(live)
    for path in folders:
        if stat.S_IMODE(path.stat().st_mode) == 0o755:
            path.chmod(0o555)
    for path in live.rglob("*"):
        is_new = path not in folders and path.is_dir() and not path.is_symlink()
        path.chmod(0o555) if is_new else None
        if path.name == "extra.bin":
            path.chmod(0o444)


def test_every_damage_of_a_deployed_version_is_found_named_and_mended(bench: Workbench) -> None:
    """``verify`` and ``status`` name the file; the command that status gives mends it."""
    site = _folder_site(bench)
    bench.manager.deploy()
    for case, (damage, name, what, code) in DEPLOYED.items():
        live = bench.current.resolve()
        _damaged(live, damage)
        problems = {
            verification.directory: verification.problems for verification in bench.manager.verify()
        }
        shown = [(problem.path, problem.what) for problem in problems[live.name]]
        assert shown == [(name, what)], case
        status = bench.cli("status", "churn")
        assert status.code == code, case
        first, mend = status.out.splitlines()[1:3]
        assert first == f"  {live.name}/{name} {what}", case
        for words in [mend.partition(": ")[2].split()]:
            if words[0] == "tagship":
                assert bench.cli(*words[1:], "--yes").code == 0, case
            else:
                subprocess.run(words, check=True)
        assert bench.cli("status", "churn").code == 0, case
        assert site.live() == FOLDER, case


def test_no_damaged_version_goes_live_again_by_a_rollback(bench: Workbench) -> None:
    """It is checked out anew; a wrong mode alone is set right."""
    site = _folder_site(bench)
    bench.manager.deploy()
    for case in ("a flipped bit", "missing", "an extra file", "a link", "no metadata", "writable"):
        damage, _, what, _ = DEPLOYED[case]
        target = bench.current.resolve()
        bench.manager.rollback_to_version("1.0.0")
        _damaged(target, damage)
        bench.manager.rollback_to_version("1.1.0")
        again = bench.current.resolve()
        assert (again == target) == ("mode" in what), case
        assert site.live() == FOLDER, case
        assert bench.manager.status().state is State.IN_ORDER, case
        if again != target:
            atomic.remove_tree(target)

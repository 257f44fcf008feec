"""A disk without room, of bytes or of inodes: before a command, in the midst of it, and after it.

The disk is a tmpfs of a few megabytes, which only root can mount. What fills it are real files.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship.deploy import checkout, cleanup
from tagship.deploy.act import Outcome
from tagship.disk import atomic
from tagship.errors import NoRoom, Unavailable
from tagship.host.store import Store
from tests.crash import cases
from tests.crash.harness import Place
from tests.workbench import MODEL, Result, Workbench

PAGE = 4096  # bytes; tmpfs gives no less
HINT = (
    "hint: make room: df -h and df -i; old versions go with:"
    " tagship -C \\S+ cleanup (churn|MODEL)\n"
)
TOLD = re.compile(
    f"error: .+\n({HINT}|hint: the next command repairs it, once there is room: .+\n)"
)
FRESH = ("deploy", "rollback", "cleanup", "undeploy")


@dataclass(frozen=True)
class Disk:
    """A small disk, what fills it, and a workspace on it."""

    folder: Path
    case: cases.Case

    @property
    def place(self) -> Place:
        return Place(self.case, self.folder)

    @property
    def filling(self) -> Path:
        return self.folder / "filling"

    def fill(self, kind: str, left: int) -> None:
        """Leave so many pages, or inodes."""
        self.filling.mkdir()
        if kind == "pages":
            with (self.filling / "file").open("wb") as file:
                free = os.statvfs(self.folder).f_bavail
                os.posix_fallocate(file.fileno(), 0, free * PAGE - left * PAGE)
            assert os.statvfs(self.folder).f_bavail == left
        else:
            for number in range(os.statvfs(self.folder).f_favail - left):
                (self.filling / str(number)).touch()
            assert os.statvfs(self.folder).f_favail == left

    def clear(self) -> None:
        """Whoever filled the disk makes room again."""
        shutil.rmtree(self.filling)

    def run(self, command: str) -> Result:
        return cases.command(self.place.repo, command)

    def actions(self) -> list[tuple[str, str, str | None]]:
        return [(event.action, event.status, event.version) for event in self.place.events()]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full-disk")
    with cases.sealed(folder):
        for name in FRESH:
            cases.build(cases.named(name), folder / name)
    return folder


@pytest.fixture
def mount(tmp_path: Path, templates: Path) -> Iterator[Callable[..., Disk]]:
    """Mounts a disk with a case's workspace on it."""
    mounted: list[Path] = []

    def new(name: str, size: str = "24m", inodes: int = 4000) -> Disk:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes}", "tmpfs"]
        result = subprocess.run([*words, str(folder)], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted: {result.stderr.strip()}")
        mounted.append(folder)
        shutil.copytree(templates / name, folder, symlinks=True, dirs_exist_ok=True)
        return Disk(folder, cases.named(name))

    try:
        yield new
    finally:
        for folder in mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


# --- asked before


def refused(disk: Disk, command: str, folder: Path, what: str) -> None:
    """The command says what is needed and what is free, and leaves nothing but its failure."""
    live = disk.place.store.current.readlink()
    result = disk.run(command)
    message = f"error: {re.escape(str(folder))} has no room for churn: {what}\n{HINT}"
    assert result.code == 1
    assert re.fullmatch(message, result.err), result.err
    assert disk.place.store.current.readlink() == live
    assert list(disk.place.disorder()) == []
    assert disk.actions()[-1][:2] == ("deploy", "failed")


def test_a_deploy_asks_for_room_in_bytes_first(mount: Callable[..., Disk]) -> None:
    disk = mount("deploy", size="8m")
    figures = r"16\.8 MB are needed, and [78]\.\d MB are free"
    refused(disk, "deploy churn --yes", disk.place.store.folder, figures)


def test_a_deploy_asks_for_inodes_first(mount: Callable[..., Disk]) -> None:
    disk = mount("deploy")
    disk.fill("inodes", 10)  # one for who holds the lock, one for the model, its folder, 8 to spare
    figures = "10 inodes are needed, and 9 are free"
    refused(disk, "deploy churn --yes", disk.place.store.folder, figures)
    (disk.filling / "0").unlink()
    assert disk.run("deploy churn --yes").code == 0


@pytest.mark.parametrize("command", ["deploy churn --yes", "rollback churn --to 1.1.0 --yes"])
def test_what_would_leave_less_than_min_free_is_not_fetched_and_not_blocked(
    mount: Callable[..., Disk], command: str
) -> None:
    disk = mount("deploy", size="60m")
    params = disk.place.repo / "params.yaml"
    before = params.read_text()
    params.write_text(f"{before}tagship:\n  min_free: 50 MB\n")
    figures = (
        r"16\.8 MB are needed, 50\.0 MB have to stay free \(min_free\), and [56]\d\.\d MB are free"
    )
    live = disk.place.version()
    result = disk.run(command)
    said = f"error: {disk.place.store.folder} has no room for churn: {figures}\n{HINT}"
    assert re.fullmatch(said, result.err), result.err
    assert (result.code, disk.place.version()) == (1, live)
    assert list(disk.place.disorder()) == []
    assert disk.run("status churn").code == 3  # behind: not tried and taken back
    assert disk.run("rollback churn --to 1.0.0 --yes").code == 0  # its directory is here
    params.write_text(f"{before}tagship:\n  min_free: 20 MB\n")
    assert disk.run("deploy churn@1.1.0 --yes").code == 0


def test_a_plan_needs_no_room_and_a_deploy_without_a_version_tries_again(
    mount: Callable[..., Disk],
) -> None:
    disk = mount("deploy")
    params = disk.place.repo / "params.yaml"
    before = params.read_text()
    params.write_text(f"{before}tagship:\n  min_free: 5GB\n")
    assert disk.run("deploy churn --dry-run").code == 0
    assert [disk.run("deploy churn --yes").code for _ in range(2)] == [1, 1]
    params.write_text(before)
    assert disk.run("deploy churn --yes").code == 0
    assert disk.place.live() == "new"


def apart(mount: Callable[..., Disk]) -> tuple[Disk, Disk, Path]:
    """A workspace, another disk, and DVC's cache on that: empty."""
    disk, other = mount("deploy"), mount("deploy")
    atomic.remove_tree(disk.place.repo / ".dvc" / "cache")
    cache = other.folder / "cache"
    cache.mkdir()
    (disk.place.repo / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {cache}\n")
    return disk, other, cache


def test_a_cache_on_a_full_disk_stops_no_deploy(mount: Callable[..., Disk]) -> None:
    disk, other, cache = apart(mount)
    other.fill("pages", 0)
    assert disk.run("deploy churn --yes").code == 0
    assert list(cache.iterdir()) == []


def test_what_is_fetched_needs_room_once(
    mount: Callable[..., Disk], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkout, "MARGIN", 0)
    disk = mount("deploy")
    bench = Workbench(disk.place.repo, monkeypatch, capsys)
    bench.train(bytes(range(256)) * 16_000)  # 4.1 MB
    bench.release(version="1.2.0")
    atomic.remove_tree(bench.repo / ".dvc" / "cache")
    disk.fill("pages", 1500)  # 6.1 MB
    assert disk.run("deploy churn --yes").code == 0


# --- a full disk: clean up, then once more

MEGABYTE = 256 * PAGE


@pytest.fixture
def crowded(
    mount: Callable[..., Disk], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Disk, Workbench]:
    """1.2.0 to 1.4.0 of a megabyte each are here, 1.5.0 of two is released; one is to be kept."""
    monkeypatch.setattr(checkout, "MARGIN", 0)
    disk = mount("deploy", size="40m")
    bench = Workbench(disk.place.repo, monkeypatch, capsys)
    for version in ("1.2.0", "1.3.0", "1.4.0", "1.5.0"):
        bench.manager.deploy()
        megabytes = 2 if version == "1.5.0" else 1
        bench.train(version.encode().ljust(megabytes * MEGABYTE, b"."))
        bench.release(version=version)
    params = bench.repo / "params.yaml"
    params.write_text(f"{params.read_text()}tagship:\n  keep: 1\n")
    return disk, bench


def follow(bench: Workbench, tries: list[str]) -> Outcome:
    """What a pass of a host does: deploy what is desired, with room."""

    def attempt() -> Outcome:
        tries.append(bench.live()[:5])
        return bench.manager.deploy()

    return cleanup.with_room(bench.manager.host, MODEL, attempt)


def kept(disk: Disk) -> list[str]:
    """The versions on disk."""
    return sorted(name.partition("_")[0][1:] for name in disk.place.store.directories())


def test_a_disk_without_room_is_cleaned_up_and_the_deploy_done_once_more(
    crowded: tuple[Disk, Workbench],
) -> None:
    disk, bench = crowded
    bench.manager.pin("1.0.0")
    disk.fill("pages", 2 * 256 - 100)
    tries: list[str] = []
    outcome = follow(bench, tries)
    assert tries == ["1.4.0", "1.4.0"]
    assert (outcome.place.version, bench.live()[:5]) == ("1.5.0", "1.5.0")
    assert [name.partition("_")[0] for name in outcome.removed] == ["v1.1.0", "v1.2.0", "v1.3.0"]
    assert outcome.freed > 2 * MEGABYTE
    assert kept(disk) == ["1.0.0", "1.4.0", "1.5.0"]
    assert disk.actions()[-5:] == [
        ("deploy", "failed", "1.5.0"),
        ("cleanup", "succeeded", "1.1.0"),
        ("cleanup", "succeeded", "1.2.0"),
        ("deploy", "succeeded", "1.5.0"),
        ("cleanup", "succeeded", "1.3.0"),
    ]
    assert disk.run("verify churn").code == 0
    assert list(disk.place.store.staging.iterdir()) == []


def test_a_disk_that_fills_in_the_midst_is_cleaned_up_too(
    crowded: tuple[Disk, Workbench], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, bench = crowded
    asks = checkout._check_space

    def ask_and_fill(*arguments: object) -> None:
        asks(*arguments)  # type: ignore[arg-type]
        if not disk.filling.exists():
            disk.fill("pages", 2 * 256 - 100)

    monkeypatch.setattr(checkout, "_check_space", ask_and_fill)
    tries: list[str] = []
    assert follow(bench, tries).place.version == "1.5.0"
    assert tries == ["1.4.0", "1.4.0"]
    assert disk.run("verify churn").code == 0
    assert list(disk.place.store.staging.iterdir()) == []


@pytest.mark.parametrize("setting", ["keep: 9", "auto_cleanup: false"])
def test_where_nothing_may_go_the_disk_is_told_once(
    crowded: tuple[Disk, Workbench], setting: str
) -> None:
    disk, bench = crowded
    params = bench.repo / "params.yaml"
    params.write_text(params.read_text().replace("keep: 1", setting))
    disk.fill("pages", 100)
    tries: list[str] = []
    with pytest.raises(NoRoom, match=r"has no room for churn: 2\.1 MB are needed"):
        follow(bench, tries)
    assert tries == ["1.4.0"]
    assert kept(disk) == ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"]


def test_what_fails_for_another_reason_is_not_tried_again(
    crowded: tuple[Disk, Workbench],
) -> None:
    disk, bench = crowded
    tries: list[str] = []
    atomic.remove_tree(bench.repo / ".dvc" / "cache")
    atomic.remove_tree(bench.repo.parent / "dvc-remote")
    with pytest.raises(Unavailable):
        follow(bench, tries)
    assert tries == ["1.4.0"]
    assert len(kept(disk)) == 5


def test_room_is_made_of_what_another_model_keeps_too_long(
    crowded: tuple[Disk, Workbench],
) -> None:
    """``churn`` has old versions; the model that needs room has none here."""
    disk, bench = crowded
    removed, freed = cleanup.make_room(bench.manager.host, "other")
    assert [name.partition("_")[0] for name in removed] == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert freed > MEGABYTE
    assert kept(disk) == ["1.3.0", "1.4.0"]
    assert not disk.place.store.folder.with_name("other").exists()


# --- filled in the midst of it


@pytest.mark.parametrize("kind", ["pages", "inodes"])
@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_a_disk_that_fills_leaves_the_old_or_the_new_version_and_the_next_command_mends_it(
    mount: Callable[..., Disk], monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    """With one page more, or one inode, each time: a write after another is the one that fails."""
    asks, codes, said = checkout._check_space, [], set()
    for left in range(16):
        disk = mount(name)

        def ask_and_fill(*arguments: object, disk: Disk = disk, left: int = left) -> None:
            asks(*arguments)  # type: ignore[arg-type]
            disk.fill(kind, left)

        monkeypatch.setattr(checkout, "_check_space", ask_and_fill)
        if name == "rollback":  # it needs no room to ask for
            disk.fill(kind, left)
        result = disk.run(disk.case.command)
        monkeypatch.setattr(checkout, "_check_space", asks)
        codes.append(result.code)
        live = disk.place.live()
        assert list(disk.place.damage()) == []
        assert list(disk.place.store.staging.iterdir()) == []
        if result.code == 0:
            break
        assert result.code == 1
        assert TOLD.fullmatch(result.err), result.err
        assert live == ("new" if "is live, but" in result.err else "old")
        said.add(re.sub(r"\d{8}_\d{6}", "ID", result.err).replace(str(disk.folder), ""))
        _check_still_full(disk, live)
        disk.clear()
        first = disk.run(f"rollback {MODEL} --to {disk.place.version()} --yes")
        assert first.code == 0, first.err
        assert list(disk.place.disorder()) == []
        assert disk.place.live() == live
        assert list(disk.place.again()) == []
    assert codes == [1] * (len(codes) - 1) + [0]
    assert len(said) >= 2, said


def _check_still_full(disk: Disk, live: str) -> None:
    """A disk that stays full: commands that only look work, the others say what is wrong."""
    assert disk.run(f"current {MODEL}").code == 0
    assert disk.run(f"status {MODEL}").code in (0, 3)
    again = disk.run(f"rollback {MODEL} --to {disk.place.version()} --yes")
    assert again.code == 0 or TOLD.fullmatch(again.err), again.err
    assert list(disk.place.damage()) == []
    assert disk.place.live() == live


# --- what makes room


@pytest.mark.parametrize("kind", ["pages", "inodes"])
def test_a_cleanup_needs_no_room(mount: Callable[..., Disk], kind: str) -> None:
    disk = mount("cleanup")
    disk.fill(kind, 0)
    result = disk.run(disk.case.command)
    assert (result.code, result.err) == (0, "")
    assert [event[0::2] for event in disk.actions()[-2:]] == [
        ("cleanup", "1.0.0"), ("cleanup", "1.1.0")]  # fmt: skip
    assert list(disk.place.disorder()) == []
    assert disk.run(f"rollback {MODEL} --yes").code == 0


@pytest.mark.parametrize("kind", ["pages", "inodes"])
def test_an_undeploy_needs_no_room(mount: Callable[..., Disk], kind: str) -> None:
    disk = mount("undeploy")
    disk.fill(kind, 0)
    result = disk.run(disk.case.command)
    assert (result.code, result.err) == (0, "")
    assert disk.actions()[2:] == [("undeploy", "succeeded", None)]
    assert list(disk.place.disorder()) == []
    disk.clear()
    assert disk.run(f"rollback {MODEL} --yes").code == 0


@pytest.mark.parametrize("kind", ["pages", "inodes"])
def test_a_cleanup_makes_room_for_what_a_run_could_not_record(
    mount: Callable[..., Disk], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A rollback is live, and the disk was too full for its event: the cleanup writes it."""
    disk, switch = mount("cleanup"), Store.switch

    def switch_and_fill(store: Store, directory: str) -> None:
        switch(store, directory)
        disk.fill(kind, 0)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "switch", switch_and_fill)
        result = disk.run(f"rollback {MODEL} --to 1.0.0 --yes")
    assert (result.code, disk.place.version()) == (1, "1.0.0")
    assert result.err.startswith(
        "error: churn 1.0.0 is live, but the history could not be written: "
    )
    for command in (f"rollback {MODEL} --to 1.0.0 --yes", f"pin {MODEL}@1.3.0"):
        again = disk.run(command)
        assert re.fullmatch(f"error: what a run left cannot be put in order: .+\n{HINT}", again.err)
        assert again.code == 1
    cleaned = disk.run(f"cleanup {MODEL} --keep 1 --yes")
    assert (cleaned.code, cleaned.err) == (
        0,
        "note: the check of churn 1.0.0 was cut short: it is run again\n"
        "note: the rollback of churn@1.0.0 was cut short after the switch: it is live, and in the"
        " history\nnote: the check of churn 1.0.0 was cut short: it passed now\n",
    )
    assert disk.actions()[-4:] == [
        ("cleanup", "succeeded", "1.1.0"),
        ("cleanup", "succeeded", "1.2.0"),
        ("rollback", "succeeded", "1.0.0"),
        ("recover", "succeeded", None),
    ]
    assert list(disk.place.disorder()) == ["1.0.0 is live"]  # as it should be, after this

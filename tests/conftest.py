"""Every test is sealed off: a home, a configuration of Git and DVC, and dates of its own."""

import contextlib
import functools
import gc
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import accounts as other_accounts
from tests import budget, hosts, training, workbench
from tests.accounts import Accounts, Commands
from tests.hosts import Following
from tests.workbench import Workbench

# A deadline would measure the machine. The same examples in each run: luck is no test result.
settings.register_profile("sealed", deadline=None, derandomize=True)
settings.load_profile("sealed")

# A shell starts what it runs in the background deaf to Ctrl-C, and nohup what it runs to SIGHUP; a
# process inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Nearly all that is imported stays: Keras takes a quarter longer where it is looked through for
# garbage after every 700 objects.
gc.set_threshold(50_000, 20, 50)

os.umask(0o022)  # status tells of folders that a group can write to

# Files that one process of xdist runs: they share what takes long to make, or to import.
TOGETHER = {
    "demo": ("test_demo.py", "pipeline/test_stages.py", "test_notebooks.py"),
    "TensorFlow": (
        "test_export.py",
        "test_loaders.py",
        "test_safe_loading.py",
        "test_models.py",
        "test_answers.py",
    ),
}


Begun = Callable[[str], Path]  # the template of one of BEGINNINGS
BEGINNINGS: dict[str, Callable[[Workbench], object]] = {
    "released": Workbench.release,
    "live": Workbench.ship,
    "following": hosts.begin,
    "following_on": lambda bench: hosts.begin(bench, "model 2\n"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    budget.add_options(parser)
    parser.addoption("--all-hints", action="store_true", help="try every hint, not a sample")
    parser.addoption("--containers", action="store_true", help="build and run the image")
    parser.addoption("--all-stores", action="store_true", help="start every store, try each answer")
    parser.addoption("--all-serve", action="store_true", help="serve under load, to real clients")
    parser.addoption("--all-oci", action="store_true", help="push to a real registry")
    parser.addoption("--engines", action="store_true", help="serve with MLServer and Ray")
    parser.addoption("--all-fleet", action="store_true", help="start the servers of a fleet")


def pytest_configure(config: pytest.Config) -> None:
    budget.register(config, Path(__file__).with_name("budget.json"))
    config.option.loadscopereorder = False  # the budget knows better in which order


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run each file in one process of xdist, and those of ``TOGETHER`` in the same one.

    With ``--all-stores`` it is each store: its server is started once.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            if config.getoption("all_stores"):
                return re.split(r"[^a-z]", nodeid.partition("[")[2], maxsplit=1)[0] or file
            return next((name for name, of in TOGETHER.items() if file.endswith(of)), file)

    return Scheduling(config, log)


DATE = "1795176000 +0000"  # 2026-11-20T12:00:00Z, in the form that dulwich reads too


def _seal(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DVC_GLOBAL_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(home))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site-cache"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("SUDO_USER", raising=False)  # it would be in each history
    monkeypatch.setenv("NO_COLOR", "1")  # a terminal's text is compared; colours have their test
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
        monkeypatch.setenv(f"GIT_{role}_DATE", DATE)


@pytest.fixture(autouse=True)
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _seal(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace built once with real Git and DVC; each test gets a copy."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _seal(monkeypatch, tmp_path_factory.mktemp("template-home"))
        workbench.build(folder)
        yield folder


@pytest.fixture
def copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], Workbench]:
    """Give a test its own copy of a workspace that was prepared."""

    def copy(prepared: Path) -> Workbench:
        workbench.copy(prepared, tmp_path)
        return Workbench(tmp_path / "repo", monkeypatch, capsys)

    return copy


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    template: Path,
    begun: Begun,
    copied: Callable[[Path], Workbench],
) -> Workbench:
    """A workspace without a version; for a test that is marked so, as ``BEGINNINGS`` has it."""
    marks = [name for name in BEGINNINGS if request.node.get_closest_marker(name)]
    return copied(begun(marks[0]) if marks else template)


@contextlib.contextmanager
def prepared(template: Path, folder: Path) -> Iterator[Workbench]:
    """A copy of a template to prepare once, for a fixture that many tests copy in their turn."""
    workbench.copy(template, folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        _seal(monkeypatch, folder)
        yield Workbench(folder / "repo", monkeypatch, None)  # type: ignore[arg-type] # it prints nothing


@pytest.fixture(scope="session")
def begun(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Begun:
    """The same once more for each of ``BEGINNINGS``, when a test first begins so."""

    @functools.cache
    @budget.shared()
    def build(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        with prepared(template, folder) as bench:
            BEGINNINGS[name](bench)
            workbench.slim(folder)
        return folder

    return build


@pytest.fixture(scope="session")
def shipped_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same once more, with what ``shipped`` has."""
    folder = tmp_path_factory.mktemp("shipped")
    with prepared(template, folder) as bench:
        bench.ship()
        bench.ship("model 2\n")
        workbench.slim(folder)
    return folder


@pytest.fixture
def shipped(shipped_template: Path, copied: Callable[[Path], Workbench]) -> Workbench:
    """1.0.0 ("model 1") was deployed, and then 1.1.0 ("model 2"), which is live."""
    return copied(shipped_template)


@pytest.fixture(scope="session")
def released_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same once more, with 1.0.0 ("model 1") released and pushed."""
    folder = tmp_path_factory.mktemp("released")
    with prepared(template, folder) as bench:
        hosts.of(bench).release()
        workbench.slim(folder)
    return folder


@pytest.fixture
def host(
    request: pytest.FixtureRequest, released_template: Path, begun: Begun,
    copied: Callable[[Path], Workbench],
) -> Following:  # fmt: skip
    """A host that follows a repository with 1.0.0 ("model 1"), and fetched nothing yet.

    For a test that is marked ``following``, 1.0.0 is live.
    """
    if request.node.get_closest_marker("following"):
        return hosts.moved(copied(begun("following")), begun("following"))
    return hosts.of(copied(released_template))


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> training.Demo:
    """``tagship demo``, run once for all processes of the tests; its cache has both models."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent
    return training.demo(folder / "demo")


@pytest.fixture(scope="session")
def commands_of_accounts() -> Iterator[Commands]:
    with contextlib.closing(Commands()) as commands:
        yield commands


@pytest.fixture
def accounts(shipped: Workbench, commands_of_accounts: Commands) -> Iterator[Accounts]:
    """``shipped``, which one account owns and others may read."""
    yield from other_accounts.of(shipped, commands_of_accounts)

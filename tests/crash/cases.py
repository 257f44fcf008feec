"""The commands that are killed and failed, and the workspaces that they are run in."""

import contextlib
import functools
import io
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tagship import Workspace, loaders
from tagship.cli import main
from tagship.disk import atomic
from tests import carrying, conftest, hosts, workbench
from tests.crash import tracing
from tests.workbench import Result, Workbench

MEND = "cleanup churn --keep 1000 --yes"  # takes the lock, and changes nothing by itself


@dataclass(frozen=True)
class Case:
    """A command in a workspace.

    Attributes:
        before, after: the version that is live, or for a release the highest; None where none is.
        prepare: makes the workspace.
        again: the command by which a user tries again; None for the same.
        gits: the commands of Git that change files in it.
        site: as for ``tracing.run``.
        fails: the version that is live for a moment, and fails its check.
        code: the exit code, if nothing is struck.
        host: it is run in a host's folder, which follows the repository.
        makes: the file or the folder that it writes beside the repository; it touches no
            deployment. See ``made``.
    """

    name: str
    command: str
    before: str | None
    after: str | None
    prepare: Callable[[Workbench], None]
    again: str | None = None
    gits: tuple[str, ...] = ()
    site: str = ""
    fails: str | None = None
    code: int = 0
    host: bool = False
    makes: str = ""

    @property
    def where(self) -> str:
        """The folder that the command is run in."""
        return "host" if self.host else "repo"

    @property
    def releases(self) -> bool:
        """Whether it publishes, and touches no deployment."""
        return self.command.startswith("release")


def content(version: str) -> bytes:
    """The model's bytes, of a version that a case releases."""
    return f"model {int(version.split('.')[1]) + 1}\n".encode()


def _ship(bench: Workbench, last: int) -> None:
    """Release and deploy 1.0.0 to 1.``last``.0."""
    for minor in range(last + 1):
        bench.ship(content(f"1.{minor}.0").decode() if minor else None)


def _only_released(bench: Workbench) -> None:
    bench.release()


def _released(bench: Workbench) -> None:
    _ship(bench, 0)
    bench.release("model 2\n")


def _tested_once_live(bench: Workbench) -> None:
    _released(bench)
    (bench.repo / "params.yaml").write_text("tagship: {after_switch: self_test}\n")


def _first_tested_once_live(bench: Workbench) -> None:
    _only_released(bench)
    (bench.repo / "params.yaml").write_text("tagship: {after_switch: self_test}\n")


@functools.cache
def _server() -> str:
    """A server that gives every file of this machine, on loopback, as long as this process runs."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory="/"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _in_a_store(bench: Workbench) -> None:
    """The same, where the bytes come by obstore and are streamed."""
    _not_cached(bench)
    remote = bench.repo.parent / "dvc-remote"
    config = f"['remote \"store\"']\n    url = {_server()}{remote}\n"
    (bench.repo / ".dvc/config.local").write_text(config)


def _one_too_many(bench: Workbench) -> None:
    """The deploy of the next version removes 1.0.0: 1.1.0 is what a rollback goes back to."""
    _ship(bench, 1)
    (bench.repo / "params.yaml").write_text("tagship: {keep: 1}\n")
    bench.release("model 3\n")


def _not_cached(bench: Workbench) -> None:
    _released(bench)
    atomic.remove_tree(bench.repo / ".dvc" / "cache")


def _beside(prepare: Callable[[Workbench], None]) -> Callable[[Workbench], None]:
    """The same, and an empty folder beside the repository."""

    def prepare_both(bench: Workbench) -> None:
        prepare(bench)
        (bench.repo.parent / "out").mkdir()

    return prepare_both


def _exported(bench: Workbench) -> None:
    _released(bench)
    bench.manager.export_image(bench.repo.parent / "stored")


def _gone(bench: Workbench) -> None:
    _ship(bench, 1)
    first = next(bench.folder.glob("versions/v1.0.0_*"))
    atomic.remove_tree(first)


def _trained(bench: Workbench) -> None:
    _ship(bench, 0)
    bench.train("model 2\n")


def _pinned(bench: Workbench) -> None:
    _ship(bench, 0)
    bench.manager.pin("1.0.0")


def _first_followed(bench: Workbench) -> None:
    """A host that has fetched nothing yet. It asks the repository of the template for the tags."""
    bench.manager.release(push=True)
    hosts.of(bench)


def _followed(bench: Workbench) -> None:
    """1.0.0 is live on a host, and 1.1.0 is new."""
    _first_followed(bench)
    assert command(hosts.Following(bench).folder, "sync").code == 0
    bench.train("model 2\n")
    bench.manager.release(push=True)


def _followed_without_git(bench: Workbench) -> None:
    """The same on a host that follows the DVC remote of the template, by capsules."""
    bench.manager.release(push=True, capsule=True)
    host = carrying.of(hosts.Following(bench))
    assert command(host.folder, "sync").code == 0
    bench.train("model 2\n")
    bench.manager.release(push=True, capsule=True)


def _gated(bench: Workbench) -> None:
    """The same, where what is new will fail its gate; it is fetched."""
    _followed(bench)
    host = hosts.Following(bench)
    assert command(host.folder, "fetch").code == 0
    host.follow(gate='command = ["/bin/false"]\npass = "1 of 1"\nwatch = 0')


def _killed(of: str, at: str) -> Callable[[Workbench], None]:
    """Another case's command, killed at the first call whose text ends so."""

    def prepare(bench: Workbench) -> None:
        case = next(case for case in CASES if case.name == of)
        case.prepare(bench)
        folder = bench.repo.parent
        aside = folder.with_name(f"{folder.name}-count")
        shutil.copytree(folder, aside, symlinks=True)
        log = tracing.run(aside, case.command, site=case.site, where=case.where).log
        call = next(one for one in tracing.calls(log, aside) if one.what.endswith(at))
        shutil.rmtree(aside)
        inject = f"{call.name}:signal=KILL:when={call.when}"
        killed = tracing.run(folder, case.command, inject=inject, site=case.site, where=case.where)
        assert [one.what for one in tracing.struck(killed.log, folder)] == [call.what]

    return prepare


def _bundled(bench: Workbench) -> None:
    """1.0.0 in a bundle: another one of it has the same bytes."""
    bench.release()
    bench.manager.bundle(bench.repo.parent / "expected.tar")


def _taken(bench: Workbench) -> None:
    """1.0.0 was taken in, and 1.1.0 is in a bundle."""
    top = bench.repo.parent
    _bundled(bench)
    Workspace(top).unbundle(top / "expected.tar", top / "place", accept=lambda _: True)
    bench.release("model 2\n")
    (top / "expected.tar").unlink()
    bench.manager.bundle(top / "expected.tar")


CASES = (
    Case("deploy", "deploy churn --yes", "1.0.0", "1.1.0", _released),
    Case("first deploy", "deploy churn --yes", None, "1.0.0", _only_released),
    Case("deploy with a fetch", "deploy churn --yes", "1.0.0", "1.1.0", _not_cached,
         site="one_thread"),
    Case("deploy from a store", "deploy churn --yes", "1.0.0", "1.1.0", _in_a_store,
         site="one_thread"),
    Case("deploy with a cleanup", "deploy churn --yes", "1.1.0", "1.2.0", _one_too_many),
    Case("deploy that fails its check", "deploy churn --no-smoke-test --yes", "1.0.0", "1.0.0",
         _tested_once_live, site="bad_loader", fails="1.1.0", code=1),
    Case("first deploy that fails its check", "deploy churn --no-smoke-test --yes", None, None,
         _first_tested_once_live, site="bad_loader", fails="1.0.0", code=1),
    Case("recovery of a check", MEND, "1.0.0", "1.0.0",
         _killed("deploy that fails its check", "repo/models/churn/.tagship/.history.sha256.tmp"),
         again="deploy churn --no-smoke-test --yes", site="bad_loader", fails="1.1.0"),
    Case("rollback", "rollback churn --yes", "1.1.0", "1.0.0", lambda bench: _ship(bench, 1),
         again="rollback churn --to 1.0.0 --yes"),
    Case("rollback to a tag", "rollback churn --yes", "1.1.0", "1.0.0", _gone,
         again="rollback churn --to 1.0.0 --yes"),
    Case("cleanup", "cleanup churn --keep 1 --yes", "1.3.0", "1.3.0",
         lambda bench: _ship(bench, 3)),
    Case("recovery before the switch", MEND, "1.0.0", "1.0.0",
         _killed("deploy", "repo/models/churn/current")),
    Case("recovery after the switch", MEND, "1.1.0", "1.1.0",
         _killed("deploy", "repo/models/churn/deployment_history.json")),
    Case("recovery of the cleanup after a deploy", MEND, "1.2.0", "1.2.0",
         _killed("deploy with a cleanup", "repo/models/churn/.tagship/trash/v1.0.0_ID")),
    Case("recovery of a cleanup", MEND, "1.3.0", "1.3.0",
         _killed("cleanup", "repo/models/churn/deployment_history.json")),
    Case("undeploy", "undeploy churn --yes", "1.1.0", None, lambda bench: _ship(bench, 1)),
    Case("undeploy --history", "undeploy churn --history --force --yes", "1.0.0", None, _pinned),
    Case("recovery before the undeploy", MEND, "1.1.0", "1.1.0",
         _killed("undeploy", "repo/models/churn/current")),
    Case("recovery of an undeploy", MEND, None, None,
         _killed("undeploy", "repo/models/churn/.tagship/trash/v1.1.0_ID")),
    Case("sync", "sync", "1.0.0", "1.1.0", _followed, gits=("fetch", "update-ref"),
         site="one_thread", host=True),
    Case("sync without Git", "sync", "1.0.0", "1.1.0", _followed_without_git,
         gits=("index-pack", "update-ref"), site="one_thread", host=True),
    Case("sync whose gate fails", "sync", "1.0.0", "1.0.0", _gated, site="one_thread",
         fails="1.1.0", code=4, host=True),
    Case("release", "release churn", "1.0.0", "1.1.0", _trained, gits=("tag",),
         site="one_thread"),
    Case("release --push", "release churn --push", "1.0.0", "1.1.0", _trained,
         gits=("tag", "push"), site="one_thread"),
    Case("bundle", "bundle churn -o ../x.tar", None, "1.0.0", _bundled, makes="x.tar"),
    Case("first unbundle", "unbundle ../expected.tar ../place --yes", None, "1.0.0", _bundled,
         gits=("index-pack", "update-ref"), makes="place"),
    Case("unbundle", "unbundle ../expected.tar ../place", "1.0.0", "1.1.0", _taken,
         gits=("index-pack", "update-ref"), makes="place"),
    Case("export of an image", "export churn --format oci -o ../out/image", "1.0.0", "1.0.0",
         _beside(_released), site="one_thread", makes="out/image"),
    Case("export of an image with a fetch", "export churn --format oci -o ../out/image", "1.0.0",
         "1.0.0", _beside(_in_a_store), site="one_thread", makes="out/image"),
    Case("unpack", "unpack oci:../stored ../out/image", "1.0.0", "1.0.0", _beside(_exported),
         site="one_thread", makes="out/image"),
)  # fmt: skip


def named(name: str) -> Case:
    """The case of a name."""
    return next(case for case in CASES if case.name == name)


@contextlib.contextmanager
def sealed(folder: Path) -> Iterator[None]:
    """The tests' own home and configuration, for whoever runs without pytest."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        conftest._seal(monkeypatch, folder)
        yield


def build(case: Case, folder: Path) -> None:
    """The case's workspace: ``folder/repo`` and its remotes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        bench = Workbench(workbench.build(folder), monkeypatch, None)  # type: ignore[arg-type]
        case.prepare(bench)


@contextlib.contextmanager
def found(site: str) -> Iterator[None]:
    """The modules of a folder beside this file are found, also by processes of this one."""
    if not site:
        yield
        return
    folder = str(Path(__file__).parent / site)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
        loaders.known.cache_clear()
        yield
    loaders.known.cache_clear()


def command(repo: Path, text: str, site: str = "") -> Result:
    """The command line in this process, as ``Workbench.cli``, without pytest's capture.

    ``site``: as for ``tracing.run``.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, sys.argv = sys.argv, ["tagship", "-C", str(repo), *text.split()]
    try:
        with found(site), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    return Result(code, out.getvalue(), err.getvalue())

"""One host, nginx and S3: releases, a rollback by hand, a hold, a cable pulled, a year."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from tests.lab.edges import Edge, Team
from tests.workbench import MODEL

# A program that answers with the model: by the version that it has, and not if that is broken.
SERVER = """
import http.server, json, os, pathlib

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        folder = pathlib.Path("/srv/models/churn/current").resolve()
        broken = b"broken" in (folder / "model.bin").read_bytes()
        version = json.loads((folder / "metadata.json").read_bytes())["version"]
        answer = json.dumps({"model_version": version}).encode()
        self.send_response(503 if broken else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""
GATE = """
[follow.churn.gate]
http = {{url = "http://127.0.0.1:8080/ready", json = {{version = "model_version"}}}}
command = ["/etc/tagship/check"]
pass = "{0} of {0}"
watch = "{1}"
"""
CHECK = """#!/bin/sh
! grep -q wrong "$TAGSHIP_DIRECTORY/model.bin" || { echo "wrong answers"; exit 1; }
"""
MEGABYTE = 1 << 20
MONDAY = datetime(2027, 1, 4, 9, tzinfo=UTC)
WEEK = timedelta(weeks=1)


@contextlib.contextmanager
def serving(edge: Edge, attempts: int = 2, watch: str = "1s") -> Iterator[None]:
    """The host has a gate, and a program that it asks."""
    gate = GATE.format(attempts, watch)
    edge.add(gate)
    edge.node.write("/etc/tagship/check", CHECK, 0o755)
    edge.log.write(f"{edge.node.name}$ cat >> {edge.folder}/tagship.toml{gate}")
    server = edge.node.start("setpriv", "--pdeathsig", "KILL", sys.executable, "-c", SERVER)
    try:
        await_(lambda: edge.node.run("curl", "-s", "http://127.0.0.1:8080/").code != 7)
        yield
    finally:
        server.kill()
        server.communicate()


def await_(is_so: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def in_order(version: str, *did: str) -> str:
    return f"churn: in order, live {version}\n" + "".join(f"  {each}\n" for each in did)


def passed(version: str) -> tuple[str, str]:
    return f"{version} is live", f"{version} passed its gate: 2 of 2 attempts passed"


def test_a_release_a_bad_one_a_rollback_and_a_hold(team: Team) -> None:
    edge, log = team.host("edge-1"), team.log
    log.heading("a release is followed")
    team.release()
    edge.passes(0, in_order("1.0.0", "1.0.0 is live"))
    edge.passes(0, in_order("1.0.0"))
    with serving(edge):
        log.heading("a gate is new: the next release is measured, and passes")
        team.release("model 2\n")
        edge.passes(0, in_order("1.1.0", *passed("1.1.0")))

        log.heading("a bad one is stopped by its gate and taken back, and is not tried again")
        for number, bad, why in ((3, "broken", "answers 503"), (4, "wrong", "wrong answers")):
            version = team.release(f"model {number}, {bad}\n")
            result = edge.tagship("sync")
            assert (result.code, edge.live()) == (4, "model 2")
            assert why in result.out and "1.1.0 is live again" in result.out
            again = edge.tagship("sync")
            assert (again.code, f"{version} is live" in again.out) == (4, False)

        log.heading("the next release goes through")
        team.release("model 5\n")
        edge.passes(0, in_order("1.4.0", *passed("1.4.0")))

        log.heading("a rollback by hand lasts")
        back = edge.tagship("rollback", MODEL, "--yes", "--reason", "wrong on snow")
        assert (back.code, edge.live()) == (0, "model 2")
        for _ in range(2):
            edge.passes(0, in_order("1.1.0"))
        edge.tagship("status")
        log.heading("and the next release goes through")
        team.release("model 6\n")
        edge.passes(0, in_order("1.5.0", *passed("1.5.0")))

        log.heading("a hold")
        assert edge.tagship("hold", MODEL, "--reason", "the audit").code == 0
        team.release("model 7\n")
        held = edge.tagship("sync")
        assert (held.code, "the audit" in held.out, edge.live()) == (3, True, "model 6")
        assert edge.tagship("resume", MODEL).code == 0
        edge.passes(0, in_order("1.6.0", *passed("1.6.0")))
    assert edge.tagship("history", MODEL).code == 0
    assert edge.tagship("verify").code == 0


def test_a_cable_is_pulled_in_mid_fetch(team: Team) -> None:
    edge, log = team.host("edge-1"), team.log
    team.release()
    edge.passes(0, in_order("1.0.0", "1.0.0 is live"))

    log.heading("the cable is pulled while the bytes of 1.1.0 come")
    team.release(b"model 2\n" + os.urandom(8 * MEGABYTE))
    edge.node.throttle("8mbit")
    process = edge.start("sync")
    arrives(edge, process, "churn/.tagship", MEGABYTE)
    edge.node.cut()
    began = time.monotonic()
    result = edge.end(process, "sync")
    log.write(f"# it ended {time.monotonic() - began:.0f} s after the cut")
    assert (result.code, result.err, edge.live()) == (3, "", "model 1")
    assert "1.1.0 waits until " in result.out
    without = edge.tagship("sync")
    assert (without.code, "nothing could be fetched" in without.out) == (1, True)
    assert edge.tagship("current", MODEL).out == "1.0.0\n"
    assert edge.left() == []

    log.heading("the cable is back")
    edge.node.mend()
    edge.node.unthrottle()
    assert edge.tagship("sync", "--retry").out == in_order("1.1.0", "1.1.0 is live")

    log.heading("it is pulled while Git fetches the tags")
    many = "".join(
        f"tag churn@v0.0.{number}\nfrom refs/heads/main\ntagger Ada <a@example.com> 0 +0000\n"
        f"data 1000\n{os.urandom(500).hex()}\n"
        for number in range(600)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=team.origin, input=many, text=True,
                   check=True)  # fmt: skip
    team.release("model 3\n")
    edge.node.throttle("512kbit")
    process = edge.start("sync")
    arrives(edge, process, ".tagship/mirror.git/objects/pack", 50_000)
    edge.node.cut()
    began = time.monotonic()
    result = edge.end(process, "sync")
    log.write(f"# it ended {time.monotonic() - began:.0f} s after the cut")
    assert (result.code, "nothing could be fetched" in result.out) == (1, True)
    assert (edge.live(), edge.left()) == ("model 2", [])
    edge.node.mend()
    edge.node.unthrottle()
    edge.passes(0, in_order("1.2.0", "1.2.0 is live"))


def arrives(edge: Edge, process: "subprocess.Popen[str]", folder: str, size: int) -> None:
    """Wait until a process has received some bytes into a folder of the host."""
    place = edge.node.path(f"{edge.folder}/{folder}")
    before = _size(place)
    await_(lambda: process.poll() is not None or _size(place) - before > size)
    assert process.poll() is None, process.communicate()


def _size(folder: "os.PathLike[str]") -> int:
    sizes = 0
    for top, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes += os.stat(f"{top}/{name}").st_size  # noqa: PTH116 - paths as text
    return sizes


def test_a_year_on_a_small_disk(team: Team) -> None:
    """52 releases, 155 MB in all, on 40 MB; bad ones, a rollback, weeks without power."""
    edge, log = team.host("edge-1", size="40m"), team.log
    edge.add('[deploy]\nkeep = 3\nmin_free = "1 MB"\n')
    live, off, released = "", range(33, 36), 0
    with serving(edge, attempts=1, watch="0s"):
        for week in range(52):
            edge.moment = MONDAY + week * WEEK
            team.set_clock(edge.moment)
            words = "model" if week % 13 != 12 else "broken model"
            content = f"{words} {week}\n".encode() + os.urandom((2 + week % 3) * MEGABYTE)
            released += len(content)
            team.release(content)
            if week in off:
                continue
            result = edge.tagship("sync", "--quiet")
            live, code = (f"model {week}", 0) if words == "model" else (live, 4)
            assert (result.code, result.err, edge.live()) == (code, "", live), result
            if week == 20:
                log.heading("a rollback by hand, which lasts until the next release")
                assert edge.tagship("rollback", MODEL, "--yes").code == 0
                assert (edge.tagship("sync").code, edge.live()) == (0, "model 19")
    log.heading("after a year")
    assert edge.tagship("list", MODEL).code == 0
    assert edge.tagship("history", MODEL).code == 0
    assert edge.tagship("verify").code == 0
    mirror = f"{edge.folder}/.tagship/mirror.git"
    for command in ("df -h /srv", f"du -sh {mirror}", f"git -C {mirror} count-objects -v"):
        log.write(f"edge-1$ {command}\n{edge.node.run(*command.split()).out}")
    log.write(f"# {released / MEGABYTE:.0f} MB were released")
    assert edge.left() == []
    on_disk = list((edge.model / "versions").iterdir())
    assert len(on_disk) == 4  # those kept, and the one that failed last
    assert _size(edge.node.path(mirror)) < MEGABYTE
    assert released > 3 * 40 * MEGABYTE

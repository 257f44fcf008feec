"""docs/serve.md: its examples of proxies in front of a server, and its unit of systemd."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.serve.asking import JSON, Served, batch, until
from tests.serve.shelf import Shelf
from tests.stores import servers
from tests.test_docs import blocks, page, section

pytestmark = pytest.mark.heavy
NAME = "models.example.com"
Start = Callable[..., Served]


@pytest.fixture
def server(shelf: Shelf, serve: Start) -> Served:
    shelf.ship("1.0.0", 3.0)
    served = serve()
    until(lambda: served.slots["churn"].is_ready)
    return served


@dataclass(frozen=True)
class Site:
    """Where a proxy is to listen, what its certificate is, and where the server is."""

    folder: Path
    port: int
    certificate: Path
    server: int


def nginx(site: Site) -> tuple[str, ...]:
    """The page's own configuration but for ports and paths; the command that runs it."""
    changes = {
        "listen 443": f"listen 127.0.0.1:{site.port}",
        "/etc/ssl/models.pem": str(site.certificate),
        "/etc/ssl/models.key": str(site.certificate),
        "127.0.0.1:8080": f"127.0.0.1:{site.server}",
    }
    own = f"pid {site.folder}/pid; error_log stderr; events {{}} http {{ access_log off; "
    (site.folder / "nginx.conf").write_text(f"{own}{example('nginx', changes)} }}")
    return "nginx", "-p", str(site.folder), "-c", "nginx.conf", "-g", "daemon off;"


def caddy(site: Site) -> tuple[str, ...]:
    """As ``nginx``; the certificate is given, as none can be fetched."""
    changes = {
        f"{NAME} {{": f"{NAME}:{site.port} {{\nbind 127.0.0.1\n"
        f"tls {site.certificate} {site.certificate}\n",
        "127.0.0.1:8080": f"127.0.0.1:{site.server}",
    }
    own = f"{{\nadmin off\nauto_https disable_redirects\nstorage file_system {site.folder}\n}}\n"
    (site.folder / "Caddyfile").write_text(own + example("caddy", changes))
    file = str(site.folder / "Caddyfile")
    return "caddy", "run", "--config", file, "--adapter", "caddyfile"


def example(kind: str, changes: Mapping[str, str]) -> str:
    """The page's example for a proxy, with other words in place of some."""
    (block,) = blocks(section(page("serve.md"), "## Who may ask"), kind)
    for old, new in changes.items():
        assert old in block
        block = block.replace(old, new)
    return block


@pytest.fixture(params=[nginx, caddy])
def secure(
    server: Served, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[http.client.HTTPSConnection]:
    """One connection to a proxy."""
    authority, (port,) = Authority(), servers.free_ports(1)
    both = authority.vouch(NAME, tmp_path / "both.pem")
    program, *arguments = request.param(Site(tmp_path, port, both, server.address[1]))
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    trust = ssl.create_default_context(cafile=str(authority.write(tmp_path / "ca.pem")))
    with subprocess.Popen([program, *arguments]) as process:
        try:
            until(lambda: listens(port))
            yield _Named("127.0.0.1", port, context=trust, timeout=10)
        finally:
            process.terminate()


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


class _Named(http.client.HTTPSConnection):
    """A connection to an address, whose certificate is for ``NAME``."""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined] # of the standard library
        self.sock = context.wrap_socket(self.sock, server_hostname=NAME)


def test_a_proxy_passes_requests_on_and_a_swap_breaks_no_connection(
    secure: http.client.HTTPSConnection, shelf: Shelf
) -> None:
    versions: list[str] = []

    def ask() -> str:
        headers = {"Host": NAME, **JSON}
        secure.request("POST", "/v2/models/churn/infer", batch([1.0, 2.0]), headers)
        answer = secure.getresponse()
        value = json.loads(answer.read())
        assert answer.status == 200, value
        assert answer.headers["x-model-version"] == value["model_version"]
        versions.append(str(value["model_version"]))
        return versions[-1]

    until(lambda: ask() == "1.0.0")
    first = secure.sock
    shelf.ship("1.1.0", 5.0)
    until(lambda: ask() == "1.1.0")
    assert versions == sorted(versions)
    assert secure.sock is first


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    (unit,) = blocks(section(page("serve.md"), "## With systemd"), "ini")
    program = re.search(r"ExecStart=(\S+)", unit)
    assert program is not None
    path = tmp_path / "tagship-serve.service"
    path.write_text(unit.replace(program[1], "/bin/true"))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True,
        check=False, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    about = [line for line in result.stderr.splitlines() if path.name in line]
    assert (result.returncode, about) == (0, []), result.stderr

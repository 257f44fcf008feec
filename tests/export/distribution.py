"""A registry as it is: docker-registry, on a free port of this machine."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """The address of a registry, whose files are in a new folder."""
    port = free_port()
    config = folder.with_suffix(".yml")
    config.write_text(CONFIG.format(folder=folder, port=port))
    with subprocess.Popen(
        ["docker-registry", "serve", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait(port)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < end, "the registry does not start"
        time.sleep(0.05)

"""A network of one's own, in which somebody answers as the metadata of a cloud, and takes notes.

Libraries that find no credentials ask 169.254.169.254. Nothing of tagship may: on a machine that
is in no cloud, any neighbour on the wire can be that address.
"""

import ctypes
import http.server
import os
import subprocess
import threading

METADATA = "169.254.169.254"
NEW_NETWORK = 0x40000000  # CLONE_NEWNET, in linux/sched.h

asked: list[str] = []  # what was asked for of the metadata
_servers: list[http.server.ThreadingHTTPServer] = []


class _Noting(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked.append(f"{self.command} {self.path}")
        self.send_error(404)

    do_PUT = do_POST = do_HEAD = do_GET  # noqa: N815 - the names of http.server

    def log_message(self, *_: object) -> None:
        pass


def leave() -> None:
    """Have this thread, and what it starts from now on, in a network of its own.

    Nothing happens if it is there already, or if this account may not.
    """
    if _servers or os.geteuid() != 0:
        return
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
        return
    for words in ("link set lo up", f"address add {METADATA}/32 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    _servers.append(http.server.ThreadingHTTPServer((METADATA, 80), _Noting))
    threading.Thread(target=_servers[0].serve_forever, daemon=True).start()


def is_apart() -> bool:
    """Whether this process is in a network of its own."""
    return bool(_servers)

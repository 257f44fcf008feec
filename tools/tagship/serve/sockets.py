"""The socket of a server: bound before anything heavy is loaded, and inherited by workers."""

import errno
import socket

from tagship.errors import NotFound, Refused, Unavailable

BACKLOG = 2048  # connections that wait to be accepted


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; a child process can inherit it.

    Args:
        host: a name or an address.
        port: 0 for any free one.

    Raises:
        NotFound: there is no such name.
        Refused: the port is in use, or this account may not have it.
        Unavailable: anything else.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise NotFound(f"{host} is no name or address of this machine", "ip address") from None
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _bind_error(error, host, port) from None
    listener.setblocking(False)
    return listener


def _bind_error(error: OSError, host: str, port: int) -> Refused | NotFound | Unavailable:
    if error.errno == errno.EADDRINUSE:
        return Refused(
            f"port {port} of {host} is in use",
            f"another one: --port {port + 1 if port < 65535 else 0}; who has it: ss -ltnp",
        )
    if error.errno == errno.EACCES:
        return Refused(f"this account may not listen on port {port}", "a port from 1024 on: --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return NotFound(f"{host} is no address of this machine", "ip address")
    return Unavailable(f"cannot listen on {host}, port {port}: {error.strerror}", "ip address")


def address_of(listener: socket.socket, host: str) -> str:
    """Where a socket listens, for a person: ``http://127.0.0.1:8080``."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"

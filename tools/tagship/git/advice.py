"""What helps where a server of Git refuses or cannot be trusted, by the words of Git and ssh."""

import re
from urllib.parse import urlsplit

# GnuTLS and OpenSSL have words of their own, and so has each version of curl
_CERTIFICATE = re.compile(
    "certificate verification failed|SSL certificate problem|SSL: |SSL CA cert|self.signed"
)
_PROXY = re.compile(r"CONNECT tunnel failed|from proxy after CONNECT|Could not resolve proxy")
_CONNECT = re.compile(r"Failed to connect to (\S+) port")
_HOST_KEY = re.compile("Host key verification failed|host key is known")


def of(message: str, shown: str, check: str) -> str | None:
    """A hint for an error of Git's.

    Args:
        message: the error, in the words of Git, of curl or of ssh.
        shown: the address of the repository, as it may be shown.
        check: the command that checks it.

    Returns:
        The hint; None where nothing is known that helps.
    """
    if _HOST_KEY.search(message):
        keys = f"ssh-keyscan {_host(shown)}"
        return (
            f"compare its key with what its operator publishes, and add it to known_hosts: {keys}"
        )
    if "Permission denied (publickey" in message:
        return f"give the server the public half of the key that ssh offers; then: {check}"
    if "Authentication failed" in message:
        return f"the token is wrong, has ended, or may not read this repository; then: {check}"
    connected = _CONNECT.search(message)
    if _PROXY.search(message) or (connected and connected[1] != _host(shown)):
        return f"see what the proxy asks for and allows: echo $HTTPS_PROXY; curl --verbose {shown}"
    if _CERTIFICATE.search(message):
        own = "for a CA of your own: GIT_SSL_CAINFO=FILE"
        return f"see what is wrong with its certificate: curl --verbose {shown}; {own}"
    return None


def _host(shown: str) -> str:
    """The host of an address."""
    if "://" in shown:
        return urlsplit(shown).hostname or ""
    return shown.partition(":")[0].rpartition("@")[2]

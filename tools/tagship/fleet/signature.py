"""The signature of a status object, by ssh-keygen(1): made with a host's key, and checked.

In the namespace ``tagship-status``; the principal is the name of the host. ``allowed_signers`` says
which key is whose. In the object the signature is in base64, without the lines around it.
"""

import enum
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tagship.disk import program, scratch
from tagship.errors import Unavailable
from tagship.text import escape

NAMESPACE = "tagship-status"
SECONDS = 10.0
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class Signed(enum.Enum):
    """What the signature of an object says of who wrote it."""

    SIGNED = "signed"  # by the key of the host that it names
    UNSIGNED = "unsigned"
    FORGED = "forged"  # not by a key of that host, or it was changed since
    UNCHECKED = "unchecked"  # it has one, and nobody said whose keys count


def sign(payload: bytes, key: Path) -> str:
    """The signature of some bytes.

    Args:
        payload: the object without its signature.
        key: a private key of this host, without a passphrase.

    Raises:
        Unavailable: ssh-keygen cannot sign with it.
    """
    command = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
    done = _run(command, payload)
    if done.returncode != 0:
        what = f"{key} cannot sign: {_last_line(done.stderr)}"
        raise Unavailable(what, f"make one without a passphrase: ssh-keygen -t ed25519 -N '' -f"
                          f" {shlex.quote(str(key))}")  # fmt: skip
    lines = done.stdout.decode(errors="replace").split()
    return "".join(lines[3:-3])  # BEGIN, SSH and SIGNATURE are three words


def check(payload: bytes, signature: str | None, host: str, signers: Path | None) -> Signed:
    """Whether the key of a host signed some bytes.

    Args:
        payload: the object without its signature.
        signature: in base64; None where it has none.
        host: the principal.
        signers: whose keys may sign, in the form of ssh-keygen(1); None where nobody says.

    Raises:
        Unavailable: ssh-keygen is not here, or does not come to an end.
    """
    if signature is None:
        return Signed.UNSIGNED
    if signers is None:
        return Signed.UNCHECKED
    with scratch.file() as file:
        lines = [signature[start : start + 70] for start in range(0, len(signature), 70)]
        file.write("\n".join([_BEGIN, *lines, _END, ""]).encode())
        file.flush()
        number = file.fileno()
        command = [
            "ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-I", host, "-f", str(signers),
            "-s", f"/dev/fd/{number}",
        ]  # fmt: skip
        file.seek(0)
        done = _run(command, payload, (number,))
    return Signed.SIGNED if done.returncode == 0 else Signed.FORGED


def _run(
    command: Sequence[str], given: bytes, pass_fds: Sequence[int] = ()
) -> "subprocess.CompletedProcess[bytes]":
    """Run it without a terminal, on which it would ask for a passphrase."""
    try:
        return subprocess.run(
            command, input=given, capture_output=True, timeout=SECONDS, check=False, cwd="/",
            env=program.clean({}), start_new_session=True, pass_fds=tuple(pass_fds),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else "it does not come to an end"
        hint = "install OpenSSH 8.2 or newer"
        raise Unavailable(f"ssh-keygen cannot be run: {why}", hint) from None


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
    return escape.line(lines[-1])[:200]

"""Machines of namespaces on a bridge: each has its own host name, network, /etc and /srv.

The bridge is in a network of the tests, so nothing of the machine's own network changes. All of it
is gone with the processes that hold it.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.workbench import Result

NEW_NETWORK = 0x40000000  # CLONE_NEWNET, in linux/sched.h
HERE = "10.77.0.1"  # the tests' own address: the bridge's
NET = "10.77"
LONGEST = 300  # seconds that a command on a machine may take
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What it writes to /etc, /root and /run is its own; /srv is a disk of a given size.
SET_UP = """
set -eu
name=$1 size=$2
mount --make-rprivate /
mount -t tmpfs -o mode=755 node /mnt
for folder in etc root; do
    mkdir -p /mnt/$folder/upper /mnt/$folder/work
    chmod --reference=/$folder /mnt/$folder/upper
    mount -t overlay node /$folder \
        -o "lowerdir=/$folder,upperdir=/mnt/$folder/upper,workdir=/mnt/$folder/work"
done
mount -t tmpfs -o mode=755 node /run
mount -t tmpfs -o "mode=755,size=$size" node /srv
hostname "$name"
ip link set lo up
echo "127.0.0.1 localhost" > /etc/hosts
rm -f /etc/resolv.conf
echo ready
exec cat
"""


@dataclass(frozen=True)
class Node:
    """A machine: the process that holds it, and its port of the bridge."""

    name: str
    address: str
    process: int
    port: str

    def enter(self, *command: str) -> list[str]:
        """What starts a program on it, in its folder /."""
        return ["nsenter", f"--target={self.process}", "--net", "--uts", "--mount", "--wd=/",
                *command]  # fmt: skip

    def path(self, place: str) -> Path:
        """Where these tests see a file of its own: ``/srv/models``."""
        return Path(f"/proc/{self.process}/root{place}")

    def start(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a program on it, as root, with no variable of these tests."""
        variables = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(environment or {})}
        return subprocess.Popen(
            self.enter(*command), env=variables, text=True, errors="replace", cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run a program on it to its end."""
        return finish(self.start(*command, environment=environment))

    def write(self, place: str, text: str, mode: int = 0o644) -> None:
        """Write a file of its own."""
        path = self.path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def know(self, names: Mapping[str, str]) -> None:
        """Let it find other machines: addresses by names."""
        with self.path("/etc/hosts").open("a") as file:
            file.writelines(f"{address} {name}\n" for name, address in names.items())

    def cut(self) -> None:
        """Pull its cable."""
        _ip(f"link set {self.port} down")

    def mend(self) -> None:
        """Put its cable back."""
        _ip(f"link set {self.port} up")

    def throttle(self, rate: str) -> None:
        """From now on it receives so much: ``8mbit``."""
        limit = f"qdisc replace dev {self.port} root tbf rate {rate} burst 32k latency 400ms"
        subprocess.run(["tc", *limit.split()], check=True)

    def unthrottle(self) -> None:
        """From now on it receives what comes."""
        subprocess.run(["tc", "qdisc", "del", "dev", self.port, "root"], check=True)


class Here(Node):
    """This machine, under another host's name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "127.0.0.1", os.getpid(), "lo")

    def enter(self, *command: str) -> list[str]:
        """The command itself."""
        return list(command)

    def path(self, place: str) -> Path:
        """The file itself."""
        return Path(place)

    def cut(self) -> None:
        """Never: its cable is the loopback of all programs here."""
        raise AssertionError("this machine keeps its cable")

    throttle = unthrottle = mend = cut  # type: ignore[assignment]


def finish(process: "subprocess.Popen[str]") -> Result:
    """Wait for the end of a program."""
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} does not end: {out}{err}") from None
    return Result(process.returncode, out, err)


@dataclass
class Network:
    """The bridge, and the machines on it."""

    stack: contextlib.ExitStack
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def add(self, name: str, *, size: str = "200m", subnet: int = 0) -> Node:
        """A new machine.

        Args:
            name: its host name.
            size: of its disk, /srv.
            subnet: machines of another one have no way to this one: 0 to 255.
        """
        number = next(self.numbers)
        process = self.stack.enter_context(_held(name, size))
        address, port = f"{NET}.{subnet}.{number}", f"port{number}"
        _ip(f"link add {port} type veth peer name eth0 netns {process}")
        _ip(f"link set {port} master bridge0 up")
        node = Node(name, address, process, port)
        script = f"ip address add {address}/24 dev eth0; ip link set eth0 up"
        assert node.run("sh", "-ec", script) == Result(0, "", "")
        node.know({name: "127.0.1.1"})
        return node


@contextlib.contextmanager
def _held(name: str, size: str) -> Iterator[int]:
    """A process that holds the namespaces of a machine."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--mount",
               "sh", "-c", SET_UP, "sh", name, size]  # fmt: skip
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as holder:
        assert holder.stdin and holder.stdout and holder.stderr
        try:
            if holder.stdout.readline() != "ready\n":
                raise AssertionError(holder.stderr.read())
            yield holder.pid
        finally:
            holder.stdin.close()


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network for this thread, and what it starts, until the block ends; its address is HERE."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
    try:
        with contextlib.ExitStack() as stack:
            for words in (
                "link set lo up", "link add bridge0 type bridge",
                f"address add {HERE}/24 dev bridge0", "link set bridge0 up",
            ):  # fmt: skip
                _ip(words)
            yield Network(stack)
    finally:
        libc.setns(before, NEW_NETWORK)
        os.close(before)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def lacking() -> str | None:
    """Why there can be no such machines here; None if there can."""
    if os.geteuid() != 0:
        return "needs root, to make namespaces"
    tools = ("ip", "tc", "nsenter", "unshare", "setpriv")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed"
    tried = subprocess.run(
        ["unshare", "--net", "--uts", "--mount", "sh", "-c",
         "mount -t tmpfs node /mnt && ip link add bridge0 type bridge"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return None if tried.returncode == 0 else f"needs namespaces: {tried.stderr.strip()}"

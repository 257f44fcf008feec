"""A machine for docs/server.md: accounts, folders and a network of its own, by namespaces of Linux.

What the page writes to /etc, /home, /opt, /srv and /usr/local is seen by its processes alone, and
is gone with the last of them. So ``useradd`` makes real accounts there, an S3 server listens on
the port that the page names, and no command is changed. It needs root.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT
from tests.workbench import Result

ORIGIN = "/opt/models.git"  # what is git@git.example.com:team/models.git there
OWN = ("etc", "home", "mnt", "opt", "root", "srv", "usr/local")  # folders in which it may write
NEEDED = (ROOT, Path(sys.prefix), Path(sys.base_prefix))  # what each account must be able to read
SERVER = """
import os, pathlib, sys
os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"  # minio.example.com is no bucket "minio"
from moto.server import ThreadedMotoServer
import boto3
ThreadedMotoServer(ip_address="127.0.0.1", port=9000).start()
bucket = boto3.resource("s3", endpoint_url="http://127.0.0.1:9000", region_name="us-east-1",
    aws_access_key_id="x", aws_secret_access_key="x").create_bucket(Bucket="models")
store = pathlib.Path(sys.argv[1])
for file in store.rglob("*"):
    if file.is_file():
        bucket.upload_file(str(file), f"dvc/{file.relative_to(store)}")
print("ready", flush=True)
sys.stdin.read()  # to the end of the test
"""
# sudo is not installed everywhere: runuser stands in for it, and root for who may use it.
SUDO = """#!/bin/sh
account=$2
shift 2
exec runuser -u "$account" -- env SUDO_USER=ada USER="$account" LOGNAME="$account" "$@"
"""
# An overlay shows the folder as it is here, and keeps what is written to it in memory.
SET_UP = """
set -eu
memory=$1 own=$2 prepared=$3 python=$4 server=$5 scripts=$6 sudo=$7
shift 7
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$memory"
for name in $own; do
    mkdir -p "$memory/$name/upper" "$memory/$name/work"
    chmod --reference="/$name" "$memory/$name/upper"
    mount -t overlay machine "/$name" \
        -o "lowerdir=/$name,upperdir=$memory/$name/upper,workdir=$memory/$name/work"
done
mount -t tmpfs -o mode=1777 machine /var/tmp
for folder; do chmod a+rx "$folder"; done
ip link set lo up
echo "127.0.0.1 localhost minio.example.com" > /etc/hosts
cp -r "$prepared/origin.git" /opt/models.git
git config --system safe.directory /opt/models.git
git config --system url./opt/.insteadOf git@git.example.com:team/
mkdir -p /etc/xdg/dvc /opt/tagship/bin /usr/local/bin
printf '[core]\\n    analytics = false\\n' > /etc/xdg/dvc/config
ln -s "$scripts/tagship" "$scripts/dvc" /opt/tagship/bin/
printf '#!/bin/sh\nexec %s "$@"\n' "$python" > /opt/tagship/bin/python
printf %s "$sudo" > /usr/local/bin/sudo
chmod 755 /usr/local/bin/sudo /opt/tagship/bin/python
exec "$python" -c "$server" "$prepared/dvc-remote" 2>/dev/null
"""


def _closed() -> list[Path]:
    """Folders on the way to the Python of these tests that other accounts cannot read."""
    ways = {folder for place in NEEDED for folder in (place, *place.parents)}
    return sorted(folder for folder in ways if folder.stat().st_mode & 0o005 != 0o005)


def lacking() -> str | None:
    """Why there can be no such machine here; None if there can."""
    if os.geteuid() != 0:
        return "needs root, to make accounts"
    outside = [path for path in _closed() if not str(path).startswith(tuple(f"/{n}" for n in OWN))]
    if outside:
        return f"needs a Python that other accounts can read: {outside[0]}"
    command = "mount -t tmpfs machine /mnt && ip link set lo up"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return None if tried.returncode == 0 else f"needs namespaces: {tried.stderr.strip()}"


@dataclass(frozen=True)
class Machine:
    """The machine: the process that holds it."""

    process: int

    def bash(self, commands: str) -> Result:
        """Run commands as root logs in: with no variable of this test's."""
        done = subprocess.run(
            ["nsenter", f"--target={self.process}", "--mount", "--net",
             "env", "-i", "HOME=/root", "USER=root", "LANG=C.UTF-8",
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
             "bash", "-eu", "-o", "pipefail", "-c", f"cd\n{commands}"],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def login(self, account: str, commands: str) -> Result:
        """Run commands as an account that logged in."""
        script = shlex.quote(f"set -eu -o pipefail\n{commands}")
        return self.bash(f"runuser --login {account} --shell /bin/bash -c {script}")

    def run(self, account: str, commands: str) -> str:
        """Run commands that must succeed, as root or another account; what they print."""
        result = self.bash(commands) if account == "root" else self.login(account, commands)
        assert result.code == 0, f"{commands}\n{result.out}{result.err}"
        return result.out + result.err


@contextmanager
def machine(folder: Path, prepared: Path) -> Iterator[Machine]:
    """Start the machine, with an S3 server at minio.example.com:9000 and its bucket models.

    Args:
        folder: where its memory is mounted.
        prepared: ``origin.git`` is the Git remote, ``dvc-remote`` what the bucket has below dvc/.
    """
    command = ["unshare", "--mount", "--net", "sh", "-c", SET_UP, "sh", str(folder), " ".join(OWN),
               str(prepared), sys.executable, SERVER, str(Path(sys.executable).parent),
               SUDO, *map(str, _closed())]  # fmt: skip
    holder = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert holder.stdin and holder.stdout and holder.stderr
    try:
        if "ready\n" not in iter(holder.stdout.readline, ""):
            raise AssertionError(holder.stderr.read())
        yield Machine(holder.pid)
    finally:
        holder.stdin.close()
        holder.wait()

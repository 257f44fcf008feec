"""Real stores on loopback: SeaweedFS and moto (S3), azurite, gcp-storage-emulator, nginx.

Each runs in a folder of its own, as a group of processes that is killed in the end.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START = 60  # seconds, until a server must answer on a busy machine
BUCKET = "models"
ACCOUNT, ACCOUNT_KEY = "models", "c2VzYW1lLXNlc2FtZS1zZXNhbWU="  # of Azure, made up here
# Who may do what in SeaweedFS: the access key of each is its name, the secret is SECRET.
IDENTITIES = {
    "writer": ("Admin", "Read", "Write", "List", "Tagging"),
    "reader": ("Read", "List"),
    "stranger": ("Read:other", "List:other"),
}
SECRET = "sesame"
PASSWORD = "sesame"  # of the account ada, where nginx asks for one
AZURITE = "azurite@3.37.0"
TOP = Path(__file__).parents[2]
NPM_FOLDER = TOP / "build" / "azurite"


class Lacking(Exception):
    """A server cannot be had here; the text says why."""


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        folder: what it wrote, its log included.
    """

    address: str
    folder: Path


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def program(name: str) -> str:
    """The path of a program, beside this Python first.

    Raises:
        Lacking: it is not installed.
    """
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]
    path = shutil.which(name, path=os.pathsep.join(places))
    if path is None:
        raise Lacking(f"{name} is not installed")
    return path


def answers(url: str) -> bool:
    """Whether a server answers at all."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server until the block ends.

    Raises:
        AssertionError: it ended, or did not answer in time; with the end of its log.
    """
    log = folder / "server.log"
    if setpriv := shutil.which("setpriv"):  # it ends with these tests, however they end
        command = [setpriv, "--pdeathsig", "KILL", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + START
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
            late = time.monotonic() > end
            if late or process.returncode is not None:
                said = log.read_text(errors="replace")[-2000:]
                raise AssertionError(f"{command[0]} does not answer: {said}")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def seaweedfs(
    folder: Path, ip: str = "127.0.0.1", enter: Sequence[str] = (),
    who: Mapping[str, Sequence[str]] = IDENTITIES, buckets: Sequence[str] = (BUCKET,),
) -> Iterator[Server]:  # fmt: skip
    """S3 by SeaweedFS, with buckets and identities.

    Args:
        folder: where it writes.
        ip: its own address.
        enter: what starts it elsewhere, such as in another network.
        who: may do what; ``writer`` makes the buckets.
        buckets: by their names.
    """
    names = ("master", "volume", "filer", "s3")
    ports = iter(free_ports(2 * len(names)))
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": SECRET}],
            "actions": list(actions),
        }
        for name, actions in who.items()
    ]
    rights = folder / "identities.json"
    rights.write_text(json.dumps({"identities": identities}))
    sockets = folder / "sockets"
    sockets.mkdir()
    places = {name: (next(ports), next(ports)) for name in names}
    address = f"http://{ip}:{places['s3'][0]}"
    # -volume.max: by default there are eight volumes, fewer than a bucket's first write makes
    command = [
        *enter, program("weed"), "server", f"-dir={folder}", f"-ip={ip}", f"-ip.bind={ip}",
        "-filer", "-s3", f"-s3.config={rights}", "-volume.max=50", "-master.telemetry=false",
        "-master.volumeSizeLimitMB=512", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-filer.localSocket={sockets}/filer", f"-s3.localSocket={sockets}/s3",
    ]  # fmt: skip
    for name, (port, grpc) in places.items():
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={grpc}"]
    with running(command, folder, lambda: answers(f"{address}/healthz")):
        for bucket in buckets:
            _make_bucket(address, "writer", SECRET, bucket)
        yield Server(address, folder)


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """S3 by moto, which knows no rights."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with running(command, folder, lambda: answers(f"{address}/moto-api/")):
        _make_bucket(address, "writer", SECRET)
        yield Server(address, folder)


def _make_bucket(address: str, key: str, secret: str, bucket: str = BUCKET) -> None:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=secret,
    )  # fmt: skip
    client.create_bucket(Bucket=bucket)


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[Server]:
    """Azure's blobs by azurite, with the container."""
    command = [
        program("node"), str(install_azurite()), "--blobHost", "127.0.0.1", "--blobPort",
        str(port := free_ports(1)[0]), "--location", str(folder), "--silent", "--loose",
        "--skipApiVersionCheck", "--disableTelemetry",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    accounts = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    with running(command, folder, lambda: answers(f"{address}/{ACCOUNT}"), accounts):
        from azure.storage.blob import BlobServiceClient

        with BlobServiceClient.from_connection_string(connection_string(address)) as client:
            client.create_container(BUCKET).close()
        yield Server(address, folder)


def connection_string(address: str, key: str = ACCOUNT_KEY) -> str:
    """Azure's connection string of the account, at an address."""
    return (
        f"DefaultEndpointsProtocol={address.partition(':')[0]};AccountName={ACCOUNT};"
        f"AccountKey={key};BlobEndpoint={address}/{ACCOUNT};"
    )


def install_azurite() -> Path:
    """Azurite's program; npm installs it once, into build/.

    Raises:
        Lacking: npm cannot.
    """
    main = NPM_FOLDER / "node_modules/azurite/dist/src/blob/main.js"
    if not main.exists():
        NPM_FOLDER.mkdir(parents=True, exist_ok=True)
        words = [program("npm"), "install", "--prefix", str(NPM_FOLDER), "--no-audit", "--no-fund",
                 "--ignore-scripts", AZURITE]  # fmt: skip
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        if result.returncode != 0 or not main.exists():
            raise Lacking(f"npm cannot install azurite: {result.stderr.strip()[-300:]}")
    return main


@contextlib.contextmanager
def gcs(folder: Path) -> Iterator[Server]:
    """Google's storage by gcp-storage-emulator, with the bucket.

    Raises:
        Lacking: it is not installed.
    """
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        raise Lacking("gcp-storage-emulator is not installed")
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "tests.stores.emulator", "--data-dir", str(folder / "data"), "start",
        "--host", "127.0.0.1", "--port", str(port), "--default-bucket", BUCKET, "--quiet",
    ]  # fmt: skip
    with running(command, folder, lambda: answers(address), {"PYTHONPATH": str(TOP)}):
        yield Server(address, folder)


NGINX = """
daemon off;
master_process off;
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        dav_methods PUT;
        create_full_put_path on;
        location /rangeless/ {{
            alias {folder}/files/;
            max_ranges 0;
        }}
        location /private/ {{
            alias {folder}/files/;
            auth_basic models;
            auth_basic_user_file {folder}/passwords;
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    """Files by nginx, which takes PUT; below /rangeless/ without ranges, /private/ by password."""
    (port,) = free_ports(1)
    (folder / "files").mkdir()
    (folder / "passwords").write_text(f"ada:{{PLAIN}}{PASSWORD}\n")
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, port=port))
    address = f"http://127.0.0.1:{port}"
    command = [
        program("nginx"),
        "-p",
        str(folder),
        "-c",
        str(settings),
        "-e",
        f"{folder}/start.log",
    ]
    with running(command, folder, lambda: answers(address)):
        yield Server(address, folder)


FILES = """
import http.server, os, sys

class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        path = self.translate_path(self.path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".part", "wb") as file:
            while size := int(self.rfile.readline(), 16):  # DVC sends chunks
                file.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        os.replace(path + ".part", path)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Files).serve_forever()
"""


@contextlib.contextmanager
def files(folder: Path) -> Iterator[Server]:
    """Files by Python's own server, which knows no ranges."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-IS", "-c", FILES, str(port)]
    with running(command, folder, lambda: answers(address)):
        yield Server(address, folder)


if __name__ == "__main__":  # with the settings of this machine: the tests have none of them
    try:
        install_azurite()
    except Lacking as lacking:
        sys.stderr.write(f"{lacking}: the rows of Azure are skipped\n")

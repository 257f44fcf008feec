"""The servers of a fleet, each on a machine of its own: Git by ssh and https, a proxy, S3.

None of them reads or writes a setting of the machine that these tests run on.
"""

import contextlib
import datetime
import itertools
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.certificates import Authority
from tests.lab.network import Network, Node
from tests.stores import servers
from tests.stores.servers import SECRET, Server

ACCOUNT = 4242  # the number of the account "git", which reads the repositories
TOKEN = "glpat-of-the-host"  # of the account "deploy", made up here
GIT, STORE, PROXY = "git.example.com", "s3.example.com", "proxy.example.com"
# What has the name of a Git server too: its certificate ended, is of an authority that nobody
# knows, or of another name.
EXPIRED, UNKNOWN, MISNAMED = "old.example.com", "other.example.com", "wrong.example.com"
OUT = 9  # the number of the network that reaches the proxy alone
PROXY_PASSWORD = "open-the-door"
# who may do what in the store: the host's key cannot change a model, nor the laptop's a status
RIGHTS: Mapping[str, Sequence[str]] = {
    "writer": ("Admin", "Read", "Write", "List", "Tagging"),
    "host": ("Read:models", "List:models", "Read:fleet", "List:fleet", "Write:fleet"),
    "stranger": ("Read:other", "List:other"),
}
PROGRAMS = ("nginx", "sshd", "fcgiwrap", "tinyproxy", "git-shell", "ssh", "ssh-keygen")
DAY = datetime.timedelta(days=1)


def missing() -> list[str]:
    """The servers that are not installed."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    try:
        servers.program("weed")
    except servers.Lacking:
        lacking.append("weed")
    return lacking


@dataclass(frozen=True)
class Lab:
    """The servers, and where their files are.

    Attributes:
        folder: readable by all accounts.
        git, store, proxy: the machines.
        s3: the server of the store as it is without TLS.
        numbers: of repositories.
    """

    network: Network
    folder: Path
    git: Node
    store: Node
    proxy: Node
    s3: Server
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def ca(self) -> Path:
        """Whom to trust for the servers."""
        return self.folder / "ca.pem"

    @property
    def repositories(self) -> Path:
        """The folder of ``team/``, as the account git and these tests see it."""
        return self.folder / "git"

    @property
    def key(self) -> Path:
        """The deploy key."""
        return self.folder / "deploy_key"

    @property
    def known_hosts(self) -> str:
        """The line of the Git server."""
        kind, key, *_ = (self.folder / "host_key.pub").read_text().split()
        return f"{GIT} {kind} {key}\n"

    @property
    def names(self) -> dict[str, str]:
        """The addresses of all servers."""
        of_git = dict.fromkeys((GIT, EXPIRED, UNKNOWN, MISNAMED), self.git.address)
        return {**of_git, STORE: self.store.address, PROXY: self.proxy.address}


@contextlib.contextmanager
def lab(net: Network, folder: Path) -> Iterator[Lab]:
    """Start all of them, until the block ends."""
    authority = Authority()
    authority.write(folder / "ca.pem")
    (folder / "git" / "team").mkdir(parents=True)
    for key in ("host_key", "deploy_key", "strange_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", folder / key]
        subprocess.run(words, check=True)
    git, store, proxy = (net.add(name) for name in ("git", "store", "proxy"))
    with contextlib.ExitStack() as stack:
        for server in (_ssh(git, folder), _https(git, folder, authority)):
            stack.enter_context(server)
        s3 = stack.enter_context(_store(store, folder, authority))
        made = Lab(net, folder, git, store, proxy, s3)
        stack.enter_context(_proxy(made))
        yield made


@contextlib.contextmanager
def _running(
    node: Node, name: str, folder: Path, *command: str | Path, port: int | None = None
) -> Iterator[None]:
    """Run a server on a machine, until the block ends."""
    place = folder / name
    place.mkdir()
    words = node.enter("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *map(str, command))
    with servers.running(words, place, lambda: port is None or _listens(node, port)):
        yield


def _listens(node: Node, port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((node.address, port), timeout=5).close()
        return True
    return False


# --- Git

SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers git
AcceptEnv GIT_PROTOCOL
MaxStartups 100
"""


@contextlib.contextmanager
def _ssh(git: Node, folder: Path) -> Iterator[None]:
    """sshd with the account git: one deploy key, which may read."""
    key = (folder / "deploy_key.pub").read_text()
    shell = r'command="exec git-shell -c \"$SSH_ORIGINAL_COMMAND\""'
    (folder / "authorized_keys").write_text(f"restrict,{shell} {key}")
    (folder / "sshd_config").write_text(SSHD.format(folder=folder))
    git.write("/etc/gitconfig", "[safe]\n\tdirectory = *\n")  # its repositories are the team's
    for name, line in {
        "passwd": f"git:*:{ACCOUNT}:{ACCOUNT}::/srv/git:/bin/sh", "group": f"git:*:{ACCOUNT}:",
    }.items():  # fmt: skip
        with git.path(f"/etc/{name}").open("a") as file:
            file.write(f"{line}\n")
    script = f"mkdir -p /srv/git /run/sshd; mount --bind {folder}/git /srv/git"
    assert git.run("sh", "-ec", script).code == 0
    command = ("/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config")
    with _running(git, "sshd", folder, *command, port=22):
        yield


NGINX = """
daemon off;
user root;
worker_processes 1;
error_log {place}/error.log;
pid {place}/pid;
events {{}}
http {{
    access_log {place}/access.log;
    client_max_body_size 0;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    {sites}
}}
"""
SITE = """
    server {{
        listen 443 ssl;
        server_name {name};
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        {content}
    }}
"""
OF_GIT = """
        auth_basic models;
        auth_basic_user_file {folder}/passwords;
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {backend};
            fastcgi_param GIT_PROJECT_ROOT /srv/git;
            fastcgi_param GIT_HTTP_EXPORT_ALL "";
            fastcgi_param PATH_INFO $uri;
            fastcgi_param REMOTE_USER $remote_user;
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
            fastcgi_pass unix:/run/git/socket;
        }}
"""


@contextlib.contextmanager
def _https(git: Node, folder: Path, authority: Authority) -> Iterator[None]:
    """git-http-backend behind nginx, with a token; and the servers with a bad certificate."""
    certificates = {
        GIT: authority.vouch(GIT, folder / "git.pem"),
        EXPIRED: authority.vouch(EXPIRED, folder / "expired.pem", until=-DAY),
        UNKNOWN: Authority("somebody").vouch(UNKNOWN, folder / "unknown.pem"),
        MISNAMED: folder / "git.pem",
    }
    (folder / "passwords").write_text(f"deploy:{{PLAIN}}{TOKEN}\n")
    script = f"mkdir -p /run/git; chown {ACCOUNT} /run/git"
    assert git.run("sh", "-ec", script).code == 0
    account = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups")
    wrap = (*account, "fcgiwrap", "-c", "4", "-s", "unix:/run/git/socket")
    path = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    content = OF_GIT.format(folder=folder, backend=f"{path.stdout.strip()}/git-http-backend")
    with (
        _running(git, "fcgiwrap", folder, *wrap),
        _nginx(git, "nginx", folder, dict.fromkeys(certificates, content), certificates),
    ):
        yield


@contextlib.contextmanager
def _nginx(
    node: Node, name: str, folder: Path, sites: Mapping[str, str], certificates: Mapping[str, Path]
) -> Iterator[None]:
    """nginx with TLS: what it answers, and its certificates, by the names of its sites."""
    blocks = [
        SITE.format(name=site, certificate=certificates[site], content=content)
        for site, content in sites.items()
    ]
    settings = folder / f"{name}.conf"
    settings.write_text(NGINX.format(place=folder / name, sites="".join(blocks)))
    command = ("nginx", "-p", folder / name, "-c", settings, "-e", folder / name / "start.log")
    with _running(node, name, folder, *command, port=443):
        yield


# --- the store, and the proxy

OF_STORE = """
        location / {{
            proxy_pass {address};
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
"""


@contextlib.contextmanager
def _store(store: Node, folder: Path, authority: Authority) -> Iterator[Server]:
    """SeaweedFS, with TLS before it."""
    place = folder / "seaweedfs"
    place.mkdir()
    s3 = servers.seaweedfs(
        place, store.address, store.enter(), who=RIGHTS, buckets=("models", "fleet")
    )
    with s3 as server:
        sites = {STORE: OF_STORE.format(address=server.address)}
        certificates = {STORE: authority.vouch(STORE, folder / "store.pem")}
        with _nginx(store, "store", folder, sites, certificates):
            yield server


TINYPROXY = """
Port 8888
Timeout 60
MaxClients 100
LogFile "{folder}/tinyproxy.log"
LogLevel Connect
DisableViaHeader Yes
ConnectPort 443
{more}
"""


@contextlib.contextmanager
def _proxy(lab: Lab) -> Iterator[None]:
    """tinyproxy, which is in a network that the other servers are not in, too."""
    proxy, folder = lab.proxy, lab.folder
    proxy.know({name: address for name, address in lab.names.items() if name != PROXY})
    inside = f"ip address add {proxy_inside(proxy)}/24 dev eth0"
    assert proxy.run(*inside.split()).code == 0
    settings = folder / "tinyproxy.conf"
    settings.write_text(TINYPROXY.format(folder=folder, more=""))
    strict = folder / "strict.conf"
    more = f"BasicAuth host {PROXY_PASSWORD}"
    strict.write_text(TINYPROXY.format(folder=folder, more=more).replace("8888", "8889"))
    with (
        _running(proxy, "tinyproxy", folder, "tinyproxy", "-d", "-c", settings, port=8888),
        _running(proxy, "strict", folder, "tinyproxy", "-d", "-c", strict, port=8889),
    ):
        yield


def proxy_inside(proxy: Node) -> str:
    """The proxy's address in the network that reaches nothing else."""
    return proxy.address.replace(".0.", f".{OUT}.", 1)


def laptop(key: str = "writer") -> dict[str, str]:
    """The credentials of the store of who releases."""
    return {
        "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip

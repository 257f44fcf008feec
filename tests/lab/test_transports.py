"""Git by ssh, https, a proxy and file, and the store by TLS; and the words where one refuses."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.lab import servers
from tests.lab.edges import KEYS, Edge, Team
from tests.lab.servers import GIT, OUT, PROXY, PROXY_PASSWORD, TOKEN
from tests.stores.servers import SECRET
from tests.workbench import Result

LIVE = Result(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n", "")
BY_PROXY = {"HTTPS_PROXY": f"http://{PROXY}:8888"}


def host(team: Team, name: str) -> Edge:
    """A host that reaches the Git server in one of the ways."""
    if name == "ssh":
        return team.host("edge-ssh", "git-ssh", git=team.by_ssh)
    if name == "https":
        return team.host("edge-https", "git-https")
    if name == "proxy":
        edge = team.host("edge-proxy", "git-https", subnet=OUT)
        edge.environment |= BY_PROXY
        return edge
    return team.host("edge-file", "git-https", git=f"file://{team.origin}")


@pytest.mark.parametrize("name", ["ssh", "https", "proxy", "file"])
def test_way(team: Team, name: str) -> None:
    edge = host(team, name)
    team.release()
    assert edge.tagship("sync") == LIVE
    team.release("model 2\n")
    assert edge.tagship("sync").code == 0
    assert edge.tagship("sync").out == "churn: in order, live 1.1.0\n"
    assert edge.live() == "model 2"
    assert TOKEN not in "".join(_texts(edge))


@pytest.mark.parametrize("name", ["ssh", "https"])
def test_a_server_set_up_by_the_page_lists_no_tags_but_those_asked_for(
    team: Team, name: str
) -> None:
    team.release()
    team.bench.git("push", "--quiet", "origin", "HEAD:refs/tags/other@v1.0.0")
    edge = host(team, name)
    edge.environment["GIT_TRACE_PACKET"] = "/srv/packets"
    assert edge.tagship("sync") == LIVE
    packets = edge.node.path("/srv/packets").read_text()
    assert "version 2" in packets and "refs/tags/churn@v1.0.0" in packets
    assert "other@v1.0.0" not in packets


def test_a_proxy_is_needed_where_there_is_no_other_way(team: Team) -> None:
    edge = host(team, "proxy")
    team.release()
    del edge.environment["HTTPS_PROXY"]
    result = edge.tagship("sync")
    assert (result.code, edge.live()) == (1, None)
    edge.environment |= BY_PROXY
    assert edge.tagship("sync") == LIVE


# --- refused


@dataclass(frozen=True)
class Trouble:
    """What is wrong on a host.

    Attributes:
        way: how it reaches the Git server.
        spoil: makes it so.
        error: what the pass says of it.
        hint: what ``tagship fetch`` says to do.
    """

    way: str
    spoil: Callable[[Edge, Team], None]
    error: str
    hint: str


def variable(**values: str) -> Callable[[Edge, Team], None]:
    return lambda edge, _: edge.environment.update(values)


def key(name: str, text: str) -> Callable[[Edge, Team], None]:
    return lambda edge, _: edge.node.write(f"{KEYS}/{name}", text, 0o600)


def strange_key(edge: Edge, team: Team) -> None:
    edge.node.write(f"{KEYS}/deploy_key", (team.lab.folder / "strange_key").read_text(), 0o600)


def other_host_key(edge: Edge, team: Team) -> None:
    line = f"{GIT} {(team.lab.folder / 'deploy_key.pub').read_text()}"
    edge.node.write("/etc/tagship/known_hosts", line)


def unknown_host_key(edge: Edge, _: Team) -> None:
    edge.node.write("/etc/tagship/known_hosts", "")


def git_at(name: str) -> Callable[[Edge, Team], None]:
    def spoil(edge: Edge, _: Team) -> None:
        edge.file.write_text(edge.file.read_text().replace(GIT, name))

    return spoil


def gone(_: Edge, team: Team) -> None:
    shutil.move(team.origin, f"{team.origin}.moved")


def no_ca_of_the_store(edge: Edge, _: Team) -> None:
    del edge.environment["AWS_CA_BUNDLE"]


def store_key(name: str, secret: str = SECRET) -> Callable[[Edge, Team], None]:
    return key("aws", f"[default]\naws_access_key_id = {name}\naws_secret_access_key = {secret}\n")


CURL = "curl --verbose"
ASK = "git -C /srv/models ls-remote --heads"
TROUBLES = {
    "https, a CA that is not there": Trouble(
        "https", variable(GIT_SSL_CAINFO="/etc/none.pem"), "CA cert", CURL),
    "https, a CA that this host does not know": Trouble(
        "https", git_at(servers.UNKNOWN), "certificate", CURL),
    "https, expired": Trouble("https", git_at(servers.EXPIRED), "certificate", CURL),
    "https, another name": Trouble(
        "https", git_at(servers.MISNAMED), "certificate .* name 'wrong.example.com'$", CURL),
    "https, wrong token": Trouble(
        "https", key("git_token", "username=deploy\npassword=no\n"), "Authentication failed",
        "the token is wrong, has ended, or may not read"),
    "https, no token": Trouble(
        "https", key("git_token", ""), "could not read Username", "credential helper"),
    "https, no such repository": Trouble("https", gone, "not found", ASK),
    "https, unknown name": Trouble("https", git_at("git.invalid"), "Could not resolve host", ASK),
    "ssh, unknown host key": Trouble(
        "ssh", unknown_host_key, "Host key verification failed", f"ssh-keyscan {GIT}$"),
    "ssh, another host key": Trouble(
        "ssh", other_host_key, f"git: Host key for {GIT} has changed", f"ssh-keyscan {GIT}$"),
    "ssh, wrong key": Trouble(
        "ssh", strange_key, "Permission denied", f"public half .*: {ASK} git@{GIT}:team/"),
    "ssh, a key that others can read": Trouble(
        "ssh", lambda edge, _: edge.node.path(f"{KEYS}/deploy_key").chmod(0o644),
        "git: Load key .* bad permissions", "public half"),
    "ssh, no such repository": Trouble(
        "ssh", gone, "does not appear to be a git repository", f"{ASK} git@{GIT}:team/"),
    "proxy, none there": Trouble(
        "proxy", variable(HTTPS_PROXY=f"http://{PROXY}:1"), f"connect to {PROXY}", "HTTPS_PROXY"),
    "proxy, a password is asked": Trouble(
        "proxy", variable(HTTPS_PROXY=f"http://{PROXY}:8889"), "response 407", "HTTPS_PROXY"),
    "proxy, wrong password": Trouble(
        "proxy", variable(HTTPS_PROXY=f"http://host:{PROXY_PASSWORD}-not@{PROXY}:8889"),
        "response 401", "HTTPS_PROXY"),
}  # fmt: skip
IN_STORE = {
    "another CA": (no_ca_of_the_store, "certificate|CERTIFICATE|Issuer|SSL|TLS"),
    "wrong secret": (store_key("host", "no"), "ignature|denied|403"),
    "wrong key": (store_key("nobody"), "InvalidAccessKeyId|denied|403"),
    "a key without rights": (store_key("stranger"), "denied|403|Forbidden"),
}


def untimed(text: str) -> str:
    """What Git said, without how long it took."""
    return re.sub(r" after \d+ ms", "", text)


@pytest.mark.parametrize("name", TROUBLES)
def test_refused(team: Team, name: str) -> None:
    trouble = TROUBLES[name]
    edge = host(team, trouble.way)
    team.release()
    trouble.spoil(edge, team)
    result = edge.tagship("sync")
    assert (result.code, result.err, edge.live(), edge.left()) == (1, "", None, [])
    [_, line, fix] = untimed(result.out).splitlines()
    assert fix.startswith("    fix: "), fix
    assert re.search(f"nothing could be fetched: .*{trouble.error}", line), line
    assert len(line) < 300
    fetched = edge.tagship("fetch")
    error, hint = untimed(fetched.err).splitlines()
    assert (fetched.code, error) == (1, line.replace("  nothing could be fetched", "error"))
    assert re.search(f"^hint: .*{trouble.hint}", hint), hint
    said = result.out + fetched.err + "".join(_texts(edge))
    assert not [secret for secret in (TOKEN, PROXY_PASSWORD, SECRET) if secret in said]


def _texts(edge: Edge) -> list[str]:
    """What is on the host's disk."""
    files = (path for path in edge.node.path(edge.folder).rglob("*") if path.is_file())
    return [path.read_text(errors="replace") for path in files]


@pytest.mark.parametrize("name", IN_STORE)
def test_store(team: Team, name: str) -> None:
    spoil, error = IN_STORE[name]
    edge = host(team, "https")
    team.release()
    spoil(edge, team)
    result = edge.tagship("sync")
    assert (result.code, edge.live(), edge.left()) == (3, None, [])
    assert re.search(rf"1\.0\.0 waits until .* UTC: .*({error})", result.out), result.out
    team.give_keys(edge, "s3", "environment")
    assert edge.tagship("sync", "--retry") == LIVE


def test_the_key_of_a_host_changes_no_model(team: Team) -> None:
    import boto3
    from botocore.exceptions import ClientError

    client = boto3.client(
        "s3", endpoint_url=team.lab.s3.address, region_name="us-east-1",
        aws_access_key_id="host", aws_secret_access_key=SECRET,
    )  # fmt: skip
    team.release()
    [place] = client.list_objects_v2(Bucket="models", Prefix=team.name)["Contents"]
    acts: dict[str, dict[str, str]] = {
        "put_object": {"Key": place["Key"], "Body": "another"},
        "delete_object": {"Key": place["Key"]},
    }
    for act, arguments in acts.items():
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(client, act)(Bucket="models", **arguments)
    client.put_object(Bucket="fleet", Key=f"{team.name}/churn/edge-1.json", Body=b"{}")
    team.log.write("the host's key: no PUT and no DELETE of a model; a PUT of its status")

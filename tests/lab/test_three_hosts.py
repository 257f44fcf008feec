"""The sample of ``make test``: three hosts in namespaces, and what a pulled cable changes there."""

import pytest

from tests.certificates import Authority
from tests.git import smart_http
from tests.hosts import Following
from tests.lab import edges, network
from tests.lab.edges import FOLDER, ROOT, Edge, Transcript
from tests.lab.network import HERE, Network
from tests.workbench import MODEL, Result

REASON = network.lacking()


def edge(net: Network, name: str, host: Following, git: str, log: Transcript) -> Edge:
    """A host that follows the repository by https; the store is a folder."""
    ca = {"GIT_SSL_CAINFO": str(host.top / "ca.pem")}
    made = Edge(net.add(name, size="20m"), log, ca)
    made.node.path(FOLDER).mkdir()
    made.file.write_text(f'[source]\ngit = "{git}"\nremote = "{host.remote}"\n[follow.{MODEL}]\n')
    return made


def live(hosts: list[Edge]) -> list[str | None]:
    return [host.live() for host in hosts]


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_three_hosts_follow_and_one_whose_cable_is_pulled_follows_later(host: Following) -> None:
    authority, log = Authority(), Transcript(ROOT / "build" / "fleet" / "three-hosts.txt")
    authority.write(host.top / "ca.pem")
    certificate = authority.vouch(HERE, host.top / "server.pem")
    with network.network() as net, smart_http.serve(host.top, HERE, certificate) as server:
        git = f"{server.address}/origin.git"
        three = [edge(net, name, host, git, log) for name in ("edge-1", "edge-2", "edge-3")]
        first = Result(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n", "")
        assert edges.sync(three) == {each.node.name: first for each in three}
        three[2].node.cut()
        host.release("model 2\n")
        results = edges.sync(three)
        assert [result.code for result in results.values()] == [0, 0, 1]
        assert "nothing could be fetched" in results["edge-3"].out
        assert live(three) == ["model 2", "model 2", "model 1"]
        three[2].node.mend()
        host.publish(f"{MODEL}@v1.1.0!")
        assert {result.code for result in edges.sync(three).values()} == {0}
        assert live(three) == ["model 1"] * 3

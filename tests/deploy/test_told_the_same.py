"""``status`` and ``fleet`` say of a host what its last pass said; ``status`` ends with its code."""

from collections.abc import Callable

import pytest

from tests.deploy.test_sync import NOON, gate
from tests.hosts import Following


def unmeasured(host: Following) -> None:
    gate(host, "exit 75")


def lacking(host: Following) -> None:
    host.object_of("model 1\n").unlink()


def other_bytes(host: Following) -> None:
    host.object_of("model 1\n").chmod(0o644)
    host.object_of("model 1\n").write_text("model X\n")


def no_room(host: Following) -> None:
    host.follow(deploy='min_free = "900 TB"')


def undeployed(host: Following) -> None:
    host.sync()
    assert host.cli("undeploy", "churn", "--yes").code == 0


def closed(host: Following) -> None:
    host.follow(more='[window]\nstart = "00:00"\nlength = "1m"\n')
    host.at(NOON)


def moved(host: Following) -> None:
    host.cli("fetch")
    host.serve("tag", "--force", "-a", "-m", "again", "churn@v1.0.0", "churn@v1.0.0")


def unsigned(host: Following) -> None:
    folder = host.top / "home" / "tagship"
    folder.mkdir(parents=True)
    (folder / "allowed_signers").touch()
    (folder / "host.toml").write_text(
        'require_signed = true\nallowed_signers = "allowed_signers"\n'
    )


def revoked(host: Following) -> None:
    host.sync()
    unsigned(host)


def held(host: Following) -> None:
    host.sync()
    assert host.cli("hold", "churn").code == 0
    host.release("model 2\n")


def rolled_back(host: Following) -> None:
    host.sync()
    host.release("model 2\n")
    host.sync()
    assert host.cli("rollback", "churn", "--yes").code == 0


def failed(host: Following) -> None:
    gate(host, "exit 1")


def fitting_nothing(host: Following) -> None:
    host.sync()
    host.follow("^3")


def unassigned(host: Following) -> None:
    host.publish("churn#prod#1")
    host.follow("#prod")
    host.sync()
    host.publish("churn#prod!#2")


def taken_back(host: Following) -> None:
    host.sync()
    host.publish("churn@deprecated")


def test_a_model_that_is_not_followed_any_more_needs_no_release(host: Following) -> None:
    host.sync()
    host.publish("churn@v1.0.0!")
    host.cli("fetch")
    host.follow(model="other")
    status = host.cli("status", "churn")
    assert (status.code, status.out) == (
        0,
        "churn: in order, live 1.0.0, latest -\n"
        "  churn is not followed any more: what is live stays\n"
        "    next: tagship undeploy churn, or add [follow.churn] to tagship.toml\n",
    )


def test_what_a_rollback_above_the_rule_passes_over_is_told(host: Following) -> None:
    host.release("model 2\n")
    host.sync()
    host.follow("1.0.0")
    host.sync()
    assert host.cli("rollback", "churn", "--yes").code == 0
    passed = "1.0.0 is passed over: rolled back to 1.1.0 by "
    assert host.report()["reasons"][0]["what"].startswith(passed)
    assert passed in host.cli("status").out


@pytest.mark.parametrize(
    ("arrange", "code", "told"),
    [
        (unmeasured, 3, "1.0.0 waits until "),
        (lacking, 3, "1.0.0 waits until "),
        (other_bytes, 3, "1.0.0 waits until "),
        (no_room, 3, "1.0.0 waits until "),
        (undeployed, 3, "undeployed by "),
        (closed, 3, "1.0.0 waits until 2026-12-01 00:00:00 UTC: the window is closed"),
        (moved, 3, "churn@v1.0.0: it was moved"),
        (unsigned, 3, "1.0.0 is not deployed: the tag churn@v1.0.0 is not signed"),
        (revoked, 3, "/metadata.json is of a version that may not go live here: "),
        (held, 3, "held by "),
        (rolled_back, 0, "1.1.0 is passed over: rolled back to 1.0.0 by "),
        (failed, 4, "1.0.0 failed, "),
        (fitting_nothing, 3, "no version fits ^3; 1.0.0 stays\n    fix: tagship list churn\n"),
        (unassigned, 3, "no version holds #prod; 1.0.0 stays\n"),
        (taken_back, 3, "1.0.0 is live, but churn is deprecated, and its rule selects no other"),
    ],
)
def test_status_says_what_a_pass_said(
    host: Following, arrange: Callable[[Following], None], code: int, told: str
) -> None:
    arrange(host)
    host.sync()
    said, status, fleet = host.sync(), host.cli("status"), host.cli("fleet")
    assert (said.code, status.code, fleet.code) == (code, code, min(code, 3))
    head = status.out.partition(", latest")[0]
    assert said.out.startswith(head)  # the same word
    assert told in status.out
    assert code == 0 or told.partition("\n")[0] in said.out
    for line in said.out.splitlines()[1:]:
        assert line in status.out or arrange in (held, failed)  # with its way out

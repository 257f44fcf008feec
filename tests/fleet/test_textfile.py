"""Metrics of a host: read by Prometheus' own parser."""

from datetime import timedelta
from pathlib import Path

from prometheus_client import parser

from tagship.fleet import textfile
from tests.fleet.objects import NOON
from tests.hosts import Following

Samples = dict[tuple[str, tuple[str, ...]], float]
NOON_S = NOON.timestamp()


def samples(text: str) -> Samples:
    """The samples of a text, by their names and the values of their labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_pass_writes_metrics_and_brings_their_times_up_to_date(host: Following) -> None:
    folder = host.top / "metrics"
    folder.mkdir()
    host.follow(more=f'[report]\ntextfile = "{folder}"\n')
    host.at(NOON)
    assert host.sync().err == ""
    file = folder / "tagship.prom"
    text, tag = file.read_text(), host.kept()["churn@v1.0.0"]
    states: Samples = {("tagship_state", ("churn", why)): float(why == "in_order") for why in (
        "in_order", "behind", "held", "waiting", "blocked", "refused", "drifted", "unknown",
        "failed", "broken",
    )}  # fmt: skip
    expected: Samples = {
        ("tagship_info", ("churn", "1.0.0", tag)): 1,
        **states,
        ("tagship_last_poll_timestamp_seconds", ()): NOON_S,
        ("tagship_last_success_timestamp_seconds", ("churn",)): NOON_S,
        ("tagship_deploys_total", ("churn", "succeeded")): 1,
        ("tagship_deploys_total", ("churn", "failed")): 0,
        ("tagship_deploys_total", ("churn", "rolled_back")): 0,
        ("tagship_drift", ("churn",)): 0,
    }
    assert samples(text) == expected
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in folder.iterdir()] == ["tagship.prom"]

    host.at(NOON + timedelta(minutes=5))
    host.sync()
    later = NOON_S + 300
    assert samples(file.read_text()) == {
        **expected,
        ("tagship_last_poll_timestamp_seconds", ()): later,
        ("tagship_last_success_timestamp_seconds", ("churn",)): later,
    }

    host.cli("hold", "churn", "--until", "2026-12-01")
    host.release("model 2\n")
    host.at(NOON + timedelta(minutes=10))
    host.sync()
    held = samples(file.read_text())
    assert held["tagship_state", ("churn", "held")] == 1
    assert held["tagship_hold_until_timestamp_seconds", ("churn",)] == NOON_S + 12 * 3600
    assert held["tagship_last_success_timestamp_seconds", ("churn",)] == later
    assert held["tagship_last_poll_timestamp_seconds", ()] == NOON_S + 600
    assert ("tagship_behind_since_timestamp_seconds", ("churn",)) in held

    host.origin.rename(host.top / "away")  # the server does not answer
    host.at(NOON + timedelta(minutes=15))
    host.sync()
    away = samples(file.read_text())
    assert away["tagship_last_poll_timestamp_seconds", ()] == NOON_S + 600


def test_labels_are_escaped() -> None:
    line = textfile._sample("m", {"a": 'x"\\\n{}'}, 1)
    assert samples(f"# TYPE m gauge\n{line}") == {("m", ('x"\\\n{}',)): 1}


def test_a_folder_that_is_not_there_is_a_note(host: Following, tmp_path: Path) -> None:
    host.follow(more=f'[report]\ntextfile = "{tmp_path}/none"\n')
    result = host.sync()
    assert result.code == 0
    assert "note: the state of this host was not told: No such file or directory" in result.err

"""What a server counts: names, labels, workers that add up."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from tagship.serve.metrics import ACCESS_DROPPED, HELP, KEPT, Metrics, Versions
from tagship.serve.monitor import Monitor
from tagship.serve.tallies import CAPACITY, Memory, Tallies, read
from tests.serve.seen import answered, facts, state

Samples = dict[tuple[str, ...], float]


def samples(metrics: Metrics | Monitor, **states: object) -> Samples:
    """Name and the values of its labels, in the order of the labels' names, to the value."""
    text, content_type = metrics.exposition(states)  # type: ignore[arg-type] # any states
    assert content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def versions(found: Samples) -> set[str]:
    """The versions that are a label of the requests that were counted."""
    return {key[3] for key in found if key[0] == "tagship_requests_total"}


def test_a_request_is_counted_by_model_version_and_code_with_its_rows_and_time() -> None:
    metrics = Metrics(["churn"])
    metrics.swapped("churn", facts(), 0.3)
    metrics.answered(answered())
    metrics.answered(answered(seconds=0.02))
    metrics.answered(answered(code=400, rows=0))
    found = samples(metrics)
    assert found["tagship_requests_total", "200", "churn", "1.0.0"] == 2
    assert found["tagship_requests_total", "400", "churn", "1.0.0"] == 1
    assert found["tagship_rows_total", "churn", "1.0.0"] == 4
    buckets = {k[1]: n for k, n in found.items() if k[0] == "tagship_request_seconds_bucket"}
    assert (buckets["0.0025"], buckets["0.005"], buckets["0.025"], buckets["+Inf"]) == (0, 2, 3, 3)
    assert found["tagship_request_seconds_count", "churn", "1.0.0"] == 3
    assert found["tagship_request_seconds_sum", "churn", "1.0.0"] == pytest.approx(0.028)
    assert found["tagship_swaps_total", "churn", "taken"] == 1
    assert found["tagship_swap_seconds_count", "churn"] == 1


@pytest.mark.parametrize(
    "unknown", [{"model": "x' OR 1=1"}, {"version": "9.9.9", "generation": None}, {"version": None}]
)
def test_what_a_client_made_up_is_no_label(unknown: dict[str, Any]) -> None:
    metrics = Metrics(["churn"])
    for number in range(100):
        metrics.answered(answered(code=404, id=str(number), **unknown))
    model = "churn" if "model" not in unknown else ""
    requests = {k: n for k, n in samples(metrics).items() if k[0] == "tagship_requests_total"}
    assert requests == {("tagship_requests_total", "404", model, ""): 100}


def test_the_numbers_of_the_last_few_freed_versions_are_kept_and_no_more() -> None:
    metrics = Metrics(["churn"])
    for number in range(1, 41):
        new = facts(f"1.{number}.0", number)
        metrics.swapped("churn", new, 0.1)
        metrics.answered(answered(new.version, number))
        if number > 1:
            metrics.freed(facts(f"1.{number - 1}.0", number - 1))
    found = samples(metrics)
    assert versions(found) == {f"1.{number}.0" for number in range(40 - KEPT, 41)}
    assert found["tagship_swaps_total", "churn", "taken"] == 40


def test_a_version_that_is_loaded_twice_keeps_its_numbers_until_both_are_gone() -> None:
    loads = Versions()
    loads.loaded("1.0.0")
    loads.loaded("1.0.0")
    assert loads.freed("1.0.0") == []
    for version in "abc":
        loads.loaded(version)
        assert loads.freed(version) == []
    assert loads.freed("1.0.0") == ["a"]


def test_a_challenger_has_its_numbers_although_nobody_said_that_it_was_loaded() -> None:
    metrics = Metrics(["churn"])
    metrics.swapped("churn", facts(), 0.1)
    metrics.answered(answered("0.9.0", 7))
    assert samples(metrics)["tagship_requests_total", "200", "churn", "0.9.0"] == 1


def test_gauges_say_what_is_live_refused_and_draining() -> None:
    metrics = Metrics(["churn", "wine"])
    churn = state(facts("1.1.0", 7), refused="1.2.0", generations=2)
    found = samples(metrics, churn=churn, wine=state(generations=0))
    assert found["tagship_live", "churn", "7", "1.1.0"] == 1
    assert found["tagship_refused", "churn", "1.2.0"] == 1
    names = ("tagship_ready", "tagship_generations")
    assert {key: n for key, n in found.items() if key[0] in names} == {
        ("tagship_ready", "churn"): 1, ("tagship_ready", "wine"): 0,
        ("tagship_generations", "churn"): 2, ("tagship_generations", "wine"): 0,
    }  # fmt: skip


def test_workers_add_up_but_for_swaps_which_each_of_them_counts() -> None:
    memory = Memory(2)
    first, second = (Metrics(["churn"], memory, worker) for worker in (0, 1))
    for metrics in (first, second):
        metrics.swapped("churn", facts(), 0.3)
        metrics.answered(answered())
        metrics.failed(ACCESS_DROPPED, 5)
    second.refused("churn")  # the other one was just started
    for metrics in (first, second):
        found = samples(metrics, churn=state(facts()))
        assert found["tagship_requests_total", "200", "churn", "1.0.0"] == 2
        assert found["tagship_request_seconds_count", "churn", "1.0.0"] == 2
        assert found["tagship_access_lines_dropped_total",] == 10
        assert found["tagship_swaps_total", "churn", "taken"] == 1
        assert found["tagship_swaps_total", "churn", "refused"] == 1
        assert found["tagship_swap_seconds_count", "churn"] == 1
        assert found["tagship_live", "churn", "1", "1.0.0"] == 1


def test_a_worker_that_takes_the_place_of_another_goes_on_counting() -> None:
    memory = Memory()
    for _ in range(2):
        metrics = Metrics(["churn"], memory)
        metrics.swapped("churn", facts(), 0.3)
        metrics.answered(answered())
    found = samples(metrics)
    assert found["tagship_requests_total", "200", "churn", "1.0.0"] == 2
    assert found["tagship_swaps_total", "churn", "taken"] == 1
    for number in range(2, 9):  # what the first one counted is forgotten in its turn
        metrics.swapped("churn", facts(f"1.{number}.0", number), 0.1)
        metrics.freed(facts(f"1.{number - 1}.0" if number > 2 else "1.0.0", number - 1))
    assert "1.0.0" not in versions(samples(metrics))


def test_openmetrics_is_given_where_it_is_asked_for() -> None:
    metrics = Metrics(["churn"])
    metrics.answered(answered())
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    text, content_type = metrics.exposition({"churn": state(facts())}, accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = parse_open_metrics(text.decode())  # type: ignore[no-untyped-call] # it has no types
    assert {family.name for family in families} == set(HELP)


# ---- the numbers in memory


def test_another_process_reads_and_adds_by_the_inherited_descriptor() -> None:
    memory = Memory(2)
    Tallies(memory.regions[0]).add((("here",), 1.5))
    program = (
        "import sys; from tagship.serve.tallies import Memory, Tallies\n"
        "memory = Memory(2, int(sys.argv[1]))\n"
        "tallies = Tallies(memory.regions[1])\n"
        "for _ in range(1000): tallies.add((('there', 'é'), 1))\n"
        "print(memory.read()[0])"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(memory.descriptor)], check=True, text=True,
        capture_output=True, pass_fds=[memory.descriptor],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "tools")},
    )  # fmt: skip
    assert child.stdout == "{('here',): 1.5}\n"
    assert memory.read() == [{("here",): 1.5}, {("there", "é"): 1000}]


def test_names_come_and_go() -> None:
    region = Memory().regions[0]
    tallies = Tallies(region)
    tallies.add((("a", "1"), 1), (("b",), 2), (("a", "2"), 3))
    tallies.drop(lambda key: key[0] == "a")
    assert read(region) == {("b",): 2}
    tallies.add((("a", "1"), 4), (("b",), 1))
    assert (read(region), tallies.get(("b",)), tallies.get(("c",))) == (
        {("b",): 3, ("a", "1"): 4}, 3, 0,
    )  # fmt: skip


def test_without_room_for_a_new_name_the_others_go_on() -> None:
    region = Memory().regions[0]
    tallies = Tallies(region)
    names = [("x" * 1000, str(number)) for number in range(CAPACITY // 1000)]
    for name in names:
        tallies.add((name, 1))
    tallies.add((names[0], 1), (names[-1], 1))
    numbers = read(region)
    assert numbers[names[0]] == 2
    assert names[-1] not in numbers
    assert len(numbers) > 0.9 * len(names)


def test_a_region_of_a_killed_worker_counts_nothing_until_the_next_one() -> None:
    region = Memory().regions[0]
    Tallies(region).add((("a",), 1))
    region.cast("Q")[0] += 1  # as if it were killed while it wrote names
    assert read(region) == {}
    tallies = Tallies(region)
    tallies.add((("a",), 1))
    assert read(region) == {("a",): 1}

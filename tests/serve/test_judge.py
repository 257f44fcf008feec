"""The judge of answers sees each fault, and no other; and the load generator notes what came."""

import dataclasses
import socket
from typing import Any

import pytest

from tests.serve import faulty, judge, load
from tests.serve.faulty import EACH, EXPECTED, ROWS
from tests.serve.judge import Verdict
from tests.serve.load import Answer, Plan

ANSWERS = 60
KINDS = {
    faulty.REFUSES: "failed", faulty.HANGS_UP: "failed",
    faulty.MIXES: "mixed", faulty.GOES_BACK: "backwards", faulty.IS_NAMELESS: "mixed",
    faulty.CONTRADICTS: "mixed",
}  # fmt: skip


def answer(
    begin: float, end: float, generation: int | None, version: str = "1.0.0", status: int = 200
) -> Answer:
    return Answer(begin, end, 0, 0, status, version, generation, (1.0,))


def verdict(*answers: Answer) -> dict[str, int]:
    return judge.judge(answers, {}).faults


# the judge alone


def test_answers_in_order_are_without_fault() -> None:
    assert verdict(answer(0, 1, 1), answer(1, 2, 1), answer(2, 3, 2, "1.1.0")) == {}


def test_an_answer_is_backwards_if_a_newer_one_had_ended_when_it_began() -> None:
    newer, older = answer(0.0, 0.5, 2, "1.1.0"), answer(0.6, 0.7, 1)
    assert judge.judge([older, newer], {}).backwards == (older,)


def test_an_older_answer_that_overlaps_a_newer_one_is_in_order() -> None:
    newer = answer(0.0, 0.5, 2, "1.1.0")
    assert verdict(newer, answer(0.4, 0.7, 1)) == verdict(newer, answer(0.5, 0.7, 1)) == {}


def test_all_answers_after_the_newest_are_held_against_it_and_not_against_the_last() -> None:
    newest = answer(0.0, 0.1, 3)
    assert verdict(newest, answer(0.2, 0.3, 1), answer(0.4, 0.5, 2)) == {"backwards": 2}


def test_going_back_to_a_version_is_no_fault_in_a_new_generation() -> None:
    there, and_back = answer(0.0, 0.1, 2, "1.1.0"), answer(0.2, 0.3, 3, "1.0.0")
    assert verdict(answer(-0.2, -0.1, 1, "1.0.0"), there, and_back) == {}


def test_a_failed_answer_is_no_proof_of_a_newer_generation() -> None:
    assert verdict(answer(0, 0.1, 2, status=503), answer(0.2, 0.3, 1)) == {"failed": 1}


def test_one_generation_cannot_be_of_two_versions() -> None:
    assert verdict(answer(0, 0.1, 1, "1.0.0"), answer(0.2, 0.3, 1, "1.1.0")) == {"mixed": 1}


def test_an_answer_without_generation_is_counted() -> None:
    assert verdict(answer(0, 0.1, None), answer(0.2, 0.3, None, "1.1.0")) == {"unnumbered": 2}


@pytest.mark.parametrize(("seconds", "faults"), [(1.0, {}), (1.001, {"stalled": 1})])
def test_an_answer_stalls_after_more_than_a_second(seconds: float, faults: dict[str, int]) -> None:
    assert verdict(answer(0.0, seconds, 1)) == faults
    assert verdict(answer(0.0, seconds, 1, status=0)) == {"failed": 1} | faults


@pytest.mark.parametrize(
    ("version", "outputs", "faults"),
    [
        ("1.0.0", (1.0, 2.0), {}),
        ("1.0.0", (1.0, 2.0 + 1e-12), {}),
        ("1.0.0", (1.0, 2.1), {"mixed": 1}),  # of neither
        ("1.1.0", (1.0, 2.0), {"mixed": 1}),  # of the other
        ("1.0.0", (1.0, 4.0), {"mixed": 1}),  # half of each
        ("1.0.0", (1.0,), {"mixed": 1}),
        ("1.9.0", (1.0, 2.0), {"mixed": 1}),  # there is no such version
    ],
)
def test_outputs_are_those_of_the_saved_file_of_the_claimed_version(
    version: str, outputs: tuple[float, ...], faults: dict[str, int]
) -> None:
    expected = {"1.0.0": [[1.0, 2.0]], "1.1.0": [[2.0, 4.0]]}
    given = dataclasses.replace(answer(0, 0.1, 1, version), outputs=outputs)
    assert judge.judge([given], expected).faults == faults


def test_versions_that_answer_alike_are_refused_since_nothing_could_be_told() -> None:
    with pytest.raises(ValueError, match=r"1\.0\.0 and 1\.1\.0 give the same for body 1"):
        judge.judge([], {"1.0.0": [[1.0], [5.0]], "1.1.0": [[2.0], [5.0]]})


def test_without_numbers_an_answer_is_of_the_newest_swap_that_it_can_be_of() -> None:
    swaps = [(0.0, "1.0.0"), (1.0, "1.1.0"), (2.0, "1.0.0")]
    before, ended_after = answer(1.5, 1.9, None, "1.0.0"), answer(1.8, 2.1, None, "1.0.0")
    other, unknown = answer(2.5, 2.6, None, "1.1.0"), answer(2.5, 2.6, None, "3.0.0")
    given = judge.numbered([before, ended_after, other, unknown], swaps)
    assert [each.generation for each in given] == [0, 2, 1, None]


def test_what_is_said_of_a_verdict_has_an_example_of_each_fault() -> None:
    late = answer(0, 2, 1)
    assert str(judge.judge([late, answer(0, 0.1, 1)], {})) == (
        f"2 answers, {{'stalled': 1}}\nstalled: {late}"
    )
    assert str(judge.judge([], {})) == "0 answers, no fault"


# the load generator, against a server that is wrong on purpose


def judged(fault: str, **how: Any) -> Verdict:
    with faulty.serving(fault) as address:
        plan = load.infer(address, "m", ROWS, **{"most": ANSWERS, "connections": 1, **how})
        answers = load.asked(plan)
    return judge.judge(answers, EXPECTED)


@pytest.mark.parametrize("fault", KINDS)
def test_each_fault_of_a_server_is_seen_and_no_other(fault: str) -> None:
    verdict = judged(fault)
    assert verdict.faults == {KINDS[fault]: ANSWERS // EACH}, verdict
    assert verdict.answers == ANSWERS


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_server_that_is_right_is_without_fault_at_eight_connections(keep_alive: bool) -> None:
    verdict = judged(faulty.RIGHT, most=20 * EACH, connections=8, keep_alive=keep_alive)
    assert verdict.faults == {}, verdict
    assert verdict.generations >= 20


@pytest.mark.parametrize("fault", [faulty.HANGS_UP, faulty.MIXES])
def test_a_fault_is_seen_with_new_connections_too(fault: str) -> None:
    assert judged(fault, keep_alive=False).faults == {KINDS[fault]: ANSWERS // EACH}


def test_an_answer_that_stalls_is_seen() -> None:
    assert judged(faulty.STALLS, most=EACH // 2 + 4).faults == {"stalled": 1}


def test_a_server_that_is_not_there_is_a_failed_answer() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        (answer,) = load.asked(Plan("127.0.0.1", port, "/", most=1, connections=1))
    assert (answer.status, answer.error.partition(":")[0]) == (0, "ConnectionRefusedError")


def test_a_server_that_never_answers_is_a_failed_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (answer,) = load.asked(Plan("127.0.0.1", port, "/", most=1, connections=1, patience=0.1))
    assert (answer.status, answer.error.partition(":")[0]) == (0, "TimeoutError")


def test_load_ends_with_its_block_and_with_its_time() -> None:
    with faulty.serving() as address:
        plan = load.infer(address, "m", ROWS, connections=2, pause=0.01)
        with load.under(plan) as running:
            pass
        assert {each.connection for each in running.answers} == {0, 1}
        soon = dataclasses.replace(plan, seconds=0.2)
        answers = load.asked(soon)
    assert 0.1 < max(each.end for each in answers) - min(each.begin for each in answers) < 10


def test_load_that_reaches_a_bound_before_its_block_ends_is_told() -> None:
    with faulty.serving() as address:
        plan = load.infer(address, "m", ROWS, connections=1, most=5)
        reached = pytest.raises(load.Broken, match="a bound of the plan was reached")
        with reached, load.under(plan) as running:
            running.process.wait()


def test_only_this_machine_is_asked() -> None:
    with pytest.raises(ValueError, match=r"192\.0\.2\.1 is not a loopback address"):
        Plan("192.0.2.1", 80, "/")


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = Plan("127.0.0.1", 80, "/x", (b"\x00\xff", b""), {"a": "b"}, keep_alive=False)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_program_that_fails_ends_the_load_with_its_words() -> None:
    plan = Plan("127.0.0.1", 80, "/", bodies=())
    with pytest.raises(load.Broken, match="ZeroDivisionError"), load.under(plan):
        pass

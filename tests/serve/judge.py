"""Judge the answers that came while versions were swapped: failed, mixed, backwards, stalled."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.serve.load import Answer

STALL = 1.0  # seconds that an answer may take
Expected = Mapping[str, Sequence[Sequence[float]]]  # by version: the outputs for each body, flat


@dataclass(frozen=True)
class Verdict:
    """What is wrong with some answers; one answer can be wrong in several ways.

    Attributes:
        answers: how many there were, the failed ones included.
        failed: those without status 200.
        mixed: with outputs that are not those of the version that they claim, with no version or an
            unknown one, or with a version that another answer of the same generation denies.
        backwards: begun when an answer of a newer generation had ended, and of an older one.
        stalled: that took longer than ``STALL``.
        unnumbered: answers that name no generation, so that ``backwards`` cannot see them.
        generations: how many answered.
    """

    answers: int
    failed: tuple[Answer, ...]
    mixed: tuple[Answer, ...]
    backwards: tuple[Answer, ...]
    stalled: tuple[Answer, ...]
    unnumbered: int
    generations: int

    @property
    def faults(self) -> dict[str, int]:
        """How many answers are wrong, by kind; only those kinds that there are."""
        kinds = {
            "failed": len(self.failed), "mixed": len(self.mixed),
            "backwards": len(self.backwards), "stalled": len(self.stalled),
            "unnumbered": self.unnumbered,
        }  # fmt: skip
        return {kind: count for kind, count in kinds.items() if count}

    def __str__(self) -> str:
        examples = [
            f"{kind}: {answers[0]}"
            for kind in ("failed", "mixed", "backwards", "stalled")
            if (answers := getattr(self, kind))
        ]
        return "\n".join([f"{self.answers} answers, {self.faults or 'no fault'}", *examples])


def judge(answers: Sequence[Answer], expected: Expected, tolerance: float = 1e-9) -> Verdict:
    """Judge answers.

    Args:
        answers: in any order.
        expected: what the saved file of each version gives for each body; empty where the outputs
            are not looked at.
        tolerance: relative, of one number.

    Raises:
        ValueError: two versions give the same for a body, so that no mixed answer could be told.
    """
    _check_distinct(expected, tolerance)
    good = [answer for answer in answers if answer.status == 200]
    numbered = [answer for answer in good if answer.generation is not None]
    return Verdict(
        len(answers),
        tuple(answer for answer in answers if answer.status != 200),
        _mixed(good, expected, tolerance),
        _backwards(numbered),
        tuple(answer for answer in answers if answer.end - answer.begin > STALL),
        len(good) - len(numbered),
        len({answer.generation for answer in numbered}),
    )


def _check_distinct(expected: Expected, tolerance: float) -> None:
    versions = list(expected)
    for at, version in enumerate(versions):
        for other in versions[:at]:
            for body, pair in enumerate(zip(expected[version], expected[other], strict=True)):
                if _is_close(*pair, tolerance):
                    raise ValueError(f"{other} and {version} give the same for body {body}")


def _mixed(answers: Sequence[Answer], expected: Expected, tolerance: float) -> tuple[Answer, ...]:
    version_of: dict[int | None, str | None] = {None: None}
    for answer in answers:
        version_of.setdefault(answer.generation, answer.version)
    right: dict[tuple[str | None, int, tuple[float, ...]], bool] = {}

    def is_right(answer: Answer) -> bool:
        if answer.error or version_of[answer.generation] not in (None, answer.version):
            return False
        if not expected:
            return True
        key = (answer.version, answer.body, answer.outputs)
        if key not in right:
            known = expected.get(answer.version or "")
            right[key] = known is not None and _is_close(
                known[answer.body], answer.outputs, tolerance
            )
        return right[key]

    return tuple(answer for answer in answers if not is_right(answer))


def _is_close(ours: Sequence[float], theirs: Sequence[float], tolerance: float) -> bool:
    return len(ours) == len(theirs) and all(
        math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
        for a, b in zip(ours, theirs, strict=True)
    )


def _backwards(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    in_order = sorted(answers, key=lambda answer: answer.end)
    ends = [answer.end for answer in in_order]
    newest = [-1]  # of the first n answers by their end
    for answer in in_order:
        newest.append(max(newest[-1], _number(answer)))
    # bisect_left: an answer that ended just when the other began is no proof
    return tuple(
        answer for answer in in_order if _number(answer) < newest[bisect_left(ends, answer.begin)]
    )


def _number(answer: Answer) -> int:
    return -1 if answer.generation is None else answer.generation


def numbered(answers: Iterable[Answer], swaps: Sequence[tuple[float, str]]) -> list[Answer]:
    """Give answers of a server that names versions alone the generations that they can be of.

    In doubt it is the newest: what is backwards then is so in any case, as long as a version comes
    again only when the ones between have answered.

    Args:
        answers: which name a version.
        swaps: when each version went live (before: the link was not there yet), oldest first.
    """
    return [replace(answer, generation=_generation(answer, swaps)) for answer in answers]


def _generation(answer: Answer, swaps: Sequence[tuple[float, str]]) -> int | None:
    possible = (
        number
        for number, (at, version) in enumerate(swaps)
        if version == answer.version and at <= answer.end
    )
    return max(possible, default=None)

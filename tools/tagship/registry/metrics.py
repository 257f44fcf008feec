"""Metrics of two versions held against each other, and which way each is better. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HIGHER, LOWER, NEITHER = "higher", "lower", "neither"
DIRECTIONS = (HIGHER, LOWER, NEITHER)
BETTER, WORSE, SAME = "better", "worse", "same"

# Words in a metric's name. An error is low even where its name has another word too, and the
# figure of a baseline tells of the data, not of the model.
_NEITHER = {"baseline", "chance", "dummy", "support", "threshold"}
_LOWER = {
    "brier", "bytes", "cer", "cost", "deviance", "distance", "divergence", "duration", "ece",
    "entropy", "err", "error", "errors", "fid", "fnr", "fpr", "hamming", "kl", "latency", "logloss",
    "loss", "mae", "mape", "memory", "mse", "ms", "msle", "nll", "overfit", "perplexity", "ppl",
    "regret", "rmse", "rmsle", "seconds", "size", "smape", "time", "wer",
}  # fmt: skip
_HIGHER = {
    "acc", "accuracy", "ap", "auc", "auprc", "auroc", "bleu", "correct", "correlation", "dice",
    "f", "fbeta", "fscore", "gain", "gini", "hit", "iou", "jaccard", "kappa", "lift", "map", "mcc",
    "meteor", "miou", "mrr", "ndcg", "npv", "pearson", "ppv", "pr", "precision", "psnr", "r",
    "recall", "reward", "roc", "rouge", "score", "sensitivity", "spearman", "specificity", "ssim",
    "throughput", "tnr", "tpr",
}  # fmt: skip


@dataclass(frozen=True)
class MetricChange:
    """One metric of two versions.

    Attributes:
        before, after: as DVC has them; None where a version lacks the metric.
        difference: after - before; None where one of the two is not a finite number.
        better: ``higher`` or ``lower``; None where nobody knows.
        verdict: ``better``, ``worse`` or ``same``; None where it cannot be told.
        note: what is odd: ``new``, ``gone``, ``not a number``, ``another type``.
    """

    name: str
    before: Any
    after: Any
    difference: float | None
    better: str | None
    verdict: str | None
    note: str | None = None


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], better: Mapping[str, str]
) -> tuple[MetricChange, ...]:
    """Every metric of either version, in the order of the later one.

    Args:
        before, after: value by dotted name.
        better: what the user said of a metric (``higher``, ``lower``, ``neither``), by its name.
    """
    names = [*after, *(name for name in before if name not in after)]
    return tuple(_change(name, before, after, better) for name in names)


def _change(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any], better: Mapping[str, str]
) -> MetricChange:
    old, new = before.get(name), after.get(name)
    way = direction(name, better)
    first, second = number(old), number(new)
    note = _note(name, before, after)
    if first is None or second is None:
        verdict = SAME if note is None and old == new else None
        return MetricChange(name, old, new, None, way, verdict, note)
    difference = number(second - first)
    if difference is None:  # two huge figures of different signs
        return MetricChange(name, old, new, None, way, None, note)
    return MetricChange(name, old, new, difference, way, _verdict(difference, way), note)


def _verdict(difference: float, way: str | None) -> str | None:
    if difference == 0:
        return SAME
    if way is None:
        return None
    return BETTER if (difference > 0) == (way == HIGHER) else WORSE


def _note(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    if name not in before:
        return "new"
    if name not in after:
        return "gone"
    old, new = before[name], after[name]
    if is_not_a_number(old) or is_not_a_number(new):
        return "not a number"
    return "another type" if (number(old) is None) != (number(new) is None) else None


def number(value: Any) -> float | None:
    """A finite number that can be drawn and subtracted; None for all else, ``True`` included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # JSON and YAML know no largest whole number
        return None
    return found if math.isfinite(found) else None


def is_not_a_number(value: Any) -> bool:
    """NaN or an infinity: JSON has neither, so they are kept as the texts ``nan``, ``inf``."""
    return value in ("nan", "inf", "-inf") or (
        isinstance(value, float) and not math.isfinite(value)
    )


def direction(name: str, better: Mapping[str, str]) -> str | None:
    """Which way a metric is better: as the user says, or else as its name tells.

    The words of ``valid.log_loss``'s last part are ``log`` and ``loss``: lower is better.
    """
    last = name.rpartition(".")[2]
    told = better.get(name, better.get(last))
    if told is not None:
        return None if told == NEITHER else told
    camel = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", last)
    words = {word.rstrip("0123456789") for word in re.split(r"[^A-Za-z0-9]+", camel.lower())}
    if words & _NEITHER:
        return None
    if words & _LOWER:
        return LOWER
    return HIGHER if words & _HIGHER else None

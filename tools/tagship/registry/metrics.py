"""The metrics of two versions compared, and whether higher or lower is better."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HIGHER, LOWER, NEITHER = "higher", "lower", "neither"
DIRECTIONS = (HIGHER, LOWER, NEITHER)
BETTER, WORSE, SAME = "better", "worse", "same"

# Words in the name of a metric. A word for an error counts more than other words; and the score of
# a baseline is about the data, not the model.
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
        before, after: from DVC; None if a version does not have the metric.
        difference: after - before; None where one of the two is not a finite number.
        better: ``higher`` or ``lower``; None if unknown.
        verdict: ``better``, ``worse`` or ``same``; None if unknown.
        note: what is unusual: ``new``, ``gone``, ``not a number``, ``another type``.
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
        better: the user's setting by name: ``higher``, ``lower`` or ``neither``.
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
    if difference is None:  # two huge numbers of different signs
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
    """A finite number that can be drawn and subtracted; None for any other value, also ``True``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:  # JSON and YAML have whole numbers of any size
        return None
    return result if math.isfinite(result) else None


def is_not_a_number(value: Any) -> bool:
    """NaN or an infinity: JSON has neither, so they are stored as the texts ``nan``, ``inf``."""
    return value in ("nan", "inf", "-inf") or (
        isinstance(value, float) and not math.isfinite(value)
    )


def direction(name: str, better: Mapping[str, str]) -> str | None:
    """Whether higher or lower is better: by the user's setting, or else by the metric's name.

    The words of ``valid.log_loss``'s last part are ``log`` and ``loss``: lower is better.
    """
    last = name.rpartition(".")[2]
    setting = better.get(name, better.get(last))
    if setting is not None:
        return None if setting == NEITHER else setting
    camel = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", last)
    words = {word.rstrip("0123456789") for word in re.split(r"[^A-Za-z0-9]+", camel.lower())}
    if words & _NEITHER:
        return None
    if words & _LOWER:
        return LOWER
    return HIGHER if words & _HIGHER else None

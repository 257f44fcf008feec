"""What the tests of metrics, access log and audit tell a monitor."""

from typing import Any

import numpy as np

from tagship.serve.generation import Facts
from tagship.serve.observer import Answered
from tagship.serve.slot import Refusal, State


def facts(version: str = "1.0.0", number: int = 1, **changed: Any) -> Facts:
    """A loaded version of churn."""
    values = {
        "model": "churn", "version": version, "seq": number, "digest": "ab" * 32,
        "directory": f"v{version}_20261120_120000", "since": "2026-11-20T12:00:00Z",
        "framework": "catboost", "number": number,
    }  # fmt: skip
    return Facts(**{**values, **changed})


def answered(version: str | None = "1.0.0", number: int | None = 1, **changed: Any) -> Answered:
    """A request of 2 rows that churn answered."""
    values = {
        "model": "churn", "version": version, "seq": number, "generation": number, "id": "r-1",
        "code": 200, "rows": 2, "seconds": 0.004, "sha256": "cd" * 32,
        "inputs": {"input-0": np.array([[1.0, 2.0], [3.0, 4.0]])},
        "outputs": {"output-0": np.array([[0.25, 0.75], [0.5, 0.5]])}, "client": "127.0.0.1",
    }  # fmt: skip
    return Answered(**{**values, **changed})


def state(live: Facts | None = None, refused: str | None = None, generations: int = 1) -> State:
    """How a slot is."""
    refusal = None if refused is None else Refusal(refused, "", "it is damaged")
    return State(live, (), refusal, generations)

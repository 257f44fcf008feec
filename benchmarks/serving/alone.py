"""A CatBoost model asked in a loop, without a server: ``alone.py MODEL BATCHES SECONDS FILE``.

What is written is ``{"calls": N, "seconds": S, "cpu": S}``.
"""

import itertools
import json
import sys
import time
from pathlib import Path


def main(model_file: str, batches_file: str, seconds: str, target: str) -> None:
    """Ask for so many seconds."""
    import catboost
    import numpy as np

    model = catboost.CatBoostClassifier().load_model(model_file)
    batches = [np.array(rows) for rows in json.loads(Path(batches_file).read_bytes())]
    model.predict_proba(batches[0])
    begun, cpu = time.perf_counter(), time.process_time()
    for calls in itertools.count(1):
        model.predict_proba(batches[calls % len(batches)], thread_count=1).tolist()
        if (passed := time.perf_counter() - begun) >= float(seconds):
            break
    value = {"calls": calls, "seconds": passed, "cpu": time.process_time() - cpu}
    Path(target).write_text(json.dumps(value), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

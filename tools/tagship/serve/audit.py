"""The audit: one line for each answer, written before the answer is sent (``host.audit``).

An answer is given also where its line cannot be written, as on a full disk. That is seen: it is
counted, and said in the log.
"""

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk import access
from tagship.disk.appended import Appended
from tagship.errors import TagshipError
from tagship.host import audit
from tagship.serve import lines

if TYPE_CHECKING:
    import numpy as np

    from tagship.serve.observer import Answered

PAUSE = 60.0  # seconds between two lines in the log about what could not be written
DATATYPES = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip

logger = logging.getLogger("tagship")


class Audit:
    """The audit file of a server.

    Args:
        path: the file.
        root: the models folder, which must not contain it.
        with_inputs: record the inputs too.

    Raises:
        Refused, OSError: as for ``Appended``.
    """

    def __init__(self, path: Path, root: Path, *, with_inputs: bool = False) -> None:
        self.with_inputs = with_inputs
        self._file = Appended(path, root, "the audit")
        self._lost, self._said = 0, -math.inf

    def write(self, answered: "Answered") -> bool:
        """Record an answer; whether it is recorded."""
        try:
            self._file.write(lines.line(_record(answered, self.with_inputs)))
        except (OSError, TagshipError) as error:
            self._complain(access.explain(error)[0])
        except (TypeError, ValueError) as error:  # what JSON has not
            self._complain(str(error))
        else:
            return True
        return False

    def reopen(self) -> None:
        """Open the file by its name again: logrotate moved it. A signal's handler may call it."""
        self._file.reopen()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _complain(self, why: str) -> None:
        self._lost += 1
        now = time.monotonic()
        if now - self._said >= PAUSE:
            self._said = now
            logger.error("answers that are not in %s: %d; %s", self._file.path, self._lost, why)


def _record(answered: "Answered", with_inputs: bool) -> dict[str, Any]:
    """The keys of ``host.audit.Answer``, in the order that ``START`` needs."""
    record: dict[str, Any] = {
        "schema": audit.SCHEMA,
        "at": lines.stamp(time.time()),
        "id": answered.id,
        "model": answered.model,
        "version": answered.version,
        "seq": answered.seq,
        "generation": answered.generation,
        "sha256": answered.sha256,
        "rows": answered.rows,
        "ms": round(answered.seconds * 1000, 3),
        "outputs": _tensors(answered.outputs or {}),
    }
    if with_inputs and answered.inputs is not None:
        record["inputs"] = _tensors(answered.inputs)
    return record


def _tensors(arrays: "Mapping[str, np.ndarray]") -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datatype": DATATYPES.get(array.dtype.name, "BYTES"),
            "shape": array.shape,
            "data": _flat(array),
        }
        for name, array in arrays.items()
    ]


def _flat(array: "np.ndarray") -> Any:
    """The values as JSON has them; NaN and infinities, which it has not, as texts."""
    import numpy as np

    kind, flat = array.dtype.kind, np.ascontiguousarray(array).reshape(-1)
    if kind == "f":
        if np.isfinite(flat).all():
            return flat.astype(np.float32) if flat.dtype.itemsize < 4 else flat
        return [value if math.isfinite(value) else str(value) for value in flat.tolist()]
    if kind in "biu":
        return flat
    return [_text(value) for value in flat.tolist()]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

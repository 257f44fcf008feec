"""The smoke test: load a model in a separate process, and compare its answers with the released.

A self-test is JSON, written by the training and tracked with the model (docs/self_test.md)::

    {"schema": 1, "inputs": [...], "outputs": [...], "tolerance": {"absolute": 1e-6, "relative": 0}}

A separate process, because a broken model can crash the interpreter, or never answer.
"""

import atexit
import gc
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tagship import loaders
from tagship.disk import program, scratch
from tagship.errors import Corrupt, FailedHere, Refused, SelfTestFailed, TagshipError

Ask = Callable[[Any], Any]
PASSED, SKIPPED = "passed", "skipped"
MANY = 100_000  # objects made between two looks for garbage: frameworks make those to stay
KINDS = {
    "SelfTestFailed": SelfTestFailed, "FailedHere": FailedHere, "Corrupt": SelfTestFailed,
    "Refused": Refused,
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """The result of a smoke test.

    Attributes:
        verdict: ``passed``, or ``skipped`` if the model cannot be loaded safely.
        detail: in words.
        framework, architecture: of the loaded model.
        versions: of the framework and of Python.
    """

    verdict: str
    detail: str
    framework: str | None = None
    architecture: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SelfTest:
    """Inputs, the answers of the released model, and the allowed difference."""

    inputs: list[Any]
    outputs: list[Any]
    absolute: float
    relative: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a self-test.

        Raises:
            Corrupt: the file is not of the form above.
        """
        return cls.parse(path.read_bytes(), path.name)

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """The self-test in a file's bytes.

        Raises:
            Corrupt: they are not of the form above.
        """
        try:
            value = json.loads(data)
            tolerance = value["tolerance"]
            test = cls(
                list(value["inputs"]),
                list(value["outputs"]),
                float(tolerance["absolute"]),
                float(tolerance["relative"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise Corrupt(
                f"{name} is not a valid self-test ({error})", "see docs/self_test.md"
            ) from None
        if value.get("schema") != 1 or not test.inputs or len(test.inputs) != len(test.outputs):
            raise Corrupt(f"{name} is not a self-test of schema 1", "see docs/self_test.md")
        return test

    @property
    def form(self) -> dict[str, Any]:
        """The number of samples, the shapes of one input and one output, and the tolerances.

        A single number has the shape ``[]``.
        """
        return {
            "samples": len(self.inputs),
            "input": _shape(self.inputs[0]),
            "output": _shape(self.outputs[0]),
            "absolute tolerance": self.absolute,
            "relative tolerance": self.relative,
        }

    def differences(self, answers: Any) -> list[str]:
        """How the answers differ from the released ones; empty if they do not."""
        if isinstance(answers, Mapping) and isinstance(self.outputs[0], Mapping):
            answers = by_sample(answers)
        got, expected = list(_numbers(answers)), list(_numbers(self.outputs))
        if len(got) != len(expected):
            return [f"{len(got)} numbers instead of {len(expected)}"]
        return [
            f"number {index}: {new:.6g} instead of {old:.6g}"
            for index, (new, old) in enumerate(zip(got, expected, strict=True))
            if not math.isclose(new, old, rel_tol=self.relative, abs_tol=self.absolute)
        ]


def _shape(value: Any) -> list[int] | dict[str, Any]:
    """The lengths of nested lists, by their first elements; by name where there are several."""
    if isinstance(value, Mapping):
        return {name: _shape(inner) for name, inner in value.items()}
    if not isinstance(value, list):
        return []
    return [len(value), *(_shape(value[0]) if value else [])]


def by_sample(answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Answers of several outputs as a self-test has them: for each sample, its values by output."""
    count = min(map(len, answers.values()))
    return [{name: values[at] for name, values in answers.items()} for at in range(count)]


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = [value[name] for name in sorted(value)]
    if isinstance(value, Iterable) and not isinstance(value, str):
        for inner in value:
            yield from _numbers(inner)
    else:
        yield float(value)


def check(model: Path, self_test: Path | None, *, allow_pickle: bool = False) -> Report:
    """Load a model in this process, and compare its answers.

    Raises:
        Refused, Corrupt: the file is not what its name says, or this framework is not safe.
        TagshipError: no loader, an extra is missing, or the answers differ.
    """
    loader = loaders.need(model, allow_unsafe=allow_pickle)
    try:
        loaded = loaders.load(loader, model)
    except TagshipError:
        raise
    except ImportError as error:
        raise TagshipError(
            f"{model.name} needs {error.name}, which is not installed",
            f'pip install "{loader.requirement}", or deploy with --no-smoke-test',
        ) from None
    except Exception as error:  # noqa: BLE001 - each framework has its own errors
        raise SelfTestFailed(
            f"{model.name} does not load: {_first_line(error)}", "train and release it again"
        ) from None
    versions = _versions(loader.framework)
    architecture = loader.describe(loaded)
    if self_test is None:
        return Report(
            PASSED, "loads; it has no self-test", loader.framework, architecture, versions
        )
    test = SelfTest.read(self_test)
    compare(test, lambda inputs: loader.predict(loaded, inputs), model.name)
    detail = f"{len(test.inputs)} answers as released"
    return Report(PASSED, detail, loader.framework, architecture, versions)


def compare(test: SelfTest, ask: Ask, name: str) -> None:
    """Compare the answers of a loaded model with the released ones.

    Args:
        test: its self-test.
        ask: gives the answers for the inputs.
        name: of the model, for the error.

    Raises:
        SelfTestFailed: it does not answer, or not as it was released.
    """
    wrong = test.differences(answered(ask, test.inputs, name))
    if wrong:
        raise FailedHere(
            f"{name} does not answer as it was released: {'; '.join(wrong[:3])}",
            "compare the framework's version here with the one it was trained with",
        )


def answered(ask: Ask, inputs: Any, name: str) -> Any:
    """The answers of a loaded model.

    Raises:
        SelfTestFailed: it does not answer.
    """
    try:
        return ask(inputs)
    except Exception as error:  # noqa: BLE001 - each framework has its own errors
        raise SelfTestFailed(
            f"{name} does not answer: {_first_line(error)}", "train and release it again"
        ) from None


def run(model: Path, self_test: Path | None, timeout: float) -> Report:
    """The same in a separate process, killed with its children after ``timeout`` seconds.

    Raises:
        SelfTestFailed: it does not load, does not answer as released, crashes, or takes too long.
        Refused: the file is not what its name says, or this framework is not safe.
        TagshipError: it could not be tried: an extra is not installed.
    """
    loader = loaders.find(model)
    if loader is None:
        return Report(SKIPPED, f"no loader reads {model.name}")
    if not loader.safe:
        return Report(SKIPPED, f"{model.name} is a pickle, and not loaded", loader.framework)
    with scratch.file() as answer:
        # -P: with -m alone Python looks for modules in the working directory first
        command = [sys.executable, "-P", "-m", "tagship.loaders.selftest", str(answer.fileno())]
        command += [str(path.absolute()) for path in (model, self_test) if path is not None]
        last = _run_to_end(command, timeout, model.name, answer.fileno())
        answer.seek(0)
        try:
            value = json.loads(answer.read())
        except ValueError:
            raise SelfTestFailed(
                f"loading {model.name} ended its process: {last or 'no output'}",
                "train and release it again",
            ) from None
    if "error" not in value:
        return Report(**value)
    raise KINDS.get(value["kind"], TagshipError)(value["error"], value["hint"])


def _run_to_end(command: list[str], timeout: float, name: str, answer: int) -> str:
    """The last line of its errors. It runs in ``/``, without what may be a credential."""
    environment = program.for_framework()
    ended = program.run(command, timeout, environment, pass_fds=[answer], errors_only=True)
    if ended.code is None:
        raise FailedHere(
            f"loading {name} took longer than {timeout:g} s",
            "allow it more: tagship: smoke_timeout: in params.yaml",
        )
    return ended.last


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _versions(framework: str) -> dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    module = sys.modules.get(framework)
    if module is not None and hasattr(module, "__version__"):
        versions[framework] = str(module.__version__)
    return versions


def _main(answer: int, model: Path, self_test: Path | None) -> None:
    try:
        value = asdict(check(model, self_test))
    except TagshipError as error:
        value = {"error": error.message, "hint": error.hint, "kind": type(error).__name__}
    with os.fdopen(answer, "w") as file:
        json.dump(value, file)


if __name__ == "__main__":
    program.die_with_parent()  # if the deploy is killed
    gc.set_threshold(MANY)  # a quarter of the time that an import of Keras takes
    atexit.register(gc.freeze)  # nor is it looked for at the exit, which frees all the memory
    _main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)

"""Load a version and ask it, for programs that serve: without Git or DVC."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship import loaders
from tagship.disk import files
from tagship.errors import Corrupt, Forbidden, InvalidName, NotFound, Refused, TagshipError
from tagship.host import live as host_live
from tagship.host import metadata, project, settings
from tagship.host.live import Live, Using
from tagship.loaders import Inputs, Loader, Outputs, Signature
from tagship.registry import artifacts

if TYPE_CHECKING:
    from tagship.loaders.selftest import SelfTest

logger = logging.getLogger("tagship")
Load = Callable[[Path], Any]


@dataclass(frozen=True)
class ActiveModel(Using):
    """A loaded model. Other attributes are those of the framework's object: ``.predict(...)``.

    Attributes:
        model: the framework's own object.
        version: what is loaded; None for the pipeline's own output, which has no version.
        directory: where its files are.
        live: what was resolved; None for the pipeline's own output.
        loader: how the framework is asked; None where tagship does not know it.
        lock: keeps the directory from a cleanup until ``lock.close()``, or while this object lives.
    """

    model: Any = field(repr=False)
    name: str
    version: str | None
    directory: Path
    live: Live | None = field(default=None, repr=False)
    loader: Loader | None = field(default=None, repr=False, compare=False)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # copy and pickle probe for these before there is a model
            raise AttributeError(attribute)
        return getattr(self.model, attribute)

    def answer(self, inputs: Inputs) -> Outputs:
        """What the model gives for a batch, through its loader: classifiers give probabilities.

        Args:
            inputs: an array of shape (N, ...), or N samples as in a self-test; for a model of
                several inputs, arrays of shape (N, ...) by their names.

        Returns:
            An array of shape (N, ...); for a model of several outputs, arrays by their names.

        Raises:
            Refused: no loader knows this model, or the inputs are named otherwise.
            Exception: the framework's own, for inputs that it does not take.
        """
        return loaders.answer(self._known, self.model, inputs)

    def example(self) -> Inputs:
        """Inputs of one sample that the model takes, in the form that ``answer`` takes.

        They are the loader's; else the first ones of the self-test.

        Raises:
            Refused: neither has any.
        """
        example = loaders.example(self._known, self.model)
        if example is not None:
            return example
        test = self.self_test
        if test is None:
            raise Refused(
                f"{self.name}: nobody knows an input that the model takes",
                "release it with a self-test, docs/self_test.md; or give its loader an example",
            )
        return loaders.stacked(test.inputs[:1])

    @cached_property
    def signature(self) -> Signature:
        """The tensors that ``answer`` takes and gives.

        Raises:
            Refused: as for ``example``.
        """
        known = self._known
        batch = None if hasattr(known, "signature") else self.example()
        try:
            return loaders.signature(known, self.model, batch)
        except AttributeError as error:  # Python would ask the framework's object for a signature
            raise Refused(f"{self.name}: the loader {known.framework} fails: {error}") from error

    @cached_property
    def self_test(self) -> "SelfTest | None":
        """The self-test of the version; None where it has none.

        Raises:
            Corrupt: it is not a valid one.
        """
        name = self.live.metadata.self_test if self.live else None
        if name is None:
            return None
        from tagship.loaders.selftest import SelfTest

        return SelfTest.read(self.directory / name)

    @property
    def _known(self) -> Loader:
        if self.loader is None:
            kind = f"{type(self.model).__module__}.{type(self.model).__qualname__}"
            raise Refused(
                f"{self.name}: no loader knows how to ask a {kind}",
                "use the framework's own: .model; or write a loader: docs/loaders.md",
            )
        return self.loader


@dataclass(frozen=True)
class _How:
    """How a version is loaded: see ``load``."""

    load: Load | None
    allow_pickle: bool
    verify: bool


def load(
    model: str | Live,
    start: Path | str = ".",
    *,
    loader: Load | None = None,
    allow_pickle: bool = False,
    verify: bool = False,
    fallback: bool = True,
    root: Path | str | None = None,
) -> ActiveModel:
    """Load the live version; if that fails, load the pipeline's own output and log an error.

    Args:
        model: the model's name; or the version itself, from ``resolve`` or ``at``.
        start: a folder in the workspace; or the folder of a host, which has no pipeline.
        loader: loads a path, instead of the loader that the file's suffix names.
        allow_pickle: load ``.joblib`` and ``.pkl`` too, which run the code that is in them.
        verify: hash every file first, and load only the bytes that were deployed: never the
            pipeline's output, of which nothing is known.
        fallback: whether the pipeline's output may be loaded.
        root: a folder of models without a workspace around it: its subfolders are the models'. It
            has no pipeline. The environment variable TAGSHIP_ROOT names one too, where ``start``
            is not given.

    Raises:
        TagshipError: it cannot be loaded, nor the pipeline's output; it says why, for both.
    """
    how = _How(loader, allow_pickle, verify)
    if isinstance(model, Live):
        return _of_version(replace(model, lock=host_live.held_again(model)), how)
    folder = Path(start)
    try:
        return _load_live(model, folder, root, how)
    except InvalidName:
        raise
    except TagshipError as error:
        has_pipeline = not (project.named_root(folder, root) or project.find_host(folder))
        if verify or not fallback or not has_pipeline:
            raise
        return _of_pipeline(model, folder, how, error)


def check_answers(active: ActiveModel) -> None:
    """Run the released self-test on the object that is loaded; without one, answer one example.

    It leaves the framework warm: what it builds at the first answer is built.

    Raises:
        SelfTestFailed: it does not answer, or not as it was released.
        Refused: it has no self-test, and its loader knows no example.
        Corrupt: the self-test is not a valid one.
    """
    from tagship.loaders import selftest

    test = active.self_test
    name = f"{active.name} {active.version}" if active.version else active.name
    if test is not None:
        selftest.compare(test, active.answer, name)
    else:
        selftest.answered(active.answer, active.example(), name)


def _load_live(model: str, start: Path, root: Path | str | None, how: _How) -> ActiveModel:
    """Load the live version; again if it was cleaned up while it was being loaded."""
    while True:
        live = host_live.resolve(model, start, root=root)
        try:
            return _of_version(live, how)
        except Exception:
            if live.directory.is_dir():
                raise


def _of_version(live: Live, how: _How) -> ActiveModel:
    if not how.verify:
        return _of_path(live, how)
    before = _stamps(live)
    _check_bytes(live)
    active = _of_path(live, how)
    if _stamps(live) != before:
        raise Corrupt(
            f"{live.model} {live.version} was changed while it was being loaded",
            f"tagship verify {live.model}@{live.version}",
        )
    return active


def _of_path(live: Live, how: _How) -> ActiveModel:
    loaded, known = _loaded(live.model, live.path, how)
    return ActiveModel(
        loaded, live.model, live.version, live.directory, live, known, lock=live.lock
    )  # fmt: skip


def _stamps(live: Live) -> list[str]:
    """Of every file: no program can write to one, or put another in its place, and keep them."""
    paths = [live.directory / file.path for file in live.metadata.files]
    return [files.stamp(path) if path.is_file() else "" for path in paths]


def _check_bytes(live: Live) -> None:
    """Hash every file of a version.

    Raises:
        Corrupt: one is not as it was deployed.
        Forbidden: one cannot be read.
    """
    problems = metadata.verify(live.directory, live.metadata)
    if not problems:
        return
    first, more = problems[0], len(problems) - 1
    what = f"{live.model} {live.version}: {first.path} {first.what}"
    what += f" (and {more} more)" if more else ""
    if first.denied is not None:
        raise Forbidden(what, first.denied)
    raise Corrupt(what, metadata.renewal(live.directory, live.model, live.version))


def _of_pipeline(model: str, start: Path, how: _How, why: TagshipError) -> ActiveModel:
    """Load the pipeline's own output, and say so loudly."""
    try:
        path = _fallback(model, start)
        loaded, known = _loaded(model, path, how)
    except TagshipError as error:
        raise TagshipError(
            f"{model} cannot be loaded: {why.message}; and not from the pipeline's output:"
            f" {error.message}",
            "; or: ".join(dict.fromkeys(hint for hint in (why.hint, error.hint) if hint)),
        ) from None
    logger.log(
        logging.ERROR,
        "%s is loaded from %s, which has no version: %s. It was never released or tested here;"
        " load(..., fallback=False) refuses it",
        model, path, why.message,
    )  # fmt: skip
    return ActiveModel(loaded, model, None, path.parent, loader=known)


def _fallback(model: str, start: Path) -> Path:
    """The path of the artifact in the work tree, as its dvc.yaml declares it."""
    declared = host_live.declared(model, start)
    if model not in declared:
        raise artifacts.unknown_model(model, declared)
    path = (
        project.find_top(settings.require_project(start)) / artifacts.readable(declared[model]).path
    )
    if not path.exists():
        raise NotFound(f"{path} does not exist", "dvc repro, or dvc pull")
    return path


def _loaded(model: str, path: Path, how: _How) -> tuple[Any, Loader | None]:
    """What a path holds, and the loader that asks it."""
    if how.load is not None:
        loaded = how.load(path)
        return loaded, loaders.that_accepts(loaded)
    known = loaders.need(path, allow_unsafe=how.allow_pickle)
    try:
        return loaders.load(known, path), known
    except TagshipError:
        raise
    except ImportError as error:
        raise Refused(
            f"{path.name} needs {error.name}, which is not installed",
            f'pip install "{known.requirement}"',
        ) from None
    except Exception as error:
        raise Corrupt(
            f"{path} does not load: {error}",
            f"tagship verify {model}; if it is intact, train and release it again",
        ) from error

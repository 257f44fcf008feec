"""CatBoost models in CatBoost's own binary format, ``.cbm`` (which holds no code)."""

import os
from collections.abc import Mapping, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from tagship import loaders
from tagship.errors import Corrupt
from tagship.loaders import (
    Architecture,
    Column,
    Description,
    Flavor,
    Inputs,
    Outputs,
    Signature,
    Tensor,
    counts,
    is_of,
    unlike,
)

MAGIC = b"CBM1"
CLASSES = b"class_params"  # the metadata that a classifier has
LONG = 0xFFFFFFFF  # then the length (4 GiB and more) follows in 8 bytes
SMALL = 1000  # rows that one thread answers: to wake others takes a third more of CPU time
# NumPy's name of the type that ``predict`` gives, by the type of a class's label
LABELS = {bool: "bool", int: "int64", float: "float64", str: "object"}


class CatBoostLoader:
    """Loads, describes and saves ``.cbm`` files."""

    framework = "catboost"
    suffixes = (".cbm",)
    safe = True
    requirement = "tagship[catboost]"
    beginnings: Mapping[str, bytes] = {"a CatBoost model": MAGIC}

    def check(self, path: Path) -> None:
        """The magic bytes, then the length of the core (catboost/libs/model/model.cpp, Save)."""
        with open(path, "rb", buffering=0) as file:
            head = file.read(len(MAGIC) + 4)
            size = os.fstat(file.fileno()).st_size
        if not head.startswith(MAGIC):
            raise unlike(path, head, "CatBoost model", 'model.save_model(path, format="cbm")')
        length = int.from_bytes(head[len(MAGIC) :], "little")
        there = size - len(MAGIC) - 4
        if there < (1 if length == LONG else length):
            raise Corrupt(f"{path.name} is cut short", "train and release it again")

    def load(self, path: Path) -> Any:
        """A ``CatBoostClassifier`` where the model has classes, else a ``CatBoost``."""
        import catboost

        if not _holds(path, CLASSES):
            return catboost.CatBoost().load_model(str(path), format="cbm")
        model = catboost.CatBoostClassifier().load_model(str(path), format="cbm")
        if CLASSES.decode() in model.get_metadata().keys():  # noqa: SIM118 - no mapping: in needs keys()
            return model
        return catboost.CatBoost().load_model(str(path), format="cbm")  # a feature has that name

    def describe(self, model: Any) -> dict[str, Any]:
        """Trees, depth of the deepest tree, features and classes.

        Features that are not numbers are also listed as categorical, text or embedding.
        """
        depths = [len(splits) for splits in _tree_splits(model)]
        return {
            "trees": int(model.tree_count_),
            "depth": max(depths, default=0),
            "features": list(model.feature_names_),
            "classes": [_plain(name) for name in getattr(model, "classes_", ())],
            **_special_features(model),
        }

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        """Probabilities of shape (N, classes), or values of shape (N,) for a regression."""
        predict = getattr(model, "predict_proba", model.predict)
        return predict(list(inputs))

    def answer(self, model: Any, inputs: Inputs) -> Outputs:
        """As ``predict``: for rows, or for one array of shape (N,) for each feature by its name.

        A categorical feature has texts or whole numbers, as in training.
        """
        rows: Any
        if isinstance(inputs, Mapping) and _special_features(model):
            rows = _rows(loaders.named(inputs, model.feature_names_))
        else:
            rows = loaders.alone(inputs)
        threads = 1 if len(rows) <= SMALL else -1
        answers: Outputs = getattr(model, "predict_proba", model.predict)(
            rows, thread_count=threads
        )
        return answers

    def example(self, model: Any) -> "Inputs | None":
        """Zeros; a categorical feature has the category 0, a text none. No embedding is known."""
        import numpy as np

        special = _special_features(model)
        if "embedding" in special:
            return None
        if not special:
            return np.zeros((1, len(model.feature_names_)))
        texts = {*special.get("categorical", ()), *special.get("text", ())}
        return {
            name: np.array(["0"], dtype=object) if name in texts else np.zeros(1)
            for name in model.feature_names_
        }

    def signature(self, model: Any) -> Signature:
        """One table of numbers; where a feature is none, a column for each by its name."""
        import numpy as np

        names, special = list(model.feature_names_), _special_features(model)
        table = Tensor("input-0", "float64", (None, len(names)))
        inputs = tuple(_feature(name, special) for name in names) if special else (table,)
        classes = len(getattr(model, "classes_", ()))
        values = classes or int(np.size(model.get_scale_and_bias()[1]))
        shape = (None,) if values == 1 else (None, values)
        return Signature(inputs, (Tensor("output-0", "float64", shape),))

    def accepts(self, model: object) -> bool:
        return is_of(model, "catboost")

    def save(self, model: Any, path: Path) -> None:
        model.save_model(str(path), format="cbm")

    def description(self, path: str, architecture: Architecture) -> Description:
        kind = _class(architecture)
        features, classes = architecture.get("features"), architecture.get("classes")
        return Description(
            library="catboost",
            family="gradient boosting",
            summary=counts(architecture, {"trees": "{} trees", "depth": "depth {}"}),
            inputs=(f"table of {len(features)} columns",) if features else (),
            outputs=(f"one of {', '.join(map(str, classes))}",) if classes else (),
            code=f"from catboost import {kind}\n\nmodel = {kind}().load_model({path!r})",
        )

    def flavor(self, path: str, architecture: Architecture | None) -> Flavor | None:
        """``mlflow/catboost/__init__.py`` of MLflow 3.

        Named columns go in (``double``; ``string`` where a feature is categorical or text), labels
        come out, or numbers.
        """
        if architecture is None:  # is it a classifier?
            return None
        kind = _class(architecture)
        options = {"data": path, "model_type": kind, "save_format": "cbm"}
        columns, labels = _columns(architecture), _labels(architecture)
        return Flavor("catboost", options, path, columns, labels, ("catboost",))


def _rows(columns: Sequence[Any]) -> Any:
    """A table of columns of mixed types, as CatBoost takes it: an array of Python's own values.

    Raises:
        ValueError: they differ in length.
    """
    import numpy as np

    rows = [list(row) for row in zip(*map(_plain_column, columns), strict=True)]
    table = np.empty((len(rows), len(columns)), dtype=object)
    for index, row in enumerate(rows):
        table[index] = row
    return table


def _plain_column(column: Any) -> Sequence[Any]:
    values: Sequence[Any] = column.tolist() if hasattr(column, "tolist") else column
    return values


def _feature(name: str, special: Mapping[str, Sequence[str]]) -> Tensor:
    if name in special.get("embedding", ()):
        return Tensor(name, "float64", (None, None))
    is_text = name in special.get("categorical", ()) or name in special.get("text", ())
    return Tensor(name, "object" if is_text else "float64", (None,))


def _class(architecture: Architecture) -> str:
    """The class that predicts as the trained model does; a regressor knows its loss's link."""
    return "CatBoostClassifier" if architecture.get("classes") else "CatBoostRegressor"


def _columns(architecture: Architecture) -> tuple[Column, ...]:
    if architecture.get("embedding"):  # a column of vectors, which MLflow's columns do not have
        return ()
    texts = {*architecture.get("categorical", ()), *architecture.get("text", ())}
    names = list(architecture.get("features", ()))
    # trained on a matrix: CatBoost counts its columns, and MLflow takes a matrix then
    counted = names == [str(number) for number in range(len(names))]
    return tuple(
        Column(None if counted else name, "string" if name in texts else "double") for name in names
    )


def _labels(architecture: Architecture) -> tuple[Tensor, ...]:
    classes = architecture.get("classes") or []
    kind = LABELS.get(type(classes[0])) if classes else "float64"
    # one column a label, where there are more than two or several at once
    return (Tensor(None, kind, (None, None) if len(classes) > 2 else (None,)),) if kind else ()


def _holds(path: Path, text: bytes) -> bool:
    with open(path, "rb", buffering=0) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return data.find(text) >= 0


def _special_features(model: Any) -> dict[str, list[str]]:
    indices_of = {
        "categorical": model.get_cat_feature_indices(),
        "text": model.get_text_feature_indices(),
        "embedding": model.get_embedding_feature_indices(),
    }
    names = model.feature_names_
    return {kind: [names[i] for i in indices] for kind, indices in indices_of.items() if indices}


def _tree_splits(model: Any) -> list[list[str]]:
    """The splits of each symmetric tree: one a level."""
    if model.get_all_params().get("grow_policy", "SymmetricTree") != "SymmetricTree":
        return []
    return [model._get_tree_splits(i, None) for i in range(model.tree_count_)]  # noqa: SLF001


def _plain(name: Any) -> Any:
    return name.item() if hasattr(name, "item") else name

"""CatBoost models in CatBoost's own binary format, ``.cbm`` (which holds no code)."""

import os
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from tagship.errors import Corrupt
from tagship.loaders import is_of, unlike

MAGIC = b"CBM1"
CLASSES = b"class_params"  # the metadata that a classifier has
LONG = 0xFFFFFFFF  # a length of 4 GiB and more follows in 8 bytes


class CatBoostLoader:
    """Loads, describes and saves ``.cbm`` files."""

    framework = "catboost"
    suffixes = (".cbm",)
    safe = True
    requirement = "tagship[catboost]"

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
        """Trees, depth of the deepest tree, features and classes, as the file has them.

        Features that are no numbers are named once more: categorical, text, embedding.
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

    def accepts(self, model: object) -> bool:
        return is_of(model, "catboost")

    def save(self, model: Any, path: Path) -> None:
        model.save_model(str(path), format="cbm")


def _holds(path: Path, text: bytes) -> bool:
    with open(path, "rb", buffering=0) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return data.find(text) >= 0


def _special_features(model: Any) -> dict[str, list[str]]:
    found = {
        "categorical": model.get_cat_feature_indices(),
        "text": model.get_text_feature_indices(),
        "embedding": model.get_embedding_feature_indices(),
    }
    names = model.feature_names_
    return {kind: [names[i] for i in indices] for kind, indices in found.items() if indices}


def _tree_splits(model: Any) -> list[list[str]]:
    """The splits of each symmetric tree: one a level."""
    if model.get_all_params().get("grow_policy", "SymmetricTree") != "SymmetricTree":
        return []
    return [model._get_tree_splits(i, None) for i in range(model.tree_count_)]  # noqa: SLF001


def _plain(name: Any) -> Any:
    return name.item() if hasattr(name, "item") else name

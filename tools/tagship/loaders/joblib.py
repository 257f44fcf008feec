"""Pickles, the usual files of scikit-learn models. They can run code: loaded only on request."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagship.loaders import Architecture, Description, is_of


class JoblibLoader:
    """Loads, describes and saves ``.joblib`` and ``.pkl`` files."""

    framework = "joblib"
    suffixes = (".joblib", ".pkl", ".pickle")
    safe = False
    requirement = "tagship[joblib]"
    beginnings: Mapping[str, bytes] = {
        "compressed data, as joblib writes it": rb"\x1f\x8b|\x78[\x01\x5e\x9c\xda]|BZh"
        rb"|\xfd7zXZ\x00|\x5d\x00\x00|\x04\x22\x4d\x18",
        # of protocol 0 or 1 it is text
        "a pickle": rb"\x80[\x01-\x05]|[(\]})]|c[A-Za-z_][\w.]*\n",
    }

    def load(self, path: Path) -> Any:
        """Whatever was pickled."""
        import joblib

        return joblib.load(path)

    def describe(self, model: Any) -> dict[str, Any]:
        """The class, and scikit-learn's ``n_features_in_`` and ``classes_`` if it has them."""
        classes = [str(name) for name in getattr(model, "classes_", ())]
        return {
            "class": f"{type(model).__module__}.{type(model).__qualname__}",
            "features": getattr(model, "n_features_in_", None),
            "classes": classes,
        }

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        """Probabilities if the model has them, else predictions; shape (N, ...)."""
        return getattr(model, "predict_proba", model.predict)(list(inputs))

    def accepts(self, model: object) -> bool:
        return is_of(model, "sklearn")

    def save(self, model: Any, path: Path) -> None:
        import joblib

        joblib.dump(model, path)

    def description(self, path: str, architecture: Architecture) -> Description:
        return Description(
            summary=str(architecture.get("class") or ""),
            code=(
                "# a pickle: loading it runs whatever code is in it\n"
                f"import joblib\n\nmodel = joblib.load({path!r})"
            ),
        )

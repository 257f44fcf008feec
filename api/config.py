"""Paths of the models. They go through the links, so a deploy needs no change here."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
MODELS_BASE_DIR = BASE_DIR / "models"

MODELS = ("ml_model", "dl_model")

# the live versions
CATBOOST_MODEL_PATH = MODELS_BASE_DIR / "ml_model" / "current"
VISION_MODEL_PATH = MODELS_BASE_DIR / "dl_model" / "current"

# the output of the pipeline: it answers, without a version, while nothing is deployed at all
CATBOOST_MODEL_FALLBACK = MODELS_BASE_DIR / "ml_model" / "model.cbm"
VISION_MODEL_FALLBACK = MODELS_BASE_DIR / "dl_model" / "model.keras"

# names that a request may have in its header Host, besides localhost; "*" is any
ALLOW_HOSTS: tuple[str, ...] = ()

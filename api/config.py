"""Where the models are. The paths go through the links, so that a deploy needs no change here."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
MODELS_BASE_DIR = BASE_DIR / "models"

# what is live
CATBOOST_MODEL_PATH = MODELS_BASE_DIR / "ml_model" / "current"
VISION_MODEL_PATH = MODELS_BASE_DIR / "dl_model" / "current"

# what the pipeline wrote: tagship.load falls back to it where nothing is live
CATBOOST_MODEL_FALLBACK = MODELS_BASE_DIR / "ml_model" / "model.cbm"
VISION_MODEL_FALLBACK = MODELS_BASE_DIR / "dl_model" / "model.keras"

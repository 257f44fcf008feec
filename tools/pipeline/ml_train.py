"""Stage ml_train: CatBoost learns the day's weather; its file, its self-test, its curve."""

from pathlib import Path

import pandas as pd
from catboost import CatBoostClassifier

from pipeline import scores, selftest, settings, weather

MODEL = Path("models/ml_model/model.cbm")
SELF_TEST = MODEL.with_name("self_test.json")
CURVE = Path("plots/ml_curve.csv")
TOLERANCE = selftest.Tolerance(absolute=1e-6, relative=1e-6)


def fit(days: pd.DataFrame, boosting: settings.Boosting) -> CatBoostClassifier:
    """Train on days as ``weather.features`` makes them."""
    model = CatBoostClassifier(
        loss_function="MultiClass",
        iterations=boosting.iterations,
        depth=boosting.depth,
        learning_rate=boosting.learning_rate,
        l2_leaf_reg=boosting.l2_leaf_reg,
        random_seed=boosting.seed,
        thread_count=boosting.threads,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(weather.inputs(days), days[weather.LABEL])
    return model


def save(path: Path, model: CatBoostClassifier) -> None:
    """Write a .cbm file without what is new in each training: the same inputs, the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = model.get_metadata()
    metadata["train_finish_time"], metadata["model_guid"] = "", ""
    model.save_model(path)


def load(path: Path) -> CatBoostClassifier:
    """Read a .cbm file."""
    model = CatBoostClassifier()
    model.load_model(path)
    return model


def write_self_test(path: Path, model: Path, test: pd.DataFrame) -> None:
    """Ask the saved file about a day of each weather."""
    rows = test.iloc[selftest.choose(test[weather.LABEL].to_numpy(), per_class=1)]
    inputs = weather.inputs(rows).to_numpy().tolist()
    outputs = load(model).predict_proba(inputs).tolist()
    selftest.write(path, inputs, outputs, TOLERANCE)


def main() -> None:
    """Write the model, its self-test and plots/ml_curve.csv."""
    train = pd.read_csv("data/ml/train.csv")
    boosting = settings.read(settings.Boosting, "ml.train")
    model = fit(train, boosting)
    save(MODEL, model)
    write_self_test(SELF_TEST, MODEL, pd.read_csv("data/ml/test.csv"))
    losses = model.get_evals_result()["learn"]["MultiClass"]
    rows = [(tree, round(loss, 6)) for tree, loss in enumerate(losses, start=1)]
    scores.write_rows(CURVE, ("iteration", "loss"), rows)
    print(f"{model.tree_count_} rounds of depth {boosting.depth}, loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()

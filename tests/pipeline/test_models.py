import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vega_datasets import local_data

from pipeline import ml_evaluate, ml_train, selftest, surfaces, weather
from pipeline.settings import Boosting, Cut, Training, WeatherSplit


def test_a_self_test_covers_every_class() -> None:
    labels = np.array([2, 2, 0, 2, 1, 0, 0])
    assert selftest.choose(labels, per_class=1) == [0, 2, 4]
    assert selftest.choose(labels, per_class=2) == [0, 1, 2, 4, 5]


def test_catboost_answers_its_self_test_which_covers_every_weather(
    tmp_path: Path, weather_split: WeatherSplit, boosting: Boosting
) -> None:
    table = weather.features(local_data.seattle_weather(), weather_split)
    held_out = weather.held_out(table, weather_split)
    file, self_test = tmp_path / "model.cbm", tmp_path / "self_test.json"
    ml_train.fit(table[~held_out], boosting).save_model(file)
    ml_train.write_self_test(self_test, file, table[held_out])

    value = json.loads(self_test.read_bytes())
    assert value["schema"] == 1
    assert value["tolerance"] == {"absolute": 1e-6, "relative": 1e-6}
    assert np.shape(value["inputs"]) == (5, len(weather.inputs(table).columns))
    model = ml_train.load(file)
    assert tuple(model.classes_) == weather.CLASSES
    assert model.predict_proba(value["inputs"]).tolist() == value["outputs"]
    matches = [(weather.inputs(table) == row).all(axis=1) for row in value["inputs"]]
    assert all(held_out[match].all() for match in matches)
    assert sorted(str(table[match][weather.LABEL].item()) for match in matches) == list(
        weather.CLASSES
    )


def test_the_same_training_writes_the_same_bytes(
    tmp_path: Path, weather_split: WeatherSplit, boosting: Boosting
) -> None:
    table = weather.features(local_data.seattle_weather(), weather_split).head(200)
    short = replace(boosting, iterations=5)
    for name in ("one.cbm", "other.cbm"):
        ml_train.save(tmp_path / name, ml_train.fit(table, short))
    assert (tmp_path / "one.cbm").read_bytes() == (tmp_path / "other.cbm").read_bytes()
    model = ml_train.load(tmp_path / "one.cbm")
    assert model.tree_count_ == 5
    assert model.get_metadata()["train_finish_time"] == ""  # CatBoost's is of this second


def test_labels_are_indices_into_the_classes() -> None:
    days = pd.DataFrame({"weather": ["sun", "drizzle", "fog"]})
    assert ml_evaluate.labels(days).tolist() == [4, 0, 1]


@pytest.fixture(scope="module")
def keras_file(
    tmp_path_factory: pytest.TempPathFactory, cut: Cut, training: Training
) -> tuple[Path, Path]:
    from pipeline import dl_train, network  # TensorFlow: in the one process that runs this

    folder = tmp_path_factory.mktemp("dl")
    file, self_test = folder / "model.keras", folder / "self_test.json"
    model = network.build(cut.patch, training)
    # As after training: compiled, and the optimizer holds two moments per weight.
    model.compile("adamw", loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    network.save(model, file)
    _, test = surfaces.split(surfaces.photographs(), cut)
    dl_train.write_self_test(self_test, file, test)
    return file, self_test


def test_keras_answers_its_self_test_which_covers_every_surface(
    keras_file: tuple[Path, Path], cut: Cut
) -> None:
    from pipeline import network

    file, self_test = keras_file
    value = json.loads(self_test.read_bytes())
    assert value["schema"] == 1
    assert value["tolerance"] == {"absolute": 1e-3, "relative": 1e-3}
    inputs, outputs = np.array(value["inputs"]), np.array(value["outputs"])
    assert inputs.shape == (6, 48, 48, 3)
    assert inputs.dtype.kind == "i"
    assert outputs.shape == (6, 3)
    assert np.allclose(outputs.sum(axis=1), 1)
    answers = network.probabilities(network.load(file), inputs.astype(np.float32))
    assert np.allclose(answers, outputs, rtol=1e-3, atol=1e-3)
    _, test = surfaces.split(surfaces.photographs(), cut)
    labels = [test.labels[(test.pixels == patch).all(axis=(1, 2))] for patch in inputs[..., 0]]
    assert np.ravel(labels).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_keras_file_has_no_optimizer_and_the_batch_norms_follow(
    keras_file: tuple[Path, Path], training: Training
) -> None:
    from pipeline import network

    assert keras_file[0].stat().st_size < 18_000_000  # 49 MB with it
    model = network.load(keras_file[0])
    momenta = {layer.momentum for layer in model.layers if hasattr(layer, "momentum")}
    assert momenta == {training.bn_momentum}

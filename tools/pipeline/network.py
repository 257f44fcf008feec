"""EfficientNetB0 with a top of our own: built, trained, saved and asked."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Both are read when TensorFlow is imported. 3 leaves nothing but errors that stop it; oneDNN sums
# in an order that depends on the processor, and says so on every import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import surfaces
from pipeline.settings import Training
from pipeline.surfaces import Surfaces

_WARM_UP = 2  # epochs


@dataclass(frozen=True)
class Epoch:
    """What one pass over the tiles came to, on augmented training patches."""

    epoch: int
    loss: float
    accuracy: float


def make_repeatable(settings: Training) -> None:
    """Seed everything and fix the threads; call before TensorFlow has done any work."""
    keras.utils.set_random_seed(settings.seed)
    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)


def build(side: int, settings: Training) -> keras.Model:
    """The model, not compiled: side x side x 3 pixels of 0..255 in, softmax probabilities out.

    Keras' momentum of the batch norms' moving averages, 0.99, lags hundreds of steps behind weights
    that start from noise: 95 % in training, 10 % when asked.
    """
    base = keras.applications.EfficientNetB0(
        include_top=False,
        weights=None if settings.weights == "none" else settings.weights,
        input_shape=(side, side, 3),
        pooling="avg",
    )
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = settings.bn_momentum
        if isinstance(layer, keras.layers.Dropout):
            # A block's share of its stage's drop grows with its depth; keep the proportions.
            layer.rate *= settings.drop_connect / 0.2
    top = keras.layers.Dropout(settings.dropout)(base.output)
    top = keras.layers.Dense(len(surfaces.CLASSES), activation="softmax", name="surface")(top)
    return keras.Model(base.input, top, name="efficientnetb0_surfaces")


def train(model: keras.Model, tiles: Surfaces, settings: Training) -> Iterator[Epoch]:
    """Train in place; one value per epoch, as soon as it is done."""
    rate = _rate(len(tiles.labels) * settings.crops // settings.batch, settings)
    _compile(model, settings)
    random = np.random.default_rng(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        grey, labels = surfaces.augment(tiles, model.input_shape[1], settings.crops, random)
        # A last, smaller batch would be a second graph to trace, and noise in the batch norms.
        whole = len(labels) // settings.batch * settings.batch
        past = model.fit(
            surfaces.as_input(grey[:whole]),
            labels[:whole],
            batch_size=settings.batch,
            shuffle=False,
            verbose=0,
            callbacks=[_each_step(model.optimizer, rate)],
        ).history
        yield Epoch(epoch, past["loss"][0], past["accuracy"][0])


def _each_step(
    optimizer: keras.optimizers.Optimizer, rate: keras.optimizers.schedules.LearningRateSchedule
) -> keras.callbacks.Callback:
    """Sets the learning rate before each step.

    Within the optimizer, a schedule becomes a part of the graph once per variable, 214 times, and
    TensorFlow traces it for twice as long.
    """

    def begin(*_: object, **__: object) -> None:
        optimizer.learning_rate = rate(optimizer.iterations)

    return keras.callbacks.LambdaCallback(on_train_batch_begin=begin)


def _rate(steps: int, settings: Training) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up in the first epochs, then down along a cosine."""
    warm_up = min(_WARM_UP, settings.epochs - 1) * steps
    return keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        decay_steps=settings.epochs * steps - warm_up,
        warmup_target=settings.learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )


def _compile(model: keras.Model, settings: Training) -> None:
    model.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # XLA compiles for longer than the whole training takes
    )
    # Else Keras makes these variables while TensorFlow traces a step, which is then traced twice.
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(None, np.zeros(1), np.eye(1, len(surfaces.CLASSES)))
    model.reset_metrics()


def save(model: keras.Model, path: Path) -> None:
    """Write a .keras file without the optimizer's state, which is two thirds of the bytes."""
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(path)


def load(path: Path) -> keras.Model:
    """Read a .keras file; safe mode refuses code in it."""
    return keras.models.load_model(path, compile=False, safe_mode=True)


def probabilities(model: keras.Model, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """N x classes. A plain call: ``predict`` would trace a graph first."""
    return np.asarray(model(pixels, training=False))

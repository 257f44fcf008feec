"""Stage dl_train: EfficientNetB0 learns land surfaces; its file, its self-test, its curve."""

from pathlib import Path

from pipeline import network, scores, selftest, settings
from pipeline.surfaces import Surfaces, as_input

MODEL = Path("models/dl_model/model.keras")
SELF_TEST = MODEL.with_name("self_test.json")
CURVE = Path("plots/dl_curve.csv")
# Convolutions sum in another order on another processor.
TOLERANCE = selftest.Tolerance(absolute=1e-3, relative=1e-3)


def write_self_test(path: Path, model: Path, test: Surfaces) -> None:
    """Ask the saved file about two patches of each surface."""
    pixels = as_input(test.pixels[selftest.choose(test.labels, per_class=2)])
    outputs = network.probabilities(network.load(model), pixels).tolist()
    selftest.write(path, pixels.astype(int).tolist(), outputs, TOLERANCE)


def main() -> None:
    """Write the model, its self-test and plots/dl_curve.csv."""
    training = settings.read(settings.Training, "dl.train")
    tiles, test = Surfaces.load("data/dl/train.npz"), Surfaces.load("data/dl/test.npz")
    network.make_repeatable(training)
    model = network.build(test.pixels.shape[1], training)
    rows = []
    for done in network.train(model, tiles, training):
        print(f"epoch {done.epoch}: loss {done.loss:.4f}, accuracy {done.accuracy:.4f}", flush=True)
        rows.append((done.epoch, round(done.loss, 6), round(done.accuracy, 6)))
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    network.save(model, MODEL)
    write_self_test(SELF_TEST, MODEL, test)
    scores.write_rows(CURVE, ("epoch", "loss", "accuracy"), rows)


if __name__ == "__main__":
    main()

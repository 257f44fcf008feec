"""Stage dl_evaluate: the saved EfficientNetB0 on the held-out patches."""

from pathlib import Path

from pipeline import dl_train, network, scores, surfaces
from pipeline.surfaces import Surfaces


def main() -> None:
    """Write metrics/dl_model.json and plots/dl_confusion.csv."""
    train, test = Surfaces.load("data/dl/train.npz"), Surfaces.load("data/dl/test.npz")
    model = network.load(dl_train.MODEL)
    answers = network.probabilities(model, surfaces.as_input(test.pixels))
    result = scores.score(train.labels, test.labels, answers)
    result.write(Path("metrics/dl_model.json"))
    scores.write_confusion(Path("plots/dl_confusion.csv"), surfaces.CLASSES, test.labels, answers)
    print(f"accuracy {result.accuracy:.4f} on {len(test.labels)} held-out patches")


if __name__ == "__main__":
    main()

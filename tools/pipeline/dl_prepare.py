"""Stage dl_prepare: photographs into training tiles and held-out patches."""

from pathlib import Path

from pipeline import settings, surfaces

TRAIN, TEST = Path("data/dl/train.npz"), Path("data/dl/test.npz")


def main() -> None:
    """Write data/dl/train.npz and data/dl/test.npz."""
    where = settings.read(settings.Cut, "dl.prepare")
    train, test = surfaces.split(surfaces.photographs(), where)
    TRAIN.parent.mkdir(parents=True, exist_ok=True)
    train.save(str(TRAIN))
    test.save(str(TEST))
    print(f"{len(train.labels)} tiles to train on, {len(test.labels)} patches held out")


if __name__ == "__main__":
    main()

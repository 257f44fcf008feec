"""Stage ml_prepare: the weather record into features, split into training and held-out days."""

from pathlib import Path

from vega_datasets import local_data

from pipeline import settings, weather

TRAIN, TEST = Path("data/ml/train.csv"), Path("data/ml/test.csv")


def main() -> None:
    """Write data/ml/train.csv and data/ml/test.csv."""
    split = settings.read(settings.WeatherSplit, "ml.prepare")
    table = weather.features(local_data.seattle_weather(), split)
    held_out = weather.held_out(table, split)
    TRAIN.parent.mkdir(parents=True, exist_ok=True)
    table[~held_out].to_csv(TRAIN, index=False, lineterminator="\n")
    table[held_out].to_csv(TEST, index=False, lineterminator="\n")
    print(f"{(~held_out).sum()} days to train on, {held_out.sum()} held out")


if __name__ == "__main__":
    main()

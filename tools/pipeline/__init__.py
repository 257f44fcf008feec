"""The training stages that dvc.yaml runs: a stage is a module, ``python -m pipeline.<stage>``."""

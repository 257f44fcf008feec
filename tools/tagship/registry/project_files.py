"""The names of the files that describe a DVC repository, and a host."""

PIPELINE_FILE = "dvc.yaml"
LOCK_FILE = "dvc.lock"
PARAMS_FILE = "params.yaml"
ROOT = "models"  # the folder of the models, unless params.yaml says otherwise
OLD_FILE = "artifacts.yaml"  # where GTO declared models before version 1
HOST_FILE = "tagship.toml"  # what a host without a work tree follows
PRIVATE = ".tagship"  # the folder for what is tagship's alone, of a host and of each model

"""``python -m tagship``."""

from tagship.cli.main import program

if __name__ == "__main__":
    program()

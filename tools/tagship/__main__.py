"""``python -m tagship``."""

from tagship.cli.main import main

if __name__ == "__main__":
    main()

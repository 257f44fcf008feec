"""The command line at another time: ``python clocked.py 2027-03-01T12:00Z ARGUMENT ...``."""

import sys

from tagship.cli.main import main
from tagship.text import clock

if __name__ == "__main__":
    MOMENT = clock.moment(sys.argv.pop(1))
    clock.now = lambda: MOMENT
    sys.argv[0] = "tagship"
    main()

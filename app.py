"""What a Space runs: `python app.py` is `poseanimate serve` without an installation."""

import sys

from poseanimate.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))

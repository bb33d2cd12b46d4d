"""`python -m poseanimate`: see `poseanimate.cli.main`."""

import sys

from poseanimate.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

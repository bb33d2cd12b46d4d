"""`python -m poseanimate`: see `poseanimate.cli`."""

import sys

from poseanimate.cli import main

if __name__ == "__main__":
    sys.exit(main())

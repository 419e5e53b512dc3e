"""``python -m echoseg``."""

import sys

from echoseg.cli import main

if __name__ == "__main__":
    sys.exit(main())

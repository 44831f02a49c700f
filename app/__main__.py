"""`python -m app`: the same program as the console script `netpol-guard`."""

import sys

from app.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

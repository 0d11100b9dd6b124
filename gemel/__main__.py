"""`python -m gemel`: the same as the `gemel` command."""

import sys

from gemel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

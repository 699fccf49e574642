"""``python -m pylantir``: the same as the ``pylantir`` command."""

from __future__ import annotations

import sys

from pylantir.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Older instructions call `python tests/mpps_tester.py`: the same as `pylantir test-mpps`."""

import sys

from pylantir.cli import main

if __name__ == "__main__":
    sys.exit(main(["test-mpps", *sys.argv[1:]]))

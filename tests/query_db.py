"""Older instructions call `python tests/query_db.py`: the same as `pylantir query-db`."""

import sys

from pylantir.cli import main

if __name__ == "__main__":
    sys.exit(main(["query-db", *sys.argv[1:]]))

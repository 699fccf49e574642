"""The command line on a day of our choice: what the demonstration invents depends on the day."""

from __future__ import annotations

import os
import sys

import time_machine

from pylantir.cli import main

if __name__ == "__main__":
    with time_machine.travel(os.environ["PINNED_TO"], tick=True):
        sys.exit(main())

"""The command line on a day of our choice: what the demonstration invents depends on the day."""

from __future__ import annotations

import os
import sys

import time_machine

from pylantir.cli import main

if __name__ == "__main__":
    if "start" in sys.argv:
        from pylantir import demo

        demo.CHANGE_EVERY_S = 3600.0  # however slow the machine is, nothing changes meanwhile
    with time_machine.travel(os.environ["PINNED_TO"], tick=True):
        sys.exit(main())

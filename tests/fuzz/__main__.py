"""Coverage-guided fuzzing of what reads bytes from outside, with atheris (extra ``fuzz``, Linux).

``python -m tests.fuzz identifier -max_total_time=300`` looks for inputs that break a target of
:mod:`tests.fuzz.decoding`; the options are libFuzzer's. What reaches something new is kept in a
folder of its own (``--found``); ``--keep`` adds to the corpus in the repository what goes a way
through the code that nothing in it goes.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pylantir

CORPUS = Path(__file__).parent / "corpus"
PACKAGE = str(Path(pylantir.__file__).parent)
MAX_BYTES = 4096

Step = tuple[str, int, int]
"""From one line of a file to another."""


def main() -> None:
    """Fuzz one target until it breaks or the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(p.name for p in CORPUS.iterdir()))
    parser.add_argument("--found", type=Path, help="folder of the inputs that reach something new")
    parser.add_argument("--keep", action="store_true", help="add the best of --found to the corpus")
    args, options = parser.parse_known_args()
    corpus = CORPUS / args.target
    found = args.found or Path(tempfile.mkdtemp(prefix=f"fuzz-{args.target}-"))
    found.mkdir(parents=True, exist_ok=True)
    if args.keep:
        keep(args.target, found, corpus)
    else:
        print(f"inputs that reach something new: {found}", file=sys.stderr)
        fuzz(args.target, [f"-max_len={MAX_BYTES}", *options, str(found), str(corpus)])


def fuzz(target: str, options: list[str]) -> None:
    """Let atheris look for inputs that break a target; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["pylantir"]):
        from tests.fuzz.decoding import TARGETS
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE  # as the daemon has it
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def keep(target: str, found: Path, corpus: Path) -> None:
    """Copy inputs that take a step nothing else takes, the shortest first."""
    from tests.fuzz.decoding import TARGETS

    seen: set[Step] = set()
    for path in sorted(corpus.iterdir()):
        seen |= steps_of(TARGETS[target], path.read_bytes())
    for path in sorted(found.iterdir(), key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        new = steps_of(TARGETS[target], data) - seen
        if new:
            seen |= new
            shutil.copy(path, corpus / hashlib.sha256(data).hexdigest()[:16])


def steps_of(target: Callable[[bytes], None], data: bytes) -> set[Step]:
    """The steps from line to line that an input makes in our own code."""
    steps: set[Step] = set()
    last: dict[int, int] = {}

    def follow(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            before = last.get(id(frame), 0)
            steps.add((frame.f_code.co_filename, before, frame.f_lineno))
            last[id(frame)] = frame.f_lineno
        elif event == "call":
            last.pop(id(frame), None)
        return follow

    sys.settrace(follow)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return steps


if __name__ == "__main__":
    main()

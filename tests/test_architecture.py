"""The house stands as drawn: who may import whom, what is where, how long things are.

The drawing is in ``CONTRIBUTING.md``. A module that these tests do not know yet gets its place in
:data:`RANKS`. Imports inside functions and under ``TYPE_CHECKING`` count like any other.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
PACKAGE = SRC / "pylantir"
MODULES = sorted(PACKAGE.rglob("*.py"))

PARTS = set(
    "daemon demo checks health hours metrics polling pulse rest service serving upkeep".split()
)
"""Single files: what the daemon is made of."""

RANKS = (
    {"cli", "__main__"},
    PARTS,
    {"web"},
    {"api"},
    {"dicom", "sync"},
    {"sources", "users"},
    {"worklist", "audit"},
    {"config"},
    {"clock", "heap", "logs", "errors", "stopping", "tls"},
    {"__init__"},
)
"""Rooms from the outermost to the innermost: one imports only from those further down."""

NEIGHBOURS = (
    {"cli", "__main__"},
    PARTS,
    {"clock", "heap", "logs", "errors", "stopping", "tls"},
)
"""Single files of one rank that may know each other; rooms of one rank may not."""

HOMES = {
    "pytz": {"clock"},
    "zoneinfo": {"clock"},
    "coloredlogs": {"logs"},
    "psutil": {"health"},
    "pynetdicom": {"dicom"},
    "sqlalchemy": {"worklist", "users"},
    "alembic": {"worklist"},
    "redcap": {"sources"},
    "fastapi": {"api", "web"},
    "fastapi_offline": {"api"},
    "jwt": {"api", "users"},
    "argon2": {"users"},
    "bcrypt": {"users"},
    "starlette": {"api", "web"},
    "jinja2": {"web"},
    "uvicorn": {"api"},
    "dotenv": {"config"},
    "rich": {"cli"},
    "argcomplete": {"cli"},
}
"""The only rooms that may import a package."""

STRANGERS_TO_INNER_ROOMS = (
    "pynetdicom requests urllib3 urllib.request http httpx aiohttp redcap fastapi starlette uvicorn"
).split()

HEAVY = """sqlalchemy pynetdicom pydicom redcap requests pydantic rich fastapi dotenv alembic
    coloredlogs psutil pandas numpy argon2 bcrypt jwt uvicorn""".split()

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def where(path: Path, line: int = 0) -> str:
    name = path.relative_to(SRC).as_posix()
    return f"{name}:{line}" if line else name


def room_of(dotted: str) -> str:
    """``pylantir.dicom.ae`` is in ``dicom``; the package itself is ``__init__``."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rank_of(room: str) -> int:
    return next(number for number, rooms in enumerate(RANKS) if room in rooms)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def imports_of(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and dotted name of all that a module imports, wherever in it."""
    return tuple(_imports(tree_of(path), module_name(path), path.name == "__init__.py"))


def _imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield node.lineno, inside if _is_module(inside) else base


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, node.module] if node.module else kept)


def _is_module(dotted: str) -> bool:
    path = SRC.joinpath(*dotted.split("."))
    return dotted.startswith("pylantir.") and (path.is_dir() or path.with_suffix(".py").is_file())


def own_imports() -> Iterator[tuple[Path, int, str, str]]:
    """Each import of one room by another: file, line, importing room, imported room."""
    for path in MODULES:
        own = room_of(module_name(path))
        for line, name in imports_of(path):
            if name == "pylantir" or name.startswith("pylantir."):
                imported = room_of(name)
                if imported != own:
                    yield path, line, own, imported


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def in_subprocess(code: str) -> list[str]:
    """What the code prints, line by line, in an interpreter that has imported nothing of ours."""
    paths = [str(SRC), *filter(None, [os.environ.get("PYTHONPATH")])]
    ran = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_every_room_has_its_place() -> None:
    placed = set().union(*RANKS)
    rooms = {room_of(module_name(path)) for path in MODULES}

    assert rooms - placed == set(), "give the new room a place in RANKS (and in CONTRIBUTING.md)"


def test_no_import_points_outwards() -> None:
    def allowed(own: str, imported: str) -> bool:
        beside = any({own, imported} <= neighbours for neighbours in NEIGHBOURS)
        return beside or rank_of(imported) > rank_of(own)

    outwards = [
        f"{where(path, line)}: {own} must not know {imported}"
        for path, line, own, imported in own_imports()
        if not allowed(own, imported)
    ]

    assert outwards == []


def test_scanners_and_sources_never_know_each_other() -> None:
    strangers = [
        where(path, line)
        for path, line, own, imported in own_imports()
        if {own, imported} == {"dicom", "sources"}
    ]

    assert strangers == []


@pytest.mark.parametrize("room", ["worklist", "audit"])
def test_an_inner_room_knows_neither_dicom_network_nor_http(room: str) -> None:
    known = [
        f"{where(path, line)}: {name}"
        for path in MODULES
        if room_of(module_name(path)) == room
        for line, name in imports_of(path)
        if any(is_within(name, stranger) for stranger in STRANGERS_TO_INNER_ROOMS)
    ]

    assert known == []


@pytest.mark.parametrize("package", HOMES)
def test_a_package_is_imported_only_at_home(package: str) -> None:
    abroad = [
        where(path, line)
        for path in MODULES
        if room_of(module_name(path)) not in HOMES[package]
        for line, name in imports_of(path)
        if is_within(name, package)
    ]

    assert abroad == [], f"only {', '.join(sorted(HOMES[package]))} may import {package}"


@pytest.mark.parametrize(
    "code",
    [
        "import pylantir.cli",
        "import contextlib, os, pylantir.cli\n"
        "with contextlib.suppress(SystemExit), open(os.devnull, 'w') as sink, "
        "contextlib.redirect_stdout(sink):\n"
        "    pylantir.cli.main(['--help'])",
    ],
    ids=["import", "help"],
)
def test_the_command_line_answers_before_anything_heavy_is_loaded(code: str) -> None:
    report = f"import sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)), sep='\\n')"

    loaded = in_subprocess(f"{code}\n{report}")

    assert [name for name in loaded if name] == []


def test_nothing_happens_on_import() -> None:
    """No file is written, no folder made, nothing connected, started or bound."""
    names = [module_name(path) for path in MODULES if path.name != "__main__.py"]
    names = [name for name in names if not name.endswith("migrations.env")]  # alembic runs this one

    happened = in_subprocess(IMPORT_ALL.replace("NAMES", repr(names)))

    assert happened == []


IMPORT_ALL = """
import importlib, os, sys, threading
importing = ""
deeds = {"sqlite3.connect", "socket.bind", "socket.connect", "subprocess.Popen", "os.mkdir"}
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, args):
    if event in deeds or (event == "open" and (args[2] or 0) & writing):
        frame = sys._getframe()
        while frame := frame.f_back:
            if frame.f_globals.get("__name__", "").startswith("urllib3."):
                return  # tries on import whether this machine has IPv6
        print(importing, event, args[0] if args else "")

sys.addaudithook(watch)
for importing in NAMES:
    try:
        importlib.import_module(importing)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pylantir"):
            raise  # else an optional package that is not installed here
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            print(importing, "thread", thread.name)
"""


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {where(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}

    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{where(path, node.lineno)}: {node.name}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, functions) and _lines(node) > MAX_FUNCTION_LINES
    ]

    assert long == []


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_only_the_command_line_prints() -> None:
    printing = [
        where(path, node.lineno)
        for path in MODULES
        if room_of(module_name(path)) != "cli"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]

    assert printing == []


def test_no_except_catches_what_it_does_not_name() -> None:
    bare = [
        where(path, node.lineno)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]

    assert bare == []

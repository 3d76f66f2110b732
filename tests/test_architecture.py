"""The shape of the code: who may import whom, how long things are, what loads when."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import evaltrace

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "evaltrace"
RUNNERS = ROOT / "runners"

ROWS = (
    {"errors", "untrusted", "jsontext", "times", "version", "quantities", "stats"},
    {"trace", "source", "pricefile", "comparison"},
    {
        "schema",
        "redact",
        "failures",
        "patches",
        "pricing",
        "summary",
        "measures",
        "cuts",
        "mentions",
        "gate",
        "figures",
        "tables",
        "remote",
    },
    {"agentlogs", "testlogs", "store"},
    {"files"},
    {"cache", "record"},
    {"readers", "otlp", "query", "metrics"},
    {"plan"},
    {"aggregate"},
    {"engines"},
    {"compare", "learn", "workflow"},
    {"reports"},
    {"viewer"},
    {"evaltrace"},  # the package's own __init__: the public names
    {"cli"},
    {"__main__"},
)
"""The modules and packages right below `evaltrace`; each imports from rows above its own."""

SAME_ROW = {
    ("jsontext", "untrusted"),
    ("summary", "measures"),
    ("tables", "measures"),
    ("comparison", "trace"),
}

HEAVY = {
    "numpy", "scipy", "pyarrow", "jsonschema", "jsonschema_rs", "jinja2", "duckdb", "tabulate",
    "unidiff", "genai_prices", "platformdirs", "fsspec", "obstore", "distributed", "dask", "ray",
    "botocore", "boto3", "aiohttp", "pandas", "opentelemetry", "prometheus_client", "structlog",
}  # fmt: skip
"""Packages that may be loaded by the function that needs them, and by nothing else."""

NUMERIC = {"stats", "compare"}
"""Units that stand on numpy: no other unit loads them before it computes with them."""

CLI_MAY_LOAD = {"errors", "untrusted", "version"}
"""Units that a command may load before it is called: leaves that cost nothing."""

FORBIDDEN = {"manager", "helper", "helpers", "util", "utils", "base", "common"}


# Reading the code.


def _name_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name_of(path): path for path in sorted(SRC.rglob("*.py"))}
SCRIPTS = sorted(RUNNERS.glob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _unit(module: str) -> str:
    return module.split(".")[1] if "." in module else module


_LATE = re.compile(r"evaltrace(\.\w+)+(:\w+)?")
"""A name in a table of things that are loaded when they are asked for."""


def _imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Give the dotted name of everything imported, at any level, or named in a table."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level]
            prefix = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and _LATE.fullmatch(str(node.value)):
            yield str(node.value).partition(":")[0]


def _modules_imported(tree: ast.AST, module: str, is_package: bool = False) -> set[str]:
    """Name the modules of the package that a module imports."""
    found = set()
    for name in _imported(tree, module, is_package):
        if name.split(".")[0] == "evaltrace":
            found.add(name if name in MODULES else name.rpartition(".")[0] or name)
    return {name for name in found if name in MODULES and name != module}


@cache
def _graph() -> dict[str, set[str]]:
    return {
        name: _modules_imported(_tree(path), name, path.name == "__init__.py")
        for name, path in MODULES.items()
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import evaltrace.trace", {"evaltrace.trace"}),
        ("from evaltrace import trace, errors", {"evaltrace.trace", "evaltrace.errors"}),
        ("from evaltrace.trace import Trace", {"evaltrace.trace"}),
        ("def f():\n    from evaltrace.trace import Trace", {"evaltrace.trace"}),
        ("if TYPE_CHECKING:\n    from evaltrace.trace import Trace", {"evaltrace.trace"}),
        ("from . import schema", {"evaltrace.schema"}),
        ("from .trace import Trace", {"evaltrace.trace"}),
        ("from evaltrace import Trace", {"evaltrace"}),
        ("TABLE = {'trace': 'evaltrace.trace:Trace'}", {"evaltrace.trace"}),
        ("import json, click", set()),
    ],
)
def test_every_way_to_import_is_seen(code: str, expected: set[str]) -> None:
    assert _modules_imported(ast.parse(code), "evaltrace.files") == expected


def test_relative_imports_climb_the_right_number_of_levels() -> None:
    tree = ast.parse("from .tools import x\nfrom .. import trace\nfrom ..errors import y")
    expected = {"evaltrace.agentlogs.tools", "evaltrace.trace", "evaltrace.errors"}
    assert _modules_imported(tree, "evaltrace.agentlogs.transcript") == expected
    assert _modules_imported(tree, "evaltrace.agentlogs", is_package=True) == expected


# Rows and cycles.


def _row(unit: str) -> int:
    return next(number for number, units in enumerate(ROWS) if unit in units)


def test_every_unit_stands_in_one_row() -> None:
    known = [unit for units in ROWS for unit in units]
    assert sorted({_unit(name) for name in MODULES} - set(known)) == []
    assert len(known) == len(set(known))


def test_imports_go_to_rows_above() -> None:
    wrong = [
        f"{name} (row {_row(_unit(name))}) imports {target} (row {_row(_unit(target))})"
        for name, targets in _graph().items()
        for target in sorted(targets)
        if _unit(name) != _unit(target)
        and _row(_unit(target)) >= _row(_unit(name))
        and (_unit(name), _unit(target)) not in SAME_ROW
    ]
    assert wrong == []


def test_imports_make_no_circle() -> None:
    try:
        TopologicalSorter(_graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


# Who knows the terminal.


def _outer(name: str) -> bool:
    return _unit(name) in ("cli", "__main__")


INNER = [name for name in MODULES if not _outer(name)]


@pytest.mark.parametrize("name", INNER)
def test_only_the_command_line_knows_click(name: str) -> None:
    tree = _tree(MODULES[name])
    assert "click" not in {found.split(".")[0] for found in _imported(tree, name, False)}


def _terminal_words(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("print", "SystemExit", "exit", "quit"):
            yield f"{node.id} in line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            word = f"{node.value.id}.{node.attr}"
            if word in ("sys.exit", "os._exit", "sys.stdout", "sys.stderr"):
                yield f"{word} in line {node.lineno}"


@pytest.mark.parametrize("name", INNER)
def test_only_the_command_line_prints_or_exits(name: str) -> None:
    assert list(_terminal_words(_tree(MODULES[name]))) == []


def test_printing_and_exiting_are_seen() -> None:
    code = "print(1)\nraise SystemExit\nsys.exit(1)\nsys.stderr.write('x')\nprinted = exits(2)"
    assert len(list(_terminal_words(ast.parse(code)))) == 4


@pytest.mark.parametrize("name", [name for name in MODULES if _unit(name) == "cli"])
def test_commands_load_next_to_nothing_before_they_are_called(name: str) -> None:
    top = ast.Module(
        [n for n in _tree(MODULES[name]).body if isinstance(n, ast.Import | ast.ImportFrom)], []
    )
    packages = {found.split(".")[0] for found in _imported(top, name, False)}
    assert packages <= {*sys.stdlib_module_names, "click", "evaltrace"}
    units = {_unit(target) for target in _modules_imported(top, name)}
    assert units <= {*CLI_MAY_LOAD, "cli"}


# Sizes and names.


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Give each function with its length in lines, the docstring not counted."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                first = node.body[0]
                assert first.end_lineno is not None
                length -= first.end_lineno - first.lineno + 1
            yield f"{path.name}:{node.lineno} {node.name}", length


CODE = [*MODULES.values(), *SCRIPTS]


@cache
def _lengths() -> dict[str, int]:
    return {name: length for path in CODE for name, length in _functions(path)}


def test_length_of_a_function_leaves_out_its_docstring(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('def f():\n    """One.\n\n    Two.\n    """\n    x = 1\n    return x\n')
    assert dict(_functions(path)) == {"module.py:1 f": 3}


def test_nine_functions_in_ten_fit_on_a_page() -> None:
    longer = {name: length for name, length in _lengths().items() if length > 25}
    assert len(longer) <= len(_lengths()) / 10, longer


def test_no_function_is_longer_than_two_pages() -> None:
    assert {name: length for name, length in _lengths().items() if length > 60} == {}


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in CODE}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(_tree(path))


def _words(name: str) -> set[str]:
    """Split snake_case and CamelCase names."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def _named(path: Path) -> Iterator[str]:
    yield path.stem
    yield from (node.name for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef))


def test_names_say_what_things_are() -> None:
    parts = [*CODE, *{path.parent for path in MODULES.values()} - {SRC}]
    names = [name for p in parts for name in ([p.name] if p.is_dir() else _named(p))]
    assert [name for name in names if _words(name) & FORBIDDEN] == []


@pytest.mark.parametrize(
    ("name", "empty"),
    [("TraceManager", False), ("base_reader", False), ("HTTPUtils", False), ("Baseline", True)],
)
def test_forbidden_words_are_found_inside_names(name: str, empty: bool) -> None:
    assert (_words(name) & FORBIDDEN == set()) is empty


# What is loaded, written and printed.


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python on this checkout with `folder` as its home and working directory."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(SRC.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
    }
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=60,
        check=False,
    )


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    done = _run("-X", "importtime", "-m", "evaltrace", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Usage: evaltrace" in done.stdout
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert loaded & HEAVY == set()


def _loaded_by_importing(names: list[str], folder: Path) -> set[str]:
    imports = "\n".join(f"import {name}" for name in names)
    code = f"import sys\n{imports}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = _run("-c", code, folder=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = set(done.stdout.split())
    assert "evaltrace" in loaded
    return loaded


def test_no_module_loads_anything_heavy_by_being_imported(tmp_path: Path) -> None:
    names = [name for name in INNER if _unit(name) not in NUMERIC]
    assert _loaded_by_importing(names, tmp_path) & {*HEAVY, "click"} == set()


def test_the_numeric_modules_load_numpy_and_nothing_heavier(tmp_path: Path) -> None:
    names = [name for name in INNER if _unit(name) in NUMERIC]
    assert _loaded_by_importing(names, tmp_path) & {*HEAVY, "click"} == {"numpy"}


def test_importing_the_package_leaves_no_mark(tmp_path: Path) -> None:
    done = _run("-W", "error", "-c", "import evaltrace", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []


# The public names.


def _public() -> dict[str, Any]:
    return {name: getattr(evaltrace, name) for name in evaltrace.__all__}


def test_public_names_are_few() -> None:
    assert 1 <= len(_public()) <= 36


def test_every_public_name_is_documented() -> None:
    bare = []
    for name, value in _public().items():
        if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
            text = value.__doc__ or ""
            if not text or text.startswith(f"{name}("):  # what dataclasses make up
                bare.append(name)
        elif name not in (evaltrace.__doc__ or ""):
            bare.append(name)  # a constant: the docstring of the package names it
    assert bare == []


def _foreign_names(tree: ast.AST, public: set[str]) -> Iterator[str]:
    """Give what a runner takes from evaltrace that is not public."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("evaltrace."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "evaltrace":
            names = {alias.name for alias in node.names}
            allowed = {"evaltrace": public, "evaltrace.cli": {"main"}}.get(node.module or "", set())
            yield from (f"{node.module}.{name}" for name in names - allowed)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "evaltrace":
            yield from {f"evaltrace.{node.attr}"} if node.attr not in public else ()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_runners_use_public_names_only(path: Path) -> None:
    assert list(_foreign_names(_tree(path), set(_public()))) == []


@pytest.mark.parametrize(
    ("code", "foreign"),
    [
        ("from evaltrace import aggregate\nfrom evaltrace.cli import main", []),
        ("import evaltrace\nevaltrace.aggregate()", []),
        ("from evaltrace import secret", ["evaltrace.secret"]),
        ("from evaltrace.trace import Trace", ["evaltrace.trace.Trace"]),
        ("import evaltrace.trace", ["evaltrace.trace"]),
        ("import evaltrace\nevaltrace.secret()", ["evaltrace.secret"]),
    ],
)
def test_private_names_in_runners_are_seen(code: str, foreign: list[str]) -> None:
    assert list(_foreign_names(ast.parse(code), {"aggregate"})) == foreign

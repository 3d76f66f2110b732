"""What the code may never do with what it reads, held over all of its text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "evaltrace"
TELLING = re.compile(
    r"pickle|marshal|shelve|dill|subprocess|\bpty\b|runpy|popen|import code\b|yaml|shell="
    r"|(?<![\w.])(?:eval|exec|compile|__import__|execfile|input|breakpoint)\("
    r"|\bos\.(?:system|exec|spawn|posix_spawn|startfile)|from (?:os|posix) import|import_module"
    r"|\breport\(|\bProblem\(|\.execute"
)
"""What a module has to have in it before it is looked into: parsing all takes seconds."""
TEXTS = {path: path.read_text("utf-8") for path in sorted(SRC.rglob("*.py"))}
NODES = (ast.Call, ast.Import, ast.ImportFrom)
TREES: dict[Path, list[ast.AST]] = {
    path: [node for node in ast.walk(ast.parse(text)) if isinstance(node, NODES)]
    for path, text in TEXTS.items()
    if TELLING.search(text)
}
"""By module: its calls and imports."""

UNPICKLING = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
PROGRAMS = {"subprocess", "pty", "code", "runpy", "popen2"}
YAML = {"yaml", "ruamel"}
EXECUTING = {"eval", "exec", "compile", "__import__", "execfile", "input", "breakpoint"}
SYSTEM = re.compile(r"system|popen|exec[lv]p?e?|(?:posix_)?spawn\w*|startfile")
"""The functions of `os` that run programs."""
COMPUTED = {"agentlogs/__init__.py", "stats/compiled.py", "engines/processes.py", "cli/__init__.py"}
"""Modules that import others by names from tables of theirs."""
PUT_IN: dict[str, set[str]] = {
    "query": {
        "files",
        "rows",
        "sql",
        "table",
    },
    "remote": {
        "clash",
    },
    "store": {
        "' OR '.join(tests)",
        "', '.join('?' * len(some))",
        "', '.join(names)",
        "APPLICATION_ID",
        "EVENT_COLUMNS",
        "_MOST",
        "_PAGES",
        "_WAIT_MS",
        "column",
        "columns",
        "events",
        "marks",
        "names",
        "number + 1",
        "one",
        "order",
        "other",
        "scope.events_where or ''",
        "scope.order",
        "settings",
        "table",
        "test",
        "test.index",
        "test.sql",
        "where",
    },
}
"""By package: what is put into the text of a statement. All of it is a name, a number or a part of
a statement of ours, or was quoted."""

ALLOWED = {"plan/entries.py": "marshal, of rows that it packed itself and that never leave it"}
"""Module, and what it may import that the others may not."""


def _imports(tree: list[ast.AST]) -> Iterator[str]:
    for node in tree:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def _calls(tree: list[ast.AST]) -> Iterator[tuple[str | None, str, ast.Call]]:
    """Give each call: the name before the dot, the name, and the call."""
    for node in tree:
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield None, node.func.id, node
            elif isinstance(node.func, ast.Attribute):
                before = node.func.value
                yield (before.id if isinstance(before, ast.Name) else ""), node.func.attr, node


def _name(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def test_nothing_unpickles_loads_yaml_or_runs_programs() -> None:
    assert len(TEXTS) > 200
    assert len(TREES) > 50
    found = {
        (_name(path), module)
        for path, tree in TREES.items()
        for module in _imports(tree)
        if module in UNPICKLING | PROGRAMS | YAML and _name(path) not in ALLOWED
    }
    assert found == set()


def test_nothing_that_was_read_is_executed() -> None:
    found = {
        (_name(path), f"{before}.{name}" if before else name)
        for path, tree in TREES.items()
        for before, name, _ in _calls(tree)
        if (before is None and name in EXECUTING)
        or (before in ("os", "posix") and SYSTEM.fullmatch(name))
    }
    assert found == set()


def test_what_runs_programs_is_not_imported_by_its_name() -> None:
    found = {
        (_name(path), alias.name)
        for path, tree in TREES.items()
        for node in tree
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "posix")
        for alias in node.names
        if SYSTEM.fullmatch(alias.name) or alias.name == "*"
    }
    assert found == set()


def test_modules_are_imported_by_names_of_ours() -> None:
    """By a constant, by an entry of a table of constants, or where a list here says so."""
    found = set()
    for path, tree in TREES.items():
        for before, name, call in _calls(tree):
            if name != "import_module" or before not in (None, "importlib"):
                continue
            named = call.args[0]
            if isinstance(named, ast.Constant):
                bad = str(named.value).split(".")[0] in UNPICKLING | PROGRAMS | YAML
            else:
                bad = "_PLACES[name]" not in ast.unparse(named) and _name(path) not in COMPUTED
            if bad:
                found.add((_name(path), call.lineno))
    assert found == set()


def test_no_shell_is_asked() -> None:
    found = {
        (_name(path), call.lineno)
        for path, tree in TREES.items()
        for _, _, call in _calls(tree)
        if any(keyword.arg == "shell" for keyword in call.keywords)
    }
    assert found == set()


def test_what_numpy_and_parquet_read_cannot_hold_objects() -> None:
    found = {
        (_name(path), call.lineno)
        for path, tree in TREES.items()
        for _, _, call in _calls(tree)
        if any(keyword.arg == "allow_pickle" for keyword in call.keywords)
    }
    assert found == set()


def test_every_problem_comes_with_a_hint() -> None:
    """A call `report(code, path, message, hint)` or `Problem(...)` that gives no hint."""
    found = set()
    for path, tree in TREES.items():
        for before, name, call in _calls(tree):
            named = {keyword.arg for keyword in call.keywords}
            starred = any(isinstance(argument, ast.Starred) for argument in call.args)
            if name == "Problem" and {"code", "path", "message"} <= named and "hint" not in named:
                found.add((_name(path), call.lineno))
            short = 3 <= len(call.args) < 4 and not starred and "hint" not in named
            if name == "report" and before is not None and short:
                found.add((_name(path), call.lineno))
    assert found == set()


def _put_in(path: Path) -> Iterator[str]:
    """Give the expressions whose values are put into the text of a statement."""
    for before, name, call in _calls(TREES[path]):
        if name not in ("execute", "executemany", "executescript") or before is None:
            continue
        first = call.args[0]
        if isinstance(first, ast.JoinedStr):
            values = (part.value for part in first.values if isinstance(part, ast.FormattedValue))
            yield from map(ast.unparse, values)
        elif not isinstance(first, ast.Constant | ast.Name):
            yield ast.unparse(first)


@pytest.mark.parametrize("package", ["store", "query", "metrics", "remote"])
def test_what_is_put_into_statements_is_known(package: str) -> None:
    paths = [path for path in TREES if _name(path).startswith(f"{package}/")]
    assert {text for path in paths for text in _put_in(path)} == PUT_IN.get(package, set())

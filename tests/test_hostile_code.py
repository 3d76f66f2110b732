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
    r"|\bos\.(?:system|exec|spawn|startfile)|\breport\(|\bProblem\(|\.execute"
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
SYSTEM = {"system", "popen", "execv", "execve", "execvp", "spawnv", "spawnl", "startfile"}

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
        if (before is None and name in EXECUTING) or (before == "os" and name in SYSTEM)
    }
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


@pytest.mark.parametrize("folder", ["store", "query"])
def test_statements_are_put_together_of_constants_only(folder: str) -> None:
    """An f-string with SQL may take in names of ours, placeholders, and other such texts."""
    found = set()
    for path, tree in TREES.items():
        if not _name(path).startswith(f"{folder}/"):
            continue
        for before, name, call in _calls(tree):
            first = call.args[0] if call.args else None
            if name not in ("execute", "executemany", "executescript") or before is None:
                continue
            if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mod):
                found.add((_name(path), call.lineno))
            if isinstance(first, ast.Call) and getattr(first.func, "attr", "") == "format":
                found.add((_name(path), call.lineno))
    assert found == set()

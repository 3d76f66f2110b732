"""The documentation is true: every `$` line of it runs, and prints what is shown."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALLED = {"README.md", "scale.md"}
"""Pages whose `evaltrace` is the installed one, with a start of its own each time: the tour, and
the page that compares what several processes write. Elsewhere it is a fork of a warm process."""
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.S | re.M)


@dataclass
class Command:
    line: str
    shown: str


def commands(page: Path) -> list[Command]:
    found = []
    for block in BLOCK.findall(page.read_text()):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, _, shown = part.partition("\n")
            found.append(Command(line, shown.strip("\n")))
    return found


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder that looks like the checkout to a command, and is thrown away."""
    for name in ("examples", "runners"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(line: str, workplace: Path, programs: list[Path]) -> str:
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "COLUMNS": "80"}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=workplace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"$ {line}\n{done.stdout}"
    return done.stdout.strip("\n")


def matches(shown: str, printed: str) -> bool:
    """Compare line by line; a shown line `...` stands for any number of lines."""
    pattern = "\n".join(".*" if line == "..." else re.escape(line) for line in shown.split("\n"))
    return re.fullmatch(pattern, printed, re.S) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_runs_and_prints_what_is_shown(
    page: Path, workplace: Path, warm_evaltrace: Path
) -> None:
    if not shutil.which("jq") and any("jq " in command.line for command in commands(page)):
        pytest.skip("jq is not installed")
    programs = [Path(sys.executable).parent]
    if page.name not in INSTALLED:
        programs.insert(0, warm_evaltrace.parent)
    for command in commands(page):
        printed = run(command.line, workplace, programs)
        if command.shown:
            assert matches(command.shown, printed), f"$ {command.line}\n{printed}"


def test_readme_is_short_and_shows_the_whole_tour() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    lines = [command.line for command in commands(ROOT / "README.md")]
    for part in ("evaltrace aggregate", "jq -c '.traces[]", "evaltrace compare", "evaltrace show"):
        assert any(part in line for line in lines)


def test_library_snippet_of_the_readme_runs(workplace: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    snippet = re.findall(r"^```python\n(.*?)^```$", readme, re.S | re.M)[0]
    command = [sys.executable, "-c", snippet]
    done = subprocess.run(command, cwd=workplace, capture_output=True, text=True, check=True)
    assert "'pass': 4" in done.stdout
    assert "sandbox_failed" in done.stdout


def test_every_page_is_linked_and_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    readme = (ROOT / "README.md").read_text()
    assert all(page.name in readme for page in PAGES[1:])


def test_every_command_and_runner_is_mentioned() -> None:
    from evaltrace.cli import main

    text = "\n".join(page.read_text() for page in PAGES)
    for name in main.list_commands(None):  # type: ignore[arg-type]
        assert f"evaltrace {name}" in text
    for runner in (ROOT / "runners").glob("*.py"):
        assert runner.name in text


def test_every_problem_code_is_explained() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    codes = set(re.findall(r'(?:report|add)\(\s*"([a-z_]+)"', source))
    codes |= set(re.findall(r'code="([a-z_]+)"', source))
    codes -= {"message", "system", "tool_call", "reasoning", "error", "step"}
    explained = (ROOT / "docs" / "problems.md").read_text()
    assert len(codes) > 10
    assert not {code for code in codes if f"`{code}`" not in explained}

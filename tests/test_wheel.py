"""The distributions as users get them: built, installed without development packages, used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from aggregated import EXAMPLES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`evaltrace` in a fresh environment that has the wheel and what it needs, no more."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    wheel = next(folder.glob("evaltrace-*.whl"))
    venv.create(folder / "env")
    program = folder / "env" / "bin" / "evaltrace"
    constraints = ["--constraint", ROOT / "constraints.txt"]
    pip(program, "install", "--quiet", "--no-compile", *constraints, wheel)
    return program


def pip(program: Path, *arguments: str | Path) -> bytes:
    """Run our pip on the environment of the program: one of its own would take seconds to make."""
    ours = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]
    command = [*ours, program.with_name("python"), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def run(program: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_development_package_is_there(program: Path, tmp_path: Path) -> None:
    listed = json.loads(pip(program, "list", "--format", "json"))
    names = {row["name"].lower() for row in listed}
    assert {"evaltrace", "click", "msgspec"} <= names
    assert not names & {"pytest", "hypothesis", "mypy", "ruff", "build", "hatchling"}


def test_schemas_are_inside(program: Path, tmp_path: Path) -> None:
    listed = run(program, "schema", "list", cwd=tmp_path)
    assert "trace" in listed.split()
    assert "traces" in listed.split()
    shown = json.loads(run(program, "schema", "show", "trace", cwd=tmp_path))
    assert shown == json.loads((ROOT / "schemas" / "trace.schema.json").read_text())


def test_an_aggregation_works(program: Path, tmp_path: Path) -> None:
    run(program, "aggregate", str(EXAMPLES), "-o", "traces.json", cwd=tmp_path)
    assert len(json.loads((tmp_path / "traces.json").read_text())["traces"]) == 24
    run(program, "validate", "traces.json", cwd=tmp_path)
    assert "resolver" in run(program, "show", "traces.json", cwd=tmp_path)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths inside the source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    with tarfile.open(next(folder.glob("evaltrace-*.tar.gz"))) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def _named_files(text: str) -> set[str]:
    """Give the files and folders of the checkout that a text names."""
    words = {word.rstrip("/.") for word in re.findall(r"[\w./-]+", text)} - {""}
    kept = {word for word in words if not word.startswith(("/", "..", "dist"))}
    made = re.compile(r"\.venv|\.\w+_cache|\.hypothesis|artifacts/(?!README)")
    return {word for word in kept if (ROOT / word).exists() and not made.match(word)}


@pytest.mark.parametrize("name", ["Makefile", "pyproject.toml", ".ci/run", "README.md"])
def test_the_source_distribution_has_what_its_files_name(packed: set[str], name: str) -> None:
    named = _named_files((ROOT / name).read_text())
    assert len(named) > 1 or name == ".ci/run"
    missing = {
        path for path in named if not any(f"{row}/".startswith(f"{path}/") for row in packed)
    }
    assert missing == set()
    assert name in packed


def test_the_source_distribution_has_what_git_has(packed: set[str]) -> None:
    git = ["git", "ls-files"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    here = {path for path in listed.stdout.splitlines() if (ROOT / path).is_file()}
    assert sorted(here - packed) == []
    assert "benchmarks/memory.py" in packed


def test_the_source_distribution_has_no_traces(packed: set[str]) -> None:
    assert {path for path in packed if path.startswith("artifacts/")} == {"artifacts/README.md"}

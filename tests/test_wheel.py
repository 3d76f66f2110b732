"""The wheel as users get it: built, installed without development packages, used."""

from __future__ import annotations

import json
import subprocess
import sys
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
    venv.create(folder / "env", with_pip=True)
    pip = [folder / "env/bin/python", "-m", "pip", "--disable-pip-version-check", "install"]
    constraints = ["--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, "--quiet", *constraints, wheel], check=True, capture_output=True)
    return folder / "env" / "bin" / "evaltrace"


def run(program: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_development_package_is_there(program: Path, tmp_path: Path) -> None:
    listed = subprocess.run(
        [program.with_name("python"), "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        check=True,
    )
    names = {row["name"].lower() for row in json.loads(listed.stdout)}
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

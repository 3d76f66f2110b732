"""The packages that are needed: with reasons, ranges and versions, and no known weakness."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NOT_PINNED = {"ray"}
"""Not among the development tools: the tests run without it."""
NO_RANGE = {"distributed", "fsspec", "types-jsonschema", "types-tabulate"}
"""Versioned by date: no next version is known to break anything."""
_FOLDERS = ("src", "tests", "docs", "benchmarks", "runners", "schemas", "examples", ".ci")
_HOSTS = {
    "a4aa2ac280bb8d1a",
    "8b5bb5eb9d758455",
    "0dc11026ac75c015",
    "00a7dc5a0cc38858",
    "789e46d79514e280",
}
"""SHA-256 of hosts that registries have, cut: so that not even this file names one."""
_DOTTED = re.compile(rb"[\w-]+(?:\.[\w-]+)+")
_PATIENCE_S = 20


@cache
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def required(*extras: str) -> list[Requirement]:
    """Give what is needed at runtime, and by the extras named."""
    chosen = [project()["optional-dependencies"][extra] for extra in extras]
    return [Requirement(text) for text in chain(project()["dependencies"], *chosen)]


def extras_for_users() -> list[str]:
    return [name for name in project()["optional-dependencies"] if name != "dev"]


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_package_has_a_range() -> None:
    for requirement in required(*extras_for_users(), "dev"):
        kinds = {specifier.operator for specifier in requirement.specifier}
        wanted = set() if requirement.name.startswith("types-") else {">="}
        wanted |= set() if requirement.name in NO_RANGE else {"<"}
        assert wanted <= kinds, requirement


def test_every_package_has_an_exact_version_within_its_range() -> None:
    versions = {canonicalize_name(name): version for name, version in pinned().items()}
    for requirement in required(*extras_for_users(), "dev"):
        if requirement.name not in NOT_PINNED:
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), requirement


def test_versions_are_exact_and_name_no_place_to_get_them_from() -> None:
    for name, version in pinned().items():
        assert re.fullmatch(r"[\w.-]+", name)
        assert re.fullmatch(r"[\w.]+", version)


def test_every_package_for_users_has_a_reason() -> None:
    [_, table] = (ROOT / "SECURITY.md").read_text().split("\n## Packages\n")
    rows = re.findall(r"^\| ([\w-]+)(?: \((.+?)\))? \| (.+) \|$", table, re.MULTILINE)
    told = {(name, *re.findall(r"`(\w+)`", extras)) for name, extras, _ in rows[1:]}
    wanted: dict[str, list[str]] = {requirement.name: [] for requirement in required()}
    for extra in extras_for_users():
        for text in project()["optional-dependencies"][extra]:
            wanted.setdefault(Requirement(text).name, []).append(extra)
    assert told == {(name, *extras) for name, extras in wanted.items()}
    assert all(len(reason) > 10 for _, _, reason in rows[1:])


def hosts_in(text: bytes) -> set[str]:
    """Give what stands for the hosts of registries that a text names, within longer names too."""
    names = {tuple(name.split(b".")) for name in _DOTTED.findall(text.lower())}
    parts = {name[i : i + n] for name in names for n in (2, 3) for i in range(len(name) - n + 1)}
    return {sha256(b".".join(part)).hexdigest()[:16] for part in parts} & _HOSTS


def test_no_file_names_the_host_of_a_registry() -> None:
    places = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*")]
    for path in [*places, *ROOT.glob("*.*"), ROOT / "Makefile"]:
        if path.is_file() and path.suffix not in {".pyc", ".png"}:
            assert not hosts_in(path.read_bytes()), path


def test_the_host_of_a_registry_is_found_within_a_longer_name() -> None:
    named = b"https://files." + b"gro.detsohnohtyp"[::-1] + b"/packages"
    assert len(hosts_in(named)) == 1
    assert not hosts_in(b"https://example.org/packages")


def test_every_promise_names_tests_that_exist() -> None:
    [_, promises] = (ROOT / "SECURITY.md").read_text().split("\n## Promises")
    promises = promises.split("\n## ")[0]
    rows = [row for row in promises.splitlines() if row.startswith("| ")][1:]
    there = {
        name
        for path in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= there, row


def test_no_vulnerability_is_known_of_any_package() -> None:
    if importlib.util.find_spec("pip_audit") is None:
        pytest.skip("pip-audit is not installed")
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    quiet = ["--progress-spinner", "off", "--timeout", "5", "-r", str(ROOT / "constraints.txt")]
    try:
        done = subprocess.run(
            [*command, *quiet], capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
        rows = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        pytest.skip("the data of pip-audit cannot be had")
    looked_up = [row for row in rows if "skip_reason" not in row]
    if not looked_up:
        pytest.skip("pip-audit has no data for any of the packages")
    assert [(row["name"], row["vulns"]) for row in looked_up if row["vulns"]] == []

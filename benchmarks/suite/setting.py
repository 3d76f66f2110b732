"""What the groups of the suite share: job directories, rounds, and evaltrace's command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from job_directories import write_jobs
from suite.timing import Case, command, in_fork

EVALTRACE = (sys.executable, "-m", "evaltrace")


@dataclass(frozen=True, slots=True)
class Setting:
    """A place for files, and how much is measured; `quick` is a twentieth of everything."""

    folder: Path
    quick: bool = False
    rounds: int = 5
    jobs: dict[str, Path] = field(default_factory=dict)

    def trials(self, count: int) -> int:
        """Give a number of trials, less if it is to be quick."""
        return max(count // 20, 10) if self.quick else count

    def jobs_of(self, kind: Literal["full", "small"], count: int) -> Path:
        """Write job directories of so many trials, once."""
        count = self.trials(count)
        folder = self.folder / f"{kind}-{count}"
        if not folder.exists():
            aside = folder.with_suffix(".part")
            write_jobs(aside, kind=kind, trials=count)
            aside.rename(folder)
        return folder

    def out(self, name: str) -> Path:
        """Name an output file."""
        return self.folder / name


@cache
def options_of(name: str) -> str:
    """Read the help of a command; empty if there is no such command."""
    asked = subprocess.run(
        [*EVALTRACE, name, "--help"], capture_output=True, text=True, check=False
    )
    return asked.stdout if asked.returncode == 0 else ""


def missing(name: str, *options: str) -> str | None:
    """Say what a command does not have."""
    text = options_of(name)
    if not text:
        return f"evaltrace has no command {name}"
    absent = [option for option in options if not re.search(rf"{option}(?![\w-])", text)]
    return f"evaltrace {name} has no {', '.join(absent)}" if absent else None


def aggregation(*arguments: str | Path) -> list[str]:
    """Give the arguments that aggregate: one worker and no cache, unless they say otherwise."""
    given = [str(argument) for argument in arguments]
    text = options_of("aggregate")
    if "--workers" in text and "--workers" not in given:
        given += ["--workers", "1"]
    if "--no-cache" in text and "--cache" not in given:
        given += ["--no-cache"]
    return ["aggregate", *given, "--quiet"]


def evaltrace(*arguments: str) -> Case:
    """Make a case of an evaltrace command inside a forked process, start-up apart."""
    return in_fork(called(*arguments))


def called(*arguments: str) -> Callable[[], object]:
    """Make a function of an evaltrace command, silent."""

    def call() -> object:
        from evaltrace.cli import main

        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        return main(list(arguments), standalone_mode=False)

    return call


def whole_evaltrace(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Case:
    """Make a case of a whole evaltrace process."""
    return command(*EVALTRACE, *arguments, env=env)


def warm_up(setting: Setting) -> None:
    """Import here what the forked processes will use: aggregate a few trials."""
    import orjson  # noqa: F401

    from evaltrace.cli import main

    folder = setting.jobs_of("small", 20)
    out = setting.out("warm-up.json")
    for events in ("full", "none"):
        main(aggregation(folder, "-o", out, "--events", events), standalone_mode=False)

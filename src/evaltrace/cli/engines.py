"""Options that say who reads the trials, and the engine that they amount to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import bundled

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from evaltrace.aggregate import Map, Sharded
    from evaltrace.plan import Plan

_PROCESSES = "processes"
_FROM_ZERO = (
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ("JOB_COMPLETION_INDEX", ""),  # Kubernetes does not tell of how many
)


@dataclass(frozen=True, slots=True)
class Engine:
    """Who reads the trials, and where finished parts stay; `share` is (number, of how many)."""

    workers: int | None
    name: str
    address: str | None
    parts: str | None
    share: tuple[int, int] | None

    @property
    def is_local(self) -> bool:
        """Whether all is done on this machine, and nothing is left for another run."""
        return self.parts is None and self.name == _PROCESSES

    @contextmanager
    def opened(self, plan: Plan, output: str | None) -> Iterator[Sharded | None]:
        """Start the engine for a plan; None where one trial after the other is as fast."""
        from evaltrace.aggregate import sharded_through

        with self._map(plan) as chosen:
            if chosen is None and self.parts is None:
                yield None
                return
            with sharded_through(chosen or map, plan, self.parts, output) as sharded:
                yield sharded

    def _map(self, plan: Plan) -> AbstractContextManager[Map | None]:
        from evaltrace.engines import open_engine, processors

        workers = self.workers or processors()
        if self.name == _PROCESSES:
            workers = min(workers, len(plan.unread))
            if workers < 2 or (self.workers is None and not _pay(plan)):
                return nullcontext()
        return open_engine(self.name, workers, self.address)


def _pay(plan: Plan) -> bool:
    from evaltrace.aggregate import workers_pay

    return workers_pay(plan.unread)


def _to_engine(given: dict[str, Any]) -> Engine:
    name, address, parts = given["engine"], given["engine_address"], given["parts"]
    if address is not None and name == _PROCESSES:
        raise click.UsageError("--engine-address is for --engine dask or ray.")
    if parts == "":
        raise click.UsageError("--parts needs a folder; is a variable unset?")
    share = to_share(given["shard"], os.environ) if given["shard"] is not None else None
    if share is not None and parts is None:
        raise click.UsageError("--shard needs --parts, the folder that all machines share.")
    return Engine(given["workers"], name, address, parts, share)


def to_share(text: str, environment: os._Environ[str] | dict[str, str]) -> tuple[int, int]:
    """Read a share like 3/16, counted from 1; `auto` and `auto/16` ask the batch system.

    Raises UsageError.
    """
    number, slash, total = text.partition("/")
    index, size = _of_array(environment) if number == "auto" else (number, "")
    if number == "auto" and index is None:
        raise click.UsageError("--shard auto: this is no job of an array that is known.")
    found = (index, total if slash else size)
    if not all(part and part.isascii() and part.isdigit() for part in found):
        hint = "auto/N where the batch system does not tell N" if number == "auto" else "like 3/16"
        raise click.UsageError(f"--shard {text}: give I/N, {hint}.")
    share = int(index or 0), int(found[1])
    if not 1 <= share[0] <= share[1]:
        raise click.UsageError(f"--shard {text}: {share[0]} is not within 1 and {share[1]}.")
    return share


def _of_array(environment: os._Environ[str] | dict[str, str]) -> tuple[str | None, str]:
    """Give which job of an array this is, from 1, and of how many if that is told."""
    slurm = environment.get("SLURM_ARRAY_TASK_ID")
    try:
        if slurm is not None:
            first = int(environment.get("SLURM_ARRAY_TASK_MIN", "1"))
            step = max(int(environment.get("SLURM_ARRAY_TASK_STEP", "1")), 1)
            number = (int(slurm) - first) // step + 1
            return str(number), environment.get("SLURM_ARRAY_TASK_COUNT", "")
        for name, size in _FROM_ZERO:
            if name in environment:
                return str(int(environment[name]) + 1), environment.get(size, "")
    except ValueError:
        pass
    return None, ""


_OPTIONS = (
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        show_default="the processors available, where they pay",
        help="Read with N processes; 1 reads one trial after the other.",
    ),
    click.option(
        "--engine",
        type=click.Choice([_PROCESSES, "dask", "ray"]),
        default=_PROCESSES,
        show_default=True,
        help="Who runs the workers; dask and ray can be a cluster (extras of those names).",
    ),
    click.option(
        "--engine-address",
        metavar="ADDRESS",
        help="A cluster that runs already, such as tcp://HOST:8786.  [default: one of N workers "
        "on this machine]",
    ),
    click.option(
        "--parts",
        metavar="DIR",
        help="Keep finished parts in this folder or URL, so that a run that died goes on there.",
    ),
    click.option(
        "--shard",
        metavar="I/N",
        help="Only the I-th of N shares of the parts, from 1, and no output; `auto` in the array "
        "of a batch system. The same command without --shard then joins all.",
    ),
)


engine_options = bundled(
    "engine", ("workers", "engine", "engine_address", "parts", "shard"), _OPTIONS, _to_engine
)
"""Give a command the options, which it gets as one `engine`."""

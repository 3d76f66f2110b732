"""An engine by its name."""

from __future__ import annotations

from contextlib import AbstractContextManager

from evaltrace.aggregate import Map
from evaltrace.engines.processes import processes
from evaltrace.errors import UnknownName

ENGINES = ("processes", "dask", "ray")


def open_engine(name: str, workers: int, address: str | None = None) -> AbstractContextManager[Map]:
    """Open an engine with so many workers, or the one at an address; see ENGINES.

    Raises UnknownName, MissingPackage, and EngineFailure where it cannot be started.
    """
    if name == "processes":
        return processes(workers)
    if name == "dask":
        from evaltrace.engines.dask import dask

        return dask(workers, address)
    if name == "ray":
        from evaltrace.engines.ray import ray

        return ray(workers, address)
    raise UnknownName("no such engine", where=name, hint=f"There are {', '.join(ENGINES)}.")

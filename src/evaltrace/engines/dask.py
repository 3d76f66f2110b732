"""Dask distributed: workers of this machine, or those of a cluster that runs already."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from logging import CRITICAL, getLogger
from typing import Any

from evaltrace.aggregate import Done, Lost, Map, Outcome, Shard, heavy_first
from evaltrace.errors import EngineFailure, EvaltraceError, MissingPackage
from evaltrace.version import __version__

Work = Callable[[Shard], Done]

_AHEAD = 2
"""Shards for each thread of the cluster: the next one waits there."""
_ROUND = 64
"""After so many outcomes the cluster is asked for its size again: it may have grown."""
_TIMEOUT = 30


@contextmanager
def dask(workers: int, address: str | None = None) -> Iterator[Map]:
    """Give an engine of Dask workers: a cluster of its own here, or the one at an address.

    Workers need the same version of evaltrace and the same paths. Raises MissingPackage,
    and EngineFailure where the cluster cannot be reached or fails.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise MissingPackage(
            "the engine dask needs the package distributed",
            hint="pip install 'evaltrace[dask]'",
        ) from None
    with ExitStack() as opened:
        try:
            if address is None:
                address = opened.enter_context(_cluster(workers)).scheduler_address
            client = opened.enter_context(_client(address))
            _check_versions(client.run(_version))
        except (OSError, ValueError, TimeoutError) as error:
            hint = "Check the address, and that a scheduler runs there."
            raise EngineFailure(str(error), where=address, hint=hint) from error

        def engine(work: Work, shards: Sequence[Shard]) -> Iterator[Outcome]:
            return _outcomes(client, work, shards)

        yield engine


def _client(address: str) -> Any:
    from distributed import Client

    return Client(  # type: ignore[no-untyped-call]
        address, timeout=_TIMEOUT, set_as_default=False
    )


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    """Start workers here, quietly: one process each, that another replaces when it dies."""
    import dask
    from distributed import LocalCluster

    settings = {
        # A death is told at once: who asked for the shard knows what to do about it.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    logger = getLogger("distributed")
    level = logger.level
    with (
        tempfile.TemporaryDirectory(prefix="evaltrace-dask-", ignore_cleanup_errors=True) as place,
        dask.config.set(settings),
    ):
        logger.setLevel(CRITICAL)
        try:
            cluster: Any = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=CRITICAL,
                local_directory=place,
            )
            with cluster:
                yield cluster
        finally:
            logger.setLevel(level)


def _outcomes(client: Any, work: Work, shards: Sequence[Shard]) -> Iterator[Outcome]:
    """Keep a few shards with each worker: all that one holds when it dies are lost."""
    from distributed import as_completed

    waiting = heavy_first(shards)
    names: dict[Any, str] = {}
    running: Any = as_completed(loop=client.loop)  # type: ignore[no-untyped-call]
    size = 0
    heard = 0
    while True:
        if heard % _ROUND == 0:
            size = _AHEAD * max(sum(client.nthreads().values()), 1)
        for shard in islice(waiting, max(size - len(names), 0)):
            future = client.submit(work, shard, pure=False, retries=0)
            names[future.key] = shard.name
            running.add(future)
        if not names:
            return
        future = next(running)
        heard += 1
        yield _outcome(future, names.pop(future.key))


def _outcome(future: Any, name: str) -> Outcome:
    from distributed.scheduler import KilledWorker

    # The part is committed: nothing needs to be fetched from who wrote it.
    if future.status == "finished":
        return Done(name)
    error = future.exception() if future.status == "error" else None
    # Lost: its worker died with the result. Done again it finds its part there, if it was.
    if future.status == "lost" or isinstance(error, KilledWorker):
        return Lost(name, "its Dask worker died")
    if isinstance(error, EvaltraceError):
        raise error
    told = f"{type(error).__name__}: {error}" if error else f"the work was {future.status}"
    hint = f"Each worker needs evaltrace {__version__} and the paths of this machine."
    raise EngineFailure(told, where=name, hint=hint)


def _version() -> str:
    return __version__


def _check_versions(versions: dict[str, str]) -> None:
    other = {version for version in versions.values() if version != __version__}
    if other:
        raise EngineFailure(
            f"workers have evaltrace {', '.join(sorted(other))}, this is {__version__}",
            hint="Install the same version everywhere: traces must not depend on who read them.",
        )

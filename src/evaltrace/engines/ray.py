"""Ray: for sites that run it already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from logging import CRITICAL
from typing import Any

from evaltrace.aggregate import Done, Lost, Map, Outcome, Shard, heavy_first
from evaltrace.errors import EngineFailure, EvaltraceError, MissingPackage

Work = Callable[[Shard], Done]

_AHEAD = 2


@contextmanager
def ray(workers: int, address: str | None = None) -> Iterator[Map]:
    """Give an engine of Ray tasks: workers of this machine, or the cluster at an address.

    Raises MissingPackage, and EngineFailure where Ray cannot be started or fails.
    """
    try:
        import ray as package
    except ImportError:
        raise MissingPackage(
            "the engine ray needs the package ray", hint="pip install 'evaltrace[ray]'"
        ) from None
    own = {} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        package.init(address or "local", log_to_driver=False, logging_level=CRITICAL, **own)
    except (OSError, ConnectionError, RuntimeError, ValueError) as error:
        raise EngineFailure(f"Ray does not start: {error}", where=address) from error

    def engine(work: Work, shards: Sequence[Shard]) -> Iterator[Outcome]:
        return _outcomes(package, work, shards)

    try:
        yield engine
    finally:
        package.shutdown()


def _outcomes(package: Any, work: Work, shards: Sequence[Shard]) -> Iterator[Outcome]:
    # A task that is sent again by Ray itself could kill one worker after the other.
    @package.remote(max_retries=0)  # type: ignore[untyped-decorator]
    def task(shard: Shard) -> Done:
        return work(shard)

    size = _AHEAD * max(int(package.cluster_resources().get("CPU", 1)), 1)
    waiting = heavy_first(shards)
    names: dict[Any, str] = {}
    while True:
        for shard in islice(waiting, size - len(names)):
            names[task.remote(shard)] = shard.name
        if not names:
            return
        [reference], _ = package.wait(list(names))
        yield _outcome(package, reference, names.pop(reference))


def _outcome(package: Any, reference: Any, name: str) -> Outcome:
    faults = package.exceptions
    deaths = (
        faults.WorkerCrashedError,
        faults.NodeDiedError,
        faults.OutOfMemoryError,
        faults.OwnerDiedError,
    )
    try:
        outcome: Done = package.get(reference)
    except deaths as error:
        return Lost(name, f"its Ray worker died: {type(error).__name__}")
    except faults.RayTaskError as error:
        if isinstance(error.cause, EvaltraceError):
            raise error.cause from None
        raise EngineFailure(f"{type(error.cause).__name__}: {error.cause}", where=name) from error
    return outcome

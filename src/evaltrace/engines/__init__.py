"""Engines: who reads the shards of an aggregation, on this machine or on many.

    with processes(4) as map:
        aggregate_jobs(["jobs"], "traces.json", map=map)

Each gives a function that is passed on as `map`, and ends its workers with the block.
"""

from evaltrace.engines.choice import ENGINES, open_engine
from evaltrace.engines.processes import processes
from evaltrace.engines.processors import processors

__all__ = ["ENGINES", "open_engine", "processes", "processors"]

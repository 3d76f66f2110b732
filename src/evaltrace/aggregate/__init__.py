"""Job directories in, validated traces out: one after the other, or by an engine.

The plan finds, orders and numbers the trials; each is read whole, checked against the
schema, and written. An engine (processes, a cluster) is passed in as `map`; what it does is
committed part by part, so that nothing is lost and nothing done twice.
"""

from evaltrace.aggregate.joining import Sharded, write_share
from evaltrace.aggregate.outputs import check_output, open_output, output_name, tool
from evaltrace.aggregate.parts import Done, Lost, Outcome, Shard, write_part
from evaltrace.aggregate.places import commit_success, sharded_through
from evaltrace.aggregate.reading import Record, read_record, read_records
from evaltrace.aggregate.sharding import Map, plan_id, to_shards
from evaltrace.aggregate.spooled import open_plan
from evaltrace.aggregate.weighing import heavy_first, workers_pay
from evaltrace.aggregate.writing import Form, aggregate_jobs, write_aggregation

__all__ = [
    "Done",
    "Form",
    "Lost",
    "Map",
    "Outcome",
    "Record",
    "Shard",
    "Sharded",
    "aggregate_jobs",
    "check_output",
    "commit_success",
    "heavy_first",
    "open_output",
    "open_plan",
    "output_name",
    "plan_id",
    "read_record",
    "read_records",
    "sharded_through",
    "to_shards",
    "tool",
    "workers_pay",
    "write_aggregation",
    "write_part",
    "write_share",
]

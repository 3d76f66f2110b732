"""The planned trials into one file, in the order of the plan, whoever read them."""

from __future__ import annotations

from builtins import map as serial_map
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

from evaltrace.aggregate.joining import Rows, Sharded, Watch, read_parts
from evaltrace.aggregate.keeping import with_kept
from evaltrace.aggregate.outputs import check_output, open_output, tool
from evaltrace.aggregate.parts import to_row
from evaltrace.aggregate.places import commit_success, sharded_through
from evaltrace.aggregate.reading import raise_strict, read_record
from evaltrace.aggregate.sharding import Map
from evaltrace.aggregate.spooled import at_hand, open_plan, to_parcels
from evaltrace.cache import Cache
from evaltrace.errors import NothingFound, Problem
from evaltrace.files import Span, write_jsonl, write_traces
from evaltrace.plan import Options, Plan
from evaltrace.summary import Summary, Tally

Form = Literal["json", "jsonl", "parquet"]


def aggregate_jobs(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    options: Options | None = None,
    form: Form = "json",
    map: Map | None = None,
    parts: str | Path | None = None,
    cache: Cache | None = None,
) -> Summary:
    """Aggregate the trials below paths or URLs into a file, and sum them up.

    `map` is an engine, as `processes` or `open_engine` give one; without it trials are read
    one after the other. `parts` is a folder for finished parts that stay, so that a run
    that died goes on. `cache` spares unchanged trials the reading, unless parts stay: these
    are a memory of their own. Raises the errors of plan_aggregation and write_aggregation,
    and OutputFailure.
    """
    sharded = None
    with ExitStack() as opened:
        kept = None if parts is not None else cache
        plan = opened.enter_context(open_plan(paths, options, kept))
        check_output(plan, output)
        out: BinaryIO | Path = Path(output)
        if form != "parquet":
            out = opened.enter_context(open_output(output))
        if map is not None or parts is not None:
            through = sharded_through(map or serial_map, plan, parts, output)
            sharded = opened.enter_context(through)
        summary = write_aggregation(plan, out, form=form, sharded=sharded, name=str(output))
    if sharded is not None and parts is not None:
        commit_success(sharded.folder, plan, summary, output)
    return summary


def write_aggregation(
    plan: Plan,
    out: BinaryIO | Path,
    *,
    form: Form = "json",
    sharded: Sharded | None = None,
    name: str | None = None,
    watch: Watch | None = None,
) -> Summary:
    """Read the planned trials and write their traces; the same bytes by any engine.

    `out` is a file, or the folder of a Parquet data set.
    Raises StrictFailure if the plan's options say so, NothingFound if no trial could be
    read, and what read_parts raises.
    """
    tally = Tally()
    problems = list(plan.problems)
    for problem in problems:
        tally.add_problem(problem)

    def contents() -> Iterator[bytes | Span]:
        for row, content in read_rows(plan, sharded, watch):
            problems.extend(row.problems)
            tally.add_row(row)
            if content is not None:
                yield content
            del row, content
        if not tally.traces and problems:
            _raise_unreadable(problems[-1])

    try:
        if isinstance(out, Path):
            from evaltrace.files.dataset import write_dataset

            write_dataset(out, contents(), tool=tool(), inputs=plan.inputs, problems=problems)
        elif form == "jsonl":
            write_jsonl(out, contents())
        else:
            write_traces(out, tool=tool(), inputs=plan.inputs, traces=contents(), problems=problems)
    finally:
        if plan.cache is not None:
            plan.cache.close()
    return tally.summary(plan.inputs, name)


def read_rows(plan: Plan, sharded: Sharded | None, watch: Watch | None) -> Rows:
    """Give what became of each trial, in the order of the plan, with its trace.

    Raises StrictFailure at the first problem if the plan's options say so.
    """
    strict = plan.options.strict
    if strict and plan.problems:
        raise_strict(plan.problems[0])
    if sharded is None:
        rows = _one_by_one(plan, watch)
    else:
        rows = read_parts(plan.unread, plan.options, sharded, watch)
    if plan.cache is not None:
        rows = with_kept(plan, plan.cache, rows)
    with closing(rows):
        for row, content in rows:
            if strict and row.problems:
                raise_strict(row.problems[0])
            yield row, content
            del row, content


def _one_by_one(plan: Plan, watch: Watch | None) -> Rows:
    with closing(at_hand(plan.unread, to_parcels(plan.unread, plan.spools))) as entries:
        for entry, faults in entries:
            record = read_record(entry, plan.options, faults)
            if watch is not None:
                watch(1)
            row, line = to_row(record), record.line
            del record  # or all of it stays while the next one is read
            yield row, line
            del row, line


def _raise_unreadable(problem: Problem) -> NoReturn:
    raise NothingFound(
        f"no trial could be read ({problem.code}: {problem.message})",
        where=problem.path,
        hint=problem.hint,
    )

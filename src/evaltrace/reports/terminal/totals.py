"""The summary of a set of traces as text for a terminal; every number says what it stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evaltrace.quantities import UNKNOWN, compact, counted, dollars, grouped
from evaltrace.reports.columns import line_of
from evaltrace.reports.terminal.layout import COLOURS, TOKEN_KINDS, Block, lay_out, rest_of
from evaltrace.summary import JobReward, Summary, Total

_JOBS = 8
_IN_LINE = 4
"""Jobs that get a mean reward of their own, in the block and in the line."""


def render_summary(summary: Summary, width: int = 80, colour: bool = False) -> str:
    """Sum up a set of traces in a few lines; every number says what it stands on."""
    statuses = _statuses(summary)
    status = "\n".join(lay_out(("status", [list(statuses.values())], 6), width))
    for name, text in statuses.items():
        if colour:
            status = status.replace(text, f"\x1b[1;{COLOURS[name]}m{text}\x1b[0m")
    lines = [*lay_out(("traces", [[grouped(summary.traces)]], 1), width), status]
    for block in _summary_blocks(summary):
        lines += lay_out(block, width)
    return "\n".join(lines) + "\n"


def render_summary_line(summary: Summary) -> str:
    """Sum up a set of traces in one line, for output that is not a terminal."""
    problems = sum(problem.count for problem in summary.problems)
    statuses = ", ".join(_statuses(summary).values())
    parts = [
        counted(summary.traces, "trace") + _share(summary) + (f" ({statuses})" if statuses else ""),
        _mean_phrase(summary),
        f"tokens {_known(summary.tokens['total'], compact, summary)}",
        f"cost {_cost(summary)}",
        counted(problems, "problem"),
    ]
    parts += _mentioned(summary)
    written = [f"written to {line_of(summary.output)}"] if summary.output else []
    return ", ".join(parts + written)


def _mentioned(summary: Summary) -> list[str]:
    return [
        f"{line_of(row.pattern)}: {counted(row.calls, 'shell call')} in {row.traces:,} "
        f"of {counted(row.known, 'trace')}"
        for row in summary.mentions
    ]


def _share(summary: Summary) -> str:
    planned = None if summary.planned is None else f"{summary.planned:,} planned"
    if summary.selected is None or summary.selected >= (summary.found or 0):
        return f" of {planned}" if planned else ""
    return f" of {summary.selected:,} selected" + (f", {planned}" if planned else "")


def _mean_phrase(summary: Summary) -> str:
    jobs = summary.job_rewards
    if len(jobs) < 2:
        return f"mean reward {_mean(summary)}"
    if len(jobs) > _IN_LINE:
        return f"mean reward of {len(jobs):,} jobs: see `evaltrace show`"
    return "mean reward by job: " + ", ".join(f"{_job(row)} {_average(row.mean)}" for row in jobs)


def _statuses(summary: Summary) -> dict[str, str]:
    return {name: f"{number:,} {name}" for name, number in summary.statuses.items()}


def _summary_blocks(summary: Summary) -> Iterator[Block]:
    trials = {name: getattr(summary, name) for name in ("planned", "found", "selected", "absent")}
    if any(number is not None for number in trials.values()):
        yield "trials", [[f"{name} {grouped(number)}" for name, number in trials.items()]], 4
    yield "mean reward", _mean_paragraphs(summary), 4 * _JOBS
    parts = [
        f"{TOKEN_KINDS[name]} {compact(total.amount)} known in {total.traces:,}"
        for name, total in summary.tokens.items()
        if name in TOKEN_KINDS and total.traces
    ]
    yield "tokens", [[_known(summary.tokens["total"], compact, summary)], parts], 8
    yield "cost", [[_cost(summary)]], 4
    if summary.mentions:
        yield "mentions", [[row] for row in _mentioned(summary)], 12
    if summary.problems:
        kinds = [
            [f"{problem.code} {problem.count:,}", f"first in {problem.first_path}"]
            for problem in summary.problems
        ]
        number = sum(problem.count for problem in summary.problems)
        yield "problems", [[grouped(number)], *kinds], 24
    if summary.output:
        yield "output", [[summary.output]], 8


def _mean_paragraphs(summary: Summary) -> list[list[str]]:
    jobs = summary.job_rewards
    if len(jobs) < 2:
        return [[_mean(summary)]]
    rows = [
        f"{_job(row)} {_average(row.mean)} over {row.valid:,} valid of {row.traces:,}"
        for row in jobs
    ]
    return [*([row] for row in rows[:_JOBS]), rest_of(rows[_JOBS:], "job")]


def _mean(summary: Summary) -> str:
    mean = _average(summary.mean_reward)
    return f"{mean} over {summary.valid_rewards:,} valid of {summary.traces:,}"


def _average(mean: float | None) -> str:
    return UNKNOWN if mean is None else f"{mean:.2f}"


def _job(row: JobReward) -> str:
    return line_of(row.job or "") or "no job"


def _cost(summary: Summary) -> str:
    """Keep what agents reported apart from what was computed: `$4.10 reported in 2 of 3 traces`."""
    parts = [
        f"{dollars(total.amount)} {source} in {total.traces:,}"
        for source, total in summary.cost_usd.items()
    ]
    return f"{', '.join(parts)} of {counted(summary.traces, 'trace')}" if parts else UNKNOWN


def _known(total: Total, written: Callable[[float | None], str], summary: Summary) -> str:
    if total.amount is None:
        return UNKNOWN
    amount = written(total.amount)
    return f"{amount} known in {total.traces:,} of {counted(summary.traces, 'trace')}"

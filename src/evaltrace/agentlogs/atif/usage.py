"""What an ATIF trajectory says of tokens and money, as a whole and by model.

Source: Harbor format reference, sections 3.2 and 4.1.
"""

from __future__ import annotations

from evaltrace.agentlogs.atif.steps import (
    Frame,
    Spent,
    Tokens,
    counts_of,
    is_estimate,
    lacks_writes,
    spent_by_model,
    to_usage,
    total_tokens,
)
from evaltrace.agentlogs.transcript import Spending, Transcript, total_usage
from evaltrace.agentlogs.usage_shapes import to_model_usage
from evaltrace.source import Source
from evaltrace.trace import ModelUsage

_TOLERANCE = 1.01
PRICE_TABLE = "litellm estimate by the harness"

# The command-line programs of these agents report no cost; theirs is always an estimate.
_COSTLESS = ("codex", "gemini-cli")


def set_usage(
    transcript: Transcript, source: Source, spent: list[Spent], last: Frame, path: str
) -> None:
    """Set the usage from the totals of the last file, else from the sum over the steps."""
    totals, rule = total_tokens(last.final_metrics), "sum over the metrics of steps"
    if _repeats_usage(last):
        once = _once_a_message(spent)
        if len(once) < len(spent):
            _report_repetition(source, path, len(spent), len(once))
            spent, totals, rule = once, None, "usage of steps, each message once"
    elif totals and exceeds(spent, last):
        _report_excess(source, path, spent, totals)
        totals = None
    counted = [row.tokens for row in spent] + ([totals] if totals else [])
    writes_apart = any(map(lacks_writes, counted))
    everything = spent_by_model(spent, transcript.model, writes_apart)
    if totals:
        transcript.usage = to_usage(totals, writes_apart=writes_apart)
        transcript.sources["usage"] = f"{path}: final_metrics"
    elif everything:
        transcript.usage = total_usage(everything)
        transcript.sources["usage"] = f"{path}: {rule}"
    _report_doubt(source, path, counted, writes_apart)
    _split(transcript, spent, everything, writes_apart)


def _split(
    transcript: Transcript, spent: list[Spent], everything: dict[str, ModelUsage], apart: bool
) -> None:
    """Set the usage by model, if the parts add up to the usage as a whole."""
    main = spent_by_model([row for row in spent if row.main], transcript.model, apart)
    for by_model in (everything, main):
        if by_model and counts_of(total_usage(by_model)) == counts_of(transcript.usage):
            transcript.model_usage = {name: row for name, row in by_model.items() if name}
            return
    model = transcript.model
    if model and transcript.usage and everything.keys() <= {model}:
        transcript.model_usage = {model: to_model_usage(transcript.usage)}


def exceeds(spent: list[Spent], last: Frame) -> bool:
    """Tell whether the steps used clearly more than the totals say.

    Then the totals are those of a continuation by itself. Not where steps repeat usage.
    """
    totals = total_tokens(last.final_metrics)
    if totals is None or _repeats_usage(last):
        return False
    told = (totals.prompt, totals.output)
    pairs = zip(_summed(spent), told, strict=True)
    return any(count is not None and found > count * _TOLERANCE for found, count in pairs)


def _summed(spent: list[Spent]) -> tuple[int, int]:
    tokens = [row.tokens for row in spent]
    return sum(row.prompt or 0 for row in tokens), sum(row.output or 0 for row in tokens)


def _repeats_usage(root: Frame) -> bool:
    """Tell whether the converter may repeat usage: Claude Code's up to Harbor 0.1.45."""
    name = (root.agent.name if root.agent else None) or ""
    return "claude" in name and root.schema_version == "ATIF-v1.2"


def _once_a_message(spent: list[Spent]) -> list[Spent]:
    """Join the steps of one message: old converters repeat its usage for each content block.

    No two messages in a row have the same prompt, as long as a cache grows with each.
    """
    kept: list[Spent] = []
    for row in spent:
        before = kept[-1] if kept else None
        if before is None or not _is_repeated(before, row):
            kept.append(row)
        elif (row.tokens.output or 0) > (before.tokens.output or 0):
            kept[-1] = row
    return kept


def _is_repeated(before: Spent, row: Spent) -> bool:
    same = before.tokens._replace(output=None) == row.tokens._replace(output=None)
    cached = bool(row.tokens.cached or row.tokens.written)
    return same and cached and (before.model, before.main) == (row.model, row.main)


def _report_repetition(source: Source, path: str, steps: int, messages: int) -> None:
    message = f"{steps} steps repeat the usage of {messages} messages; each message counts once"
    hint = "Output tokens may be too low: early blocks of a message have a partial count."
    source.report("usage_repeated", path, message, hint)


def _report_excess(source: Source, path: str, spent: list[Spent], totals: Tokens) -> None:
    prompt, output = _summed(spent)
    message = (
        f"final_metrics has {totals.prompt or 0:,} prompt and {totals.output or 0:,} completion "
        f"tokens, the steps have {prompt:,} and {output:,}; the steps count"
    )
    hint = "The totals may be those of the last continuation only."
    source.report("usage_parts_differ", path, message, hint)


def _report_doubt(source: Source, path: str, counted: list[Tokens], writes_apart: bool) -> None:
    hint = "Prefer the agent's own log for token counts, if there is one."
    if writes_apart:
        message = "prompt tokens leave out cache writes; input is taken as prompt less cache reads"
        source.report("usage_inconsistent", path, message, hint)
    if any(row.prompt is not None and row.prompt < (row.cached or 0) for row in counted):
        message = "fewer prompt tokens than cached ones; input is taken as 0 there"
        source.report("usage_inconsistent", path, message, hint)


def set_cost(
    transcript: Transcript, spent: list[Spent], root: Frame, last: Frame, path: str
) -> None:
    """Set the cost; a cost of zero is what converters write where they know none."""
    final = last.final_metrics
    usd = final.total_cost_usd if final else None
    estimated = is_estimate(final.extra) if final else False
    rule = "final_metrics.total_cost_usd"
    of_steps = sum(row.cost or 0 for row in spent)
    if (of_steps and exceeds(spent, last)) or (not usd and total_tokens(final) is None):
        usd = of_steps
        estimated = any(row.estimated for row in spent)
        rule = "sum over the metrics of steps"
    if not usd:
        return
    if estimated or (root.agent and root.agent.name in _COSTLESS):
        transcript.spending = Spending(usd, "computed", PRICE_TABLE)
    else:
        transcript.spending = Spending(usd, "reported")
    transcript.sources["cost"] = f"{path}: {rule}"
    if len(transcript.model_usage) == 1:
        next(iter(transcript.model_usage.values())).cost_usd = usd

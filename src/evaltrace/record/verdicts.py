"""How a run ended: its outcome, the state of its pipeline, reward and final error, by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaltrace.record.lines import Line
from evaltrace.record.steps import BLOCKED, CANCELLED, FAILED, STARTED, SUCCESS
from evaltrace.trace import Event, Status, TraceError

OUTCOMES: dict[str, Status] = {
    "success": "pass",
    "failure": "fail",
    "partial": "partial",
    "cancelled": "cancelled",
}
"""The outcomes that a caller can name, and the status that each gives."""

_SPELLINGS = {
    "succeeded": "success", "completed": "success", "pass": "success", "failed": "failure",
    "fail": "failure", "error": "failure", "canceled": "cancelled",
}  # fmt: skip
_BY_PIPELINE = {"success": "success", "partial": "partial", "failed": "failure"}
_BY_OUTCOME = {"success": "success", "partial": "partial", "failure": "failed"}


@dataclass(frozen=True)
class Verdict:
    """The outcome, and what follows from it; `odd` says what was wrong with the outcome given."""

    outcome: str
    pipeline: str
    status: Status
    reward: float | None
    reward_from: str | None
    error: TraceError | None
    odd: str | None = None


def judge(
    steps: Sequence[Event], end: Line, rewards: dict[str, float], last_error: str | None
) -> Verdict:
    """Judge a run that was ended; `last_error` is what an event said last of a failure."""
    pipeline = pipeline_status(steps, failed=end.error is not None)
    outcome, odd = _BY_PIPELINE[pipeline], None
    if end.outcome is not None:
        word = end.outcome.strip().lower()
        word = _SPELLINGS.get(word, word)
        if word in OUTCOMES:
            outcome = word
            pipeline = _pipeline_of(word, steps, pipeline)
        else:
            odd = end.outcome
    status = OUTCOMES[outcome]
    reward, source = _reward(outcome, steps, rewards, failed=end.error is not None)
    error = _final_error(outcome, steps, end, last_error)
    return Verdict(outcome, pipeline, status, reward, source, error, odd)


def pipeline_status(steps: Sequence[Event], *, failed: bool) -> str:
    """Judge by the steps at the top level: success, partial (some before a failure), failed.

    `failed` says that the run failed by itself.
    """
    broken = next((n for n, step in enumerate(steps) if step.status != SUCCESS), None)
    if broken is None and not failed:
        return "success"
    before = len(steps) if broken is None else broken
    return "partial" if before else "failed"


def _pipeline_of(outcome: str, steps: Sequence[Event], by_steps: str) -> str:
    if outcome in ("failure", "cancelled"):
        # What was done before it stopped stays done.
        return "partial" if any(step.status == SUCCESS for step in steps) else "failed"
    return _BY_OUTCOME.get(outcome, by_steps)


def _reward(
    outcome: str, steps: Sequence[Event], rewards: dict[str, float], *, failed: bool
) -> tuple[float | None, str | None]:
    if rewards:
        name = "outcome" if "outcome" in rewards else next(iter(rewards))
        return rewards[name], f"the reward {name} that the recorded program gave"
    if outcome == "success":
        return 1.0, "1 for the outcome success"
    if outcome == "failure":
        return 0.0, "0 for the outcome failure"
    if outcome == "partial":
        return _share(steps, failed)
    return None, None


def _share(steps: Sequence[Event], failed: bool) -> tuple[float, str]:
    """Give a partial run a reward between 0 and 1: without one it would count as missing.

    A run that failed outside of its steps has failed in one step more.
    """
    succeeded = sum(step.status == SUCCESS for step in steps)
    outside = failed and succeeded == len(steps)
    if 0 < succeeded < len(steps) + outside:
        return round(succeeded / (len(steps) + outside), 6), "share of the steps that succeeded"
    return 0.5, "0.5 for the outcome partial"


def _final_error(
    outcome: str, steps: Sequence[Event], end: Line, last_error: str | None
) -> TraceError | None:
    if outcome == "success":
        return None
    cancelled = outcome == "cancelled"
    kind, message = _reason(steps, end, last_error)
    if kind is None and not cancelled:
        return None
    return TraceError(
        type=kind or CANCELLED,
        message=message,
        cause="cancelled" if cancelled else "agent_failed",
        # A failure that the program reports is its result.
        reward_valid=not cancelled,
    )


def _reason(
    steps: Sequence[Event], end: Line, last_error: str | None
) -> tuple[str | None, str | None]:
    """Find what stopped the run: its own error, the last failed step, the last error event.

    Without any of these, a step that was still open.
    """
    if end.error is not None:
        return end.error_type or "failed", end.error
    # What was cancelled may be so because of what failed.
    for states in ((FAILED, BLOCKED), (CANCELLED,)):
        for step in reversed(steps):
            if step.status in states:
                return "failed" if step.status == FAILED else step.status, step.error
    if last_error is not None:
        return "failed", last_error
    unfinished = next((step.name for step in steps if step.status == STARTED), None)
    if unfinished is not None:
        return "unfinished", f"the step {unfinished} had not ended"
    return None, None

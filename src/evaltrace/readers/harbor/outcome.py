"""How a trial ended: its error, whether its reward counts, its status.

Source: Harbor format reference, sections 1.6 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaltrace.agentlogs.transcript import Breakdown
from evaltrace.failures import cause_of_breakdown, cause_of_exception, reward_counts
from evaltrace.measures import status_of
from evaltrace.readers.harbor.records import ExceptionInfo, StepResult, TrialResult
from evaltrace.trace import Cause, Evidence, Status, TraceError
from evaltrace.untrusted import clean, shorten

_MESSAGE_LIMIT = 16_384
_VAGUE: frozenset[Cause] = frozenset({"unclassified", "agent_failed"})
_PHASE_BY_CAUSE: dict[Cause, str] = {
    "verifier_failed": "verifier",
    "model_provider_failed": "agent_execution",
    "agent_failed": "agent_execution",
    "agent_exhausted_budget": "agent_execution",
    "agent_refused_task": "agent_execution",
}


@dataclass(slots=True)
class _Failure:
    type: str
    message: str | None
    cause: Cause
    evidence: list[Evidence]


def find_error(
    result: TrialResult | None,
    steps: list[StepResult],
    breakdowns: list[Breakdown],
    *,
    reward: float | None,
    has_traceback: bool,
) -> TraceError | None:
    """Join what the harness caught and what the agent's log shows into one error.

    The reward stays valid only where every recorded failure leaves it so.
    """
    caught = [] if result is None else [_of_exception(result.exception_info, "result.json")]
    for number, step in enumerate(steps, 1):
        where = f"result.json: step_results[{number - 1}]"
        caught.append(_of_exception(step.exception_info, where))
    failures = [failure for failure in caught if failure]
    if has_traceback and failures:
        failures[0].evidence.append(Evidence(path="exception.txt"))
    logged = [_of_breakdown(breakdown) for breakdown in breakdowns]
    failures = _merged(failures, logged)
    if not failures:
        return None
    first = failures[0]
    return TraceError(
        type=first.type,
        message=first.message,
        cause=first.cause,
        phase=_PHASE_BY_CAUSE.get(first.cause) or _last_phase(result),
        reward_valid=reward is not None and all(reward_counts(row.cause) for row in failures),
        evidence=[evidence for failure in failures for evidence in failure.evidence],
    )


def _merged(caught: list[_Failure], logged: list[_Failure]) -> list[_Failure]:
    """Let the log's evidence name the cause where the exception is too vague to."""
    if not caught or not logged:
        return caught or logged
    first = caught[0]
    if first.cause in _VAGUE:
        first.cause = logged[0].cause
    if first.cause == logged[0].cause:
        first.evidence += logged[0].evidence
    return caught


def _of_exception(info: ExceptionInfo | None, where: str) -> _Failure | None:
    if info is None or not info.exception_type:
        return None
    return _Failure(
        type=clean(info.exception_type),
        message=_short(info.exception_message),
        cause=cause_of_exception(info.exception_type),
        evidence=[Evidence(path=where)],
    )


def _of_breakdown(breakdown: Breakdown) -> _Failure:
    kind, cause = cause_of_breakdown(breakdown.kind, breakdown.http_status, breakdown.message)
    place = Evidence(path=breakdown.path, line=breakdown.line, text=_short(breakdown.message))
    return _Failure(clean(kind), _short(breakdown.message), cause, [place])


def _short(text: str | None) -> str | None:
    return shorten(clean(text), _MESSAGE_LIMIT) if text else None


def _last_phase(result: TrialResult | None) -> str | None:
    if result is None:
        return None
    names = ("environment_setup", "agent_setup", "agent_execution", "verifier")
    reached = [name for name in names if getattr(result, name) is not None]
    return reached[-1] if reached else None


def unfinished(job_finished: bool | None, *, unreadable: bool) -> TraceError | None:
    """Explain a trial that has no usable result although its job came to its end."""
    if not job_finished:
        return None
    what = "result.json cannot be read" if unreadable else "no result.json, but the job finished"
    return TraceError(
        type="ResultUnreadable" if unreadable else "TrialNeverFinished",
        message=what,
        cause="harness_failed",
        evidence=[Evidence(path="result.json" if unreadable else "config.json")],
    )


def find_status(
    result: TrialResult | None,
    reward: float | None,
    error: TraceError | None,
    threshold: float,
) -> Status:
    """Derive the status; a trial without a result is running unless an error explains it."""
    if error is not None and error.cause == "cancelled":
        return "cancelled"
    if result is None:
        return "error" if error else "running"
    if result.finished_at is None and result.exception_info is None and reward is None:
        return "running"
    valid = error is None or error.reward_valid
    return status_of(reward, valid=valid, threshold=threshold)

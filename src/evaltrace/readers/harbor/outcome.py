"""How a trial ended: its error, whether its reward counts, its status.

Source: Harbor format reference, sections 1.6 and 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaltrace.agentlogs.transcript import Breakdown
from evaltrace.failures import (
    CAUSE_IN_PHASE,
    PHASE_BY_CAUSE,
    SITUATIONS,
    cause_of_breakdown,
    cause_of_exception,
    cause_of_sandbox_words,
    reward_counts,
)
from evaltrace.measures import status_of
from evaltrace.readers.harbor.phases import PHASES
from evaltrace.readers.harbor.reconciliation import has_spent
from evaltrace.readers.harbor.records import (
    ExceptionInfo,
    StepResult,
    TrialResult,
    dig,
    number,
)
from evaltrace.readers.harbor.runs import WITHOUT_MODEL, Run
from evaltrace.source import Source
from evaltrace.trace import Cause, Evidence, Status, TraceError
from evaltrace.untrusted import clean, excerpt, shorten

_MESSAGE_LIMIT = 16_384
_VAGUE: frozenset[Cause] = frozenset({"unclassified", "agent_failed"})
_OF_SETUP = re.compile(r"(^|/)(setup/|install\.sh$|command\.txt$|sessions/\.|config\.|\.mcp)")
_LITTLE = 8192
"""Bytes of output of an agent that did nothing."""
_EXIT_CODE = "NonZeroAgentExitCodeError"


@dataclass(frozen=True, slots=True)
class Place:
    """A trial or one of its steps: what the harness says of it, and what the agent's log."""

    result: TrialResult | StepResult | None
    breakdown: Breakdown | None = None
    name: str = "result.json"


@dataclass(slots=True)
class _Failure:
    type: str
    message: str | None
    cause: Cause
    phase: str | None
    evidence: list[Evidence]


def find_error(
    places: Sequence[Place], *, reward: float | None, has_traceback: bool
) -> TraceError | None:
    """Join what the harness caught and what the agent's logs show into one error.

    The reward stays valid only where every failure leaves it so; the error names one that
    does not, where there is one.
    """
    failures = [failure for place in places for failure in _failures(place)]
    if not failures:
        return None
    if has_traceback:
        failures[0].evidence.append(Evidence(path="exception.txt"))
    decisive = min(failures, key=_rank)
    return TraceError(
        type=decisive.type,
        message=decisive.message,
        cause=decisive.cause,
        phase=decisive.phase,
        reward_valid=reward is not None and all(reward_counts(row.cause) for row in failures),
        evidence=[evidence for failure in failures for evidence in failure.evidence],
    )


def _rank(failure: _Failure) -> int:
    return 0 if failure.cause == "cancelled" else 2 if reward_counts(failure.cause) else 1


def _failures(place: Place) -> list[_Failure]:
    """Give what went wrong at one place; the log names a cause the exception is too vague for."""
    caught, logged = _of_exception(place), _of_breakdown(place)
    if caught is None or logged is None:
        return [failure for failure in (caught, logged) if failure]
    if caught.cause in _VAGUE:
        caught.cause, caught.phase = logged.cause, logged.phase
    if caught.cause == logged.cause:
        caught.evidence += logged.evidence
    return [caught]


def _of_exception(place: Place) -> _Failure | None:
    info: ExceptionInfo | None = place.result.exception_info if place.result else None
    if info is None or not info.exception_type:
        return None
    cause = cause_of_exception(info.exception_type)
    reached = _last_phase(place.result)
    if info.exception_type.rpartition(".")[2] == _EXIT_CODE:
        # What an agent leaves at its exit is verified all the same.
        reached = "agent_execution" if reached == "verifier" else reached
    if cause == "unclassified":
        named = cause_of_sandbox_words(info.exception_message or "")
        cause = named or _cause_of_phase(place.result, reached)
    return _Failure(
        type=clean(info.exception_type),
        message=_short(info.exception_message),
        cause=cause,
        phase=PHASE_BY_CAUSE.get(cause) or reached,
        evidence=[Evidence(path=place.name)],
    )


def _cause_of_phase(result: TrialResult | StepResult | None, reached: str | None) -> Cause:
    """Blame what was under way, for an exception of a type that says nothing."""
    judged = result is None or result.verifier_result is not None
    if (reached == "verifier" and judged) or (reached != "verifier" and _has_steps(result)):
        return "unclassified"
    causes = {phase: cause for phase, cause, _ in CAUSE_IN_PHASE}
    return causes.get(reached or "", "unclassified")


def _has_steps(result: TrialResult | StepResult | None) -> bool:
    return isinstance(result, TrialResult) and bool(result.step_results)


def _last_phase(result: TrialResult | StepResult | None) -> str | None:
    reached = [name for name in PHASES if getattr(result, name, None) is not None]
    return reached[-1] if reached else None


def _of_breakdown(place: Place) -> _Failure | None:
    seen = place.breakdown
    if seen is None:
        return None
    kind, cause = cause_of_breakdown(seen.kind, seen.http_status, seen.message)
    return _Failure(
        type=clean(kind),
        message=_short(seen.message),
        cause=cause,
        phase=PHASE_BY_CAUSE.get(cause, "agent_execution"),
        evidence=[Evidence(path=seen.path, line=seen.line, text=_short(seen.message))],
    )


def _short(text: str | None) -> str | None:
    return shorten(clean(text), _MESSAGE_LIMIT) if text else None


def never_ran(source: Source, runs: Sequence[Run], agent: str | None) -> TraceError | None:
    """Explain a trial whose agent called no model and no tool: its reward measures nothing.

    It takes counts that say so; where the log or the counts are lost, nothing is known.
    """
    if agent in WITHOUT_MODEL or not runs or not all(_is_idle(source, run) for run in runs):
        return None
    cause, message = SITUATIONS["AgentNeverRan"]
    places = [run.sources["usage"].partition(":")[0] for run in runs if "usage" in run.sources]
    return TraceError(
        type="AgentNeverRan",
        message=message,
        cause=cause,
        phase="agent_execution",
        evidence=[Evidence(path=clean(place)) for place in dict.fromkeys(places)],
    )


def _is_idle(source: Source, run: Run) -> bool:
    counted = (run.usage.input_tokens, run.usage.output_tokens) if run.usage else (None,)
    if None in counted or has_spent(run.usage) or run.cost.usd or number(run.numbers, "cost_usd"):
        return False
    log = run.transcript
    if log is not None:
        return not (log.calls or log.turns or log.doubt)
    # Whoever worked has printed more, if only for people.
    printed = (path for path in source.walk(run.folder) if not _OF_SETUP.search(path))
    return sum(source.size(path) for path in printed) <= _LITTLE


def unfinished(job_finished: bool | None, *, unreadable: bool) -> TraceError | None:
    """Explain a trial that has no usable result although its job came to its end."""
    if not job_finished:
        return None
    kind = "ResultUnreadable" if unreadable else "TrialNeverFinished"
    cause, message = SITUATIONS[kind]
    return TraceError(
        type=kind,
        message=message,
        cause=cause,
        evidence=[Evidence(path="result.json" if unreadable else "config.json")],
    )


def unrewarded(
    result: TrialResult, config: dict[str, Any], rewards: dict[str, float] | None
) -> TraceError | None:
    """Explain a trial that ended without an exception, and without a reward to go by."""
    if is_running(result, None):
        return None
    kind = _why_unrewarded(config, rewards)
    cause, message = SITUATIONS[kind]
    keys = excerpt(", ".join(sorted(rewards)), 500) if rewards else ""
    return TraceError(
        type=kind,
        message=f"{message}: {keys}" if keys else message,
        cause=cause,
        phase="verifier" if cause == "verifier_failed" else _last_phase(result),
        evidence=[Evidence(path="result.json")],
    )


def _why_unrewarded(config: dict[str, Any], rewards: dict[str, float] | None) -> str:
    if rewards:
        return "RewardKeyMissing"
    if dig(config, "verifier", "disable") is True:
        return "VerifierDisabled"
    return "InstallOnly" if dig(config, "install_only") is True else "RewardMissing"


def is_running(result: TrialResult | None, error: TraceError | None) -> bool:
    """Tell whether a trial has not ended, as far as its files tell."""
    if result is None:
        return error is None
    ended = (result.finished_at, result.exception_info, result.verifier_result)
    return all(part is None for part in ended)


def find_status(
    result: TrialResult | None,
    reward: float | None,
    error: TraceError | None,
    threshold: float,
) -> Status:
    """Derive the status; a trial without a result is running unless an error explains it."""
    if error is not None and error.cause == "cancelled":
        return "cancelled"
    if is_running(result, error):
        return "running"
    if result is None:
        return "error"
    valid = error is None or error.reward_valid
    return status_of(reward, valid=valid, threshold=threshold)

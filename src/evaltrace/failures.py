"""Why a trial failed, and whether its reward may be counted all the same.

The table follows Harbor's error policy (its `error_policy.py`, 0.25.0) and covers the
exception types of all its versions; evidence from agent logs overrides a vague type.
"""

from __future__ import annotations

import re

from evaltrace.trace import Cause

_NAMES: dict[Cause, str] = {
    "sandbox_failed": """
        EnvironmentStartTimeoutError EnvironmentBuildTimeoutError SandboxBuildFailedError
        AgentSetupTimeoutError HealthcheckError SandboxLikelyOutOfMemoryError
        MemoryLimitExceededError SSHAccessError GKEExecStreamClosedError GKEPodNotFoundError
        RuntimeRequestError AddTestsDirError DownloadVerifierDirError""",
    "model_provider_failed": """
        ApiError ApiRateLimitError ApiInternalServerError ApiOverloadedError
        ApiConnectionClosedError ApiResponseStalledError UnknownApiError NetworkConnectionError
        ApiConnectionError ApiUsageLimitError RateLimitError InternalServerError
        ServiceUnavailableError APIConnectionError APIError Timeout BadRequestError
        UnprocessableEntityError UnsupportedParamsError APIResponseValidationError
        BudgetExceededError AgentAuthenticationError ModelNotFoundError
        ApiProviderResourceNotFoundError AuthenticationError PermissionDeniedError
        NotFoundError""",
    "harness_failed": """
        ServiceOperationsUnsupportedError VercelScopeError DspyImportError MissingExtraError
        RegradeError""",
    "agent_exhausted_budget": """
        AgentTimeoutError ContextWindowExceededError OutputTokenExceededError
        ContextLengthExceededError OutputLengthExceededError""",
    "agent_refused_task": "AgentSafetyRefusalError ContentPolicyViolationError",
    "verifier_failed": """
        VerifierTimeoutError RewardFileNotFoundError RewardFileEmptyError
        VerifierOutputParseError TestCommandError""",
    "cancelled": "CancelledError KeyboardInterrupt",
}

CAUSES: dict[str, Cause] = {
    name: cause for cause, names in _NAMES.items() for name in names.split()
}
"""Cause by exception type; a type that is not here is `unclassified`."""

_REWARD_VALID: frozenset[Cause] = frozenset({"agent_exhausted_budget", "agent_refused_task"})

_BUDGET_KINDS = {"error_max_turns", "error_max_budget_usd", "max_output_tokens", "context_window"}

_WORDING_TABLE: tuple[tuple[str, str, Cause], ...] = (
    (r"overloaded", "overloaded", "model_provider_failed"),
    (r"rate.?limit|too many requests|\b429\b", "rate_limit", "model_provider_failed"),
    (
        r"credit balance|insufficient_quota|quota exceeded|usage limit|billing",
        "out_of_credit",
        "model_provider_failed",
    ),
    (
        r"invalid api key|authentication|unauthori[sz]ed|oauth|/login|\b40[13]\b",
        "authentication",
        "model_provider_failed",
    ),
    (r"model.{0,40}not.?found|unknown model", "model_not_found", "model_provider_failed"),
    (
        r"context (window|length)|prompt is too long|maximum context",
        "context_window",
        "agent_exhausted_budget",
    ),
    (
        r"connection (error|refused|reset|closed)|stream disconnected|timed? ?out|network",
        "connection",
        "model_provider_failed",
    ),
    (r"internal server error|\b5\d\d\b", "server_error", "model_provider_failed"),
)
_WORDINGS = [
    (re.compile(pattern, re.IGNORECASE), name, cause) for pattern, name, cause in _WORDING_TABLE
]


def cause_of_exception(exception_type: str) -> Cause:
    """Give the cause of an exception by its type's name, the module left out."""
    return CAUSES.get(exception_type.rpartition(".")[2], "unclassified")


def cause_of_breakdown(kind: str, status: int | None, message: str | None) -> tuple[str, Cause]:
    """Give a type and a cause for a failure found in an agent's log.

    `kind` is the log's own word for it, `status` the provider's HTTP status if known.
    """
    if kind in _BUDGET_KINDS:
        return kind, "agent_exhausted_budget"
    if kind == "model_refusal":
        return kind, "agent_refused_task"
    for pattern, name, cause in _WORDINGS:
        if pattern.search(f"{kind} {status or ''} {message or ''}"):
            return name, cause
    if status is not None and status >= 400:
        return f"http_{status}", "model_provider_failed"
    return kind or "agent_error", "agent_failed"


def reward_counts(cause: Cause) -> bool:
    """Tell whether a reward stays valid beside a failure of this cause.

    Only a budget that ran out and a refusal are the agent's own doing; everything else is
    missing data (DESIGN: what counts).
    """
    return cause in _REWARD_VALID

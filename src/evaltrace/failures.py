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

_BY_KIND: dict[str, Cause] = {
    "error_max_turns": "agent_exhausted_budget",
    "error_max_budget_usd": "agent_exhausted_budget",
    "error_max_structured_output_retries": "agent_exhausted_budget",
    "max_output_tokens": "agent_exhausted_budget",
    "context_window": "agent_exhausted_budget",
    "model_refusal": "agent_refused_task",
}

# Phrases of providers and clients, tight enough to pass over an agent that speaks of rate
# limiters, 500 lines or a data model. The first that is found counts.
_WORDING_TABLE: tuple[tuple[str, Cause, str], ...] = (
    (
        "out_of_memory",
        "sandbox_failed",
        r"out of memory|\boom.?kill|cannot allocate memory|\benomem\b|\bexit (code|status) 137\b",
    ),
    ("out_of_disk", "sandbox_failed", r"no space left on device|\benospc\b|disk quota exceeded"),
    (
        "refusal",
        "agent_refused_task",
        r"(usage|content|cyber)[ _]polic(y|ies)\b|unable to respond to this request",
    ),
    (
        "max_output_tokens",
        "agent_exhausted_budget",
        r"output token (maximum|limit)|max output tokens",
    ),
    (
        "context_window",
        "agent_exhausted_budget",
        r"context[ _](window|length|limit)|maximum context|(prompt|input) is too long|"
        r"input length and .?max_tokens.? exceed|request_too_large",
    ),
    (
        "out_of_credit",
        "model_provider_failed",
        r"credit balance|insufficient[ _]quota|exceeded your current quota|quota exceeded|"
        r"billing[ _](error|hard limit|details)|payment required|spending limit|"
        r"(usage|weekly|daily|monthly|session|hour) limit|hit your limit",
    ),
    (
        "overloaded",
        "model_provider_failed",
        r"\boverloaded(_error)?\b(?! (function|method|operator|constructor))|at capacity",
    ),
    (
        "rate_limit",
        "model_provider_failed",
        r"\brate[ _-]?limit(s|ed|_error| exceeded| reached)?\b|too many requests",
    ),
    (
        "authentication",
        "model_provider_failed",
        r"(invalid|incorrect|missing) (x-)?api[ -]?key|authentication[ _](error|failed)|"
        r"failed to authenticate|\bunauthori[sz]ed\b|oauth (token|auth|org)|run /login|"
        r"not logged in|permission_error",
    ),
    (
        "model_not_found",
        "model_provider_failed",
        r"\bmodel not found\b|unknown model|issue with the selected model|not_found_error|"
        r"\bmodel(:| ?[`'\"]) ?[^\s`'\"]+[`'\"]? (is |was )?(not found|does not exist)",
    ),
    (
        "connection",
        "model_provider_failed",
        r"connection (error|failed|refused|reset|closed|aborted|timed out)|"
        r"\b(econn(refused|reset|aborted)|etimedout|enotfound|eai_again)\b|getaddrinfo|"
        r"socket hang up|stream (closed|disconnected)|fetch failed|request timed? ?out|"
        r"(unable|failed) to connect|could not resolve host|"
        r"network (error|failure|connection|is unreachable)",
    ),
    (
        "server_error",
        "model_provider_failed",
        r"\b(internal )?server error\b|bad gateway|service (temporarily )?unavailable|"
        r"gateway time-?out",
    ),
)
_WORDINGS = [
    (re.compile(pattern, re.IGNORECASE), name, cause) for name, cause, pattern in _WORDING_TABLE
]
_CAUSE_BY_NAME = {name: cause for name, cause, _ in _WORDING_TABLE}
_BY_STATUS = {
    401: "authentication",
    402: "out_of_credit",
    403: "authentication",
    404: "model_not_found",
    408: "connection",
    413: "context_window",
    429: "rate_limit",
    529: "overloaded",
}
_STATUS = re.compile(
    r"\b(?:api error[^\n]{0,40}?|(?:http(?:/[\d.]+)?|status(?: code)?|error code)[^\w\n]{0,4})"
    r"\b([45]\d\d)\b",
    re.IGNORECASE,
)
_WORD_BREAK = re.compile(r"_|(?<=[a-z])(?=[A-Z])")


def cause_of_exception(exception_type: str) -> Cause:
    """Give the cause of an exception by its type's name, the module left out."""
    return CAUSES.get(exception_type.rpartition(".")[2], "unclassified")


def cause_of_breakdown(kind: str, status: int | None, message: str | None) -> tuple[str, Cause]:
    """Give a type and a cause for a failure found in an agent's log.

    `kind` is the log's own word for it and counts most, then what `message` says, then
    `status`, the provider's HTTP status (found in the message if it is not known).
    """
    if kind in _BY_KIND:
        return kind, _BY_KIND[kind]
    text = message or ""
    found = cause_of_wording(_WORD_BREAK.sub(" ", kind)) or cause_of_wording(text)
    return found or _of_status(status or _status_in(text)) or _of_text(kind, text)


def cause_of_wording(text: str) -> tuple[str, Cause] | None:
    """Give the type and the cause of a failure that a text names; None when it names none."""
    for pattern, name, cause in _WORDINGS:
        if pattern.search(text):
            return name, cause
    return None


def _status_in(text: str) -> int | None:
    match = _STATUS.search(text)
    return int(match.group(1)) if match else None


def _of_status(status: int | None) -> tuple[str, Cause] | None:
    if status is None or status < 400:
        return None
    name = _BY_STATUS.get(status) or ("server_error" if 500 <= status < 600 else None)
    return (name, _CAUSE_BY_NAME[name]) if name else (f"http_{status}", "model_provider_failed")


def _of_text(kind: str, text: str) -> tuple[str, Cause]:
    if text.startswith("API Error"):
        return "api_error", "model_provider_failed"
    return kind or "agent_error", "agent_failed"


def reward_counts(cause: Cause) -> bool:
    """Tell whether a reward stays valid beside a failure of this cause.

    Only a budget that ran out and a refusal are the agent's own doing; everything else is
    missing data (DESIGN: what counts).
    """
    return cause in _REWARD_VALID

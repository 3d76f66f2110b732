from __future__ import annotations

import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.failures import (
    CAUSES,
    cause_of_breakdown,
    cause_of_exception,
    cause_of_wording,
    reward_counts,
)
from evaltrace.trace import Cause

PROVIDER = "model_provider_failed"
BUDGET = "agent_exhausted_budget"

# Harbor's policy (error_policy.py of 0.25.0), and the exception types of older versions.
POLICY = {
    "sandbox_failed": """
        EnvironmentStartTimeoutError SandboxBuildFailedError AgentSetupTimeoutError
        HealthcheckError SandboxLikelyOutOfMemoryError MemoryLimitExceededError SSHAccessError
        GKEExecStreamClosedError GKEPodNotFoundError RuntimeRequestError AddTestsDirError
        DownloadVerifierDirError EnvironmentBuildTimeoutError""",
    "model_provider_failed": """
        ApiError ApiRateLimitError ApiInternalServerError ApiOverloadedError
        ApiConnectionClosedError ApiResponseStalledError UnknownApiError NetworkConnectionError
        ApiConnectionError ApiUsageLimitError RateLimitError InternalServerError
        ServiceUnavailableError APIConnectionError APIError Timeout BadRequestError
        UnprocessableEntityError UnsupportedParamsError APIResponseValidationError
        BudgetExceededError AgentAuthenticationError ModelNotFoundError
        ApiProviderResourceNotFoundError AuthenticationError PermissionDeniedError NotFoundError""",
    "harness_failed": """
        ServiceOperationsUnsupportedError VercelScopeError DspyImportError MissingExtraError
        RegradeError""",
    "unclassified": """
        NonZeroAgentExitCodeError UnsupportedModelParametersError RuntimeError DaytonaError
        ValueError Exception SomethingNew""",
    "agent_exhausted_budget": """
        AgentTimeoutError ContextWindowExceededError OutputTokenExceededError
        ContextLengthExceededError OutputLengthExceededError""",
    "agent_refused_task": "AgentSafetyRefusalError ContentPolicyViolationError",
    "verifier_failed": """
        VerifierTimeoutError RewardFileNotFoundError RewardFileEmptyError
        VerifierOutputParseError TestCommandError""",
    "cancelled": "CancelledError KeyboardInterrupt",
}
ROWS = [(name, cause) for cause, names in POLICY.items() for name in names.split()]


@pytest.mark.parametrize(("name", "cause"), ROWS)
def test_exception_types_map_to_causes(name: str, cause: Cause) -> None:
    assert cause_of_exception(name) == cause
    assert cause_of_exception(f"some.module.{name}") == cause


def test_no_exception_type_is_left_untested() -> None:
    assert set(CAUSES) == {name for name, cause in ROWS if cause != "unclassified"}


@pytest.mark.parametrize("name", ["", ".", "AgentTimeoutError.", "agenttimeouterror", "Überfehler"])
def test_any_other_name_is_unclassified(name: str) -> None:
    assert cause_of_exception(name) == "unclassified"


def test_only_a_budget_or_a_refusal_leaves_the_reward_valid() -> None:
    valid = {cause for cause in typing.get_args(Cause) if reward_counts(cause)}
    assert valid == {"agent_exhausted_budget", "agent_refused_task"}


def api_error(status: int, kind: str, message: str) -> str:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return f"API Error: {status} {json.dumps(body)}"


# What programs write, word for word where it is known.
MESSAGES = [
    (api_error(529, "overloaded_error", "Overloaded"), "overloaded", PROVIDER),
    ("API Error: Repeated 529 Overloaded errors", "overloaded", PROVIDER),
    ("Selected model is at capacity. Please try a different model.", "overloaded", PROVIDER),
    (api_error(429, "rate_limit_error", "This request would exceed"), "rate_limit", PROVIDER),
    ("Rate limit reached for gpt-5.2 in organization org-1", "rate_limit", PROVIDER),
    ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limit", PROVIDER),
    ("API Error: Request rejected (429)", "rate_limit", PROVIDER),
    (api_error(401, "authentication_error", "OAuth token expired."), "authentication", PROVIDER),
    ("Invalid API key · Please run /login", "authentication", PROVIDER),
    ("Failed to authenticate. API Error: 403", "authentication", PROVIDER),
    ("unexpected status 401 Unauthorized: Missing bearer", "authentication", PROVIDER),
    ("Not logged in · Please run /login", "authentication", PROVIDER),
    ("Credit balance is too low", "out_of_credit", PROVIDER),
    (api_error(400, "invalid_request_error", "Your credit balance is too low to access"),
     "out_of_credit", PROVIDER),
    ("Claude AI usage limit reached|1760000000", "out_of_credit", PROVIDER),
    ("5-hour limit reached ∙ resets 3pm", "out_of_credit", PROVIDER),
    ("You've hit your limit · resets 3pm (UTC)", "out_of_credit", PROVIDER),
    ("You've hit your usage limit. Upgrade to Pro", "out_of_credit", PROVIDER),
    ("Quota exceeded. Check your plan and billing details.", "out_of_credit", PROVIDER),
    ("You exceeded your current quota, please check your plan", "out_of_credit", PROVIDER),
    (api_error(404, "not_found_error", "model: claude-9"), "model_not_found", PROVIDER),
    ("There's an issue with the selected model (claude-9). It may not exist", "model_not_found",
     PROVIDER),
    ("The model `gpt-9` does not exist or you do not have access to it.", "model_not_found",
     PROVIDER),
    ("Prompt is too long", "context_window", BUDGET),
    ("Codex ran out of room in the model's context window. Start a new thread", "context_window",
     BUDGET),
    ("This model's maximum context length is 128000 tokens", "context_window", BUDGET),
    (api_error(400, "invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum"),
     "context_window", BUDGET),
    (api_error(400, "invalid_request_error", "input length and `max_tokens` exceed context limit"),
     "context_window", BUDGET),
    (api_error(413, "request_too_large", "Request exceeds the maximum size"), "context_window",
     BUDGET),
    ("API Error: Claude's response exceeded the 32000 output token maximum.", "max_output_tokens",
     BUDGET),
    ("API Error: Connection error.", "connection", PROVIDER),
    ("connect ECONNREFUSED 127.0.0.1:443", "connection", PROVIDER),
    ("API Error: Unable to connect to API (ConnectionRefused)", "connection", PROVIDER),
    ("Request timed out.", "connection", PROVIDER),
    ("stream disconnected before completion: error sending request", "connection", PROVIDER),
    ("getaddrinfo EAI_AGAIN api.anthropic.com", "connection", PROVIDER),
    ("TypeError: fetch failed", "connection", PROVIDER),
    (api_error(500, "api_error", "Internal server error"), "server_error", PROVIDER),
    ("unexpected status 502 Bad Gateway", "server_error", PROVIDER),
    ("API Error: 503 no healthy upstream", "server_error", PROVIDER),
    ("API Error: 418 I'm a teapot", "http_418", PROVIDER),
    ("API Error: something nobody has seen", "api_error", PROVIDER),
    ("API Error: Claude Code is unable to respond to this request, which appears to violate our "
     "Usage Policy", "refusal", "agent_refused_task"),
    ("Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
     "refusal", "agent_refused_task"),
    ("FATAL ERROR: Reached heap limit - JavaScript heap out of memory", "out_of_memory",
     "sandbox_failed"),
    ("fork: Cannot allocate memory", "out_of_memory", "sandbox_failed"),
    ("process exited with exit code 137", "out_of_memory", "sandbox_failed"),
    ("ENOSPC: no space left on device, write", "out_of_disk", "sandbox_failed"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "kind", "cause"), MESSAGES)
def test_wordings_map_to_causes(message: str, kind: str, cause: Cause) -> None:
    assert cause_of_breakdown("error", None, message) == (kind, cause)


@pytest.mark.parametrize(
    "message",
    [
        "Wrote 500 lines to report.txt",
        "The file has 529 rows and 403 columns, 429 of them empty",
        "Updated the 401k calculator",
        "Implemented a rate limiter with a token bucket",
        "Added rate limiting to the gateway",
        "The overloaded method resolves to the base class",
        "operator new is overloaded operator",
        "Edited billing.py and its tests",
        "Moved the OAuthClient to oauth.py",
        "Trained a neural network",
        "The data model file not found in models/",
        "Renamed model to record: not found anywhere else",
        "Command timed out after 120 s",
        "Wrote an authentication module",
        "Opened a connection to the database",
        "port 5000 is in use",
        "error in line 503 of main.c",
        "the code 404 is handled",
        "maximum number of retries",
    ],
)
def test_an_agent_that_speaks_of_such_things_has_not_failed_from_them(message: str) -> None:
    assert cause_of_wording(message) is None
    assert cause_of_breakdown("error_during_execution", None, message) == (
        "error_during_execution",
        "agent_failed",
    )


@pytest.mark.parametrize(
    ("kind", "name", "cause"),
    [
        # Claude Code: `error` of assistant lines, `subtype` of results
        ("authentication_failed", "authentication", PROVIDER),
        ("oauth_org_not_allowed", "authentication", PROVIDER),
        ("billing_error", "out_of_credit", PROVIDER),
        ("rate_limit", "rate_limit", PROVIDER),
        ("overloaded", "overloaded", PROVIDER),
        ("model_not_found", "model_not_found", PROVIDER),
        ("server_error", "server_error", PROVIDER),
        ("max_output_tokens", "max_output_tokens", BUDGET),
        ("error_max_turns", "error_max_turns", BUDGET),
        ("error_max_budget_usd", "error_max_budget_usd", BUDGET),
        ("error_max_structured_output_retries", "error_max_structured_output_retries", BUDGET),
        ("error_during_execution", "error_during_execution", "agent_failed"),
        ("model_refusal", "model_refusal", "agent_refused_task"),
        # Codex: `codex_error_info`
        ("usage_limit_exceeded", "out_of_credit", PROVIDER),
        ("context_window_exceeded", "context_window", BUDGET),
        ("server_overloaded", "overloaded", PROVIDER),
        ("unauthorized", "authentication", PROVIDER),
        ("http_connection_failed", "connection", PROVIDER),
        ("response_stream_disconnected", "connection", PROVIDER),
        ("internal_server_error", "server_error", PROVIDER),
        ("internalServerError", "server_error", PROVIDER),
        ("cyber_policy", "refusal", "agent_refused_task"),
        ("", "agent_error", "agent_failed"),
    ],
)
def test_the_logs_own_words_map_to_causes(kind: str, name: str, cause: Cause) -> None:
    assert cause_of_breakdown(kind, None, None) == (name, cause)


@pytest.mark.parametrize(
    ("status", "name", "cause"),
    [
        (401, "authentication", PROVIDER),
        (402, "out_of_credit", PROVIDER),
        (403, "authentication", PROVIDER),
        (404, "model_not_found", PROVIDER),
        (408, "connection", PROVIDER),
        (413, "context_window", BUDGET),
        (429, "rate_limit", PROVIDER),
        (500, "server_error", PROVIDER),
        (503, "server_error", PROVIDER),
        (529, "overloaded", PROVIDER),
        (400, "http_400", PROVIDER),
        (None, "unknown", "agent_failed"),
        (200, "unknown", "agent_failed"),
    ],
)
def test_statuses_map_to_causes(status: int | None, name: str, cause: Cause) -> None:
    assert cause_of_breakdown("unknown", status, None) == (name, cause)
    assert cause_of_breakdown("unknown", status, "Something went wrong") == (name, cause)


def test_a_clear_word_counts_more_than_the_message_and_that_more_than_the_status() -> None:
    assert cause_of_breakdown("rate_limit", 401, "Credit balance is too low")[0] == "rate_limit"
    assert cause_of_breakdown("unknown", 400, "Credit balance is too low")[0] == "out_of_credit"
    assert cause_of_breakdown("invalid_request", 400, "Prompt is too long")[1] == BUDGET
    assert cause_of_breakdown("error_max_turns", 529, "Overloaded")[1] == BUDGET


@given(st.text(), st.none() | st.integers(), st.none() | st.text())
def test_every_breakdown_has_a_name_and_a_known_cause(
    kind: str, status: int | None, message: str | None
) -> None:
    name, cause = cause_of_breakdown(kind, status, message)
    assert name
    assert cause in typing.get_args(Cause)

"""Numbers derived from others, each by one convention everywhere."""

from __future__ import annotations

from evaltrace.trace import Status, Tokens, Trace, Usage


def status_of(reward: float | None, *, valid: bool, threshold: float = 1.0) -> Status:
    """Derive the status from a reward: pass, partial or fail when it counts, else error."""
    if reward is None or not valid:
        return "error"
    if reward >= threshold:
        return "pass"
    return "partial" if reward > 0 else "fail"


def counts_reward(trace: Trace) -> bool:
    """Tell whether a trace has a reward that may be counted: no error took its meaning."""
    valid = trace.error is None or trace.error.reward_valid
    return valid and trace.test_reward is not None


def sum_tokens(usage: Usage | None) -> Tokens:
    """Turn provider usage into token sums; a sum with an unknown part is null."""
    if usage is None:
        return Tokens()
    parts = (usage.input_tokens, usage.output_tokens)
    cache = (usage.cache_creation_input_tokens, usage.cache_read_input_tokens)
    return Tokens(
        input=parts[0],
        output=parts[1],
        cache_creation=cache[0],
        cache_read=cache[1],
        total=_sum(parts),
        total_with_cache=_sum(parts + cache),
    )


def _sum(parts: tuple[int | None, ...]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None

from __future__ import annotations

import pytest

from evaltrace.measures import counts_reward, status_of, sum_tokens
from evaltrace.trace import Tokens, TraceError, Usage
from traces import minimal_trace


@pytest.mark.parametrize(
    ("reward", "status"),
    [(1.0, "pass"), (1.5, "pass"), (0.99, "partial"), (1e-9, "partial"), (0.0, "fail"),
     (-1.0, "fail"), (None, "error")],
)  # fmt: skip
def test_status_follows_the_reward(reward: float | None, status: str) -> None:
    assert status_of(reward, valid=True) == status


@pytest.mark.parametrize("reward", [None, 0.0, 0.5, 1.0])
def test_a_reward_that_does_not_count_gives_no_outcome(reward: float | None) -> None:
    assert status_of(reward, valid=False) == "error"


def test_the_threshold_moves_the_pass_only() -> None:
    assert status_of(0.5, valid=True, threshold=0.5) == "pass"
    assert status_of(0.4, valid=True, threshold=0.5) == "partial"
    assert status_of(0.0, valid=True, threshold=0.5) == "fail"
    assert status_of(0.0, valid=True, threshold=0.0) == "pass"


def test_tokens_are_summed_with_and_without_the_cache() -> None:
    usage = Usage(
        input_tokens=1,
        output_tokens=20,
        cache_creation_input_tokens=300,
        cache_read_input_tokens=4000,
    )
    assert sum_tokens(usage) == Tokens(
        input=1, output=20, cache_creation=300, cache_read=4000, total=21, total_with_cache=4321
    )


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    tokens = sum_tokens(Usage(input_tokens=1, output_tokens=2, cache_read_input_tokens=3))
    assert (tokens.total, tokens.total_with_cache) == (3, None)
    assert (tokens.cache_creation, tokens.cache_read) == (None, 3)
    tokens = sum_tokens(Usage(output_tokens=2))
    assert (tokens.input, tokens.output, tokens.total) == (None, 2, None)
    assert sum_tokens(None) == Tokens()


def test_zero_is_known() -> None:
    zero = Usage(
        input_tokens=0, output_tokens=0, cache_creation_input_tokens=0, cache_read_input_tokens=0
    )
    assert sum_tokens(zero).total_with_cache == 0


@pytest.mark.parametrize(
    ("reward", "valid", "counts"),
    [(0.0, None, True), (1.0, True, True), (1.0, False, False), (None, None, False),
     (None, True, False)],
)  # fmt: skip
def test_a_reward_counts_unless_an_error_took_its_meaning(
    reward: float | None, valid: bool | None, counts: bool
) -> None:
    error = None if valid is None else TraceError(type="Timeout", reward_valid=valid)
    assert counts_reward(minimal_trace(test_reward=reward, error=error)) is counts

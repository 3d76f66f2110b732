"""What the verifier gave: rewards, and what it printed.

Source: Harbor format reference, section 1.3.
"""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.cuts import cuts_of_file
from evaltrace.readers.harbor.records import VerifierResult, is_number
from evaltrace.readers.harbor.version import Version
from evaltrace.source import Source, Text
from evaltrace.trace import Truncation
from evaltrace.untrusted import clean, excerpt

OUTPUT_LIMIT = 1_000_000
"""Bytes kept of one test output."""

Rewards = dict[str, float]

_TEXT_LIMIT = 1000
_REWARDS = msgspec.json.Decoder(dict[str, Any])


def recorded_rewards(
    source: Source, result: VerifierResult | None
) -> tuple[Rewards | None, str | None]:
    """Give the rewards that the harness recorded, and where."""
    if result is None or not result.rewards:
        return None, None
    rewards = _finite(source, "result.json", result.rewards)
    return rewards, "result.json: verifier_result" if rewards else None


def read_rewards(
    source: Source, folder: str, version: Version
) -> tuple[Rewards | None, str | None]:
    """Read the rewards from the verifier's files, for want of a result.

    Where both files exist, reward.json counts since 0.7.0 and reward.txt before.
    """
    names = ["reward.json", "reward.txt"]
    if version.before("0.7.0"):
        names.reverse()
    for name in names:
        path = f"{folder}/{name}"
        if source.exists(path):
            read = _read_json_rewards if name.endswith("json") else _read_text_reward
            rewards = read(source, path)
            if rewards:
                return rewards, path
    return None, None


def report_unrecorded(source: Source, folder: str, version: Version) -> None:
    """Report reward files that the harness took no reward from."""
    rewards, path = read_rewards(source, folder, version)
    if rewards and path:
        given = ", ".join(f"{key} {value:g}" for key, value in sorted(rewards.items()))
        source.report(
            "reward_not_recorded",
            path,
            f"the file gives {excerpt(given, 200)}, but result.json has no reward",
            "It is not counted: the verifier did not finish, or the agent wrote the file.",
        )


def _read_json_rewards(source: Source, path: str) -> Rewards | None:
    rewards = source.read_json(path, _REWARDS)
    return _finite(source, path, rewards) if rewards else None


def _read_text_reward(source: Source, path: str) -> Rewards | None:
    text = source.read_text(path, _TEXT_LIMIT)
    if text is None:
        return None
    try:
        return _finite(source, path, {"reward": float(text.text.strip())})
    except ValueError:
        what = "the file is empty" if not text.text.strip() else "not a number"
        source.report("reward_unreadable", path, what, "The verifier wrote no usable reward.")
        return None


def _finite(source: Source, path: str, rewards: dict[str, Any]) -> Rewards | None:
    """Keep the rewards that are finite numbers (true is 1); report the others."""
    kept = {}
    for key, value in rewards.items():
        if is_number(value):
            kept[clean(key)] = float(value)
            continue
        shown = "NaN or null" if value is None else excerpt(str(value), 50)
        source.report(
            "reward_not_a_number",
            path,
            f"reward {clean(key)!r} is {shown}",
            "It is left out; mend the verifier so that it writes a finite number.",
        )
    return kept or None


def pick_reward(rewards: Rewards | None) -> tuple[float | None, str | None]:
    """Pick the reward that the status goes by: `reward`, else the only one there is."""
    if not rewards:
        return None, None
    if "reward" in rewards:
        return rewards["reward"], "reward"
    if len(rewards) == 1:
        return next((value, key) for key, value in rewards.items())
    return None, None


def read_output(
    source: Source, folder: str
) -> tuple[str | None, list[Truncation], dict[str, Text]]:
    """Read what the tests printed; standard error too where it was kept apart (to 0.1.44).

    Also gives the texts as they were read, by path.
    """
    parts: list[str] = []
    cuts: list[Truncation] = []
    texts: dict[str, Text] = {}
    for name, heading in (("test-stdout.txt", ""), ("test-stderr.txt", "== standard error ==\n")):
        path = f"{folder}/{name}"
        text = source.read_text(path, OUTPUT_LIMIT)
        if text is None:
            continue
        texts[path] = text
        if text.text:
            parts.append(heading + text.text)
            cuts += cuts_of_file("test_output", text)
    return "\n".join(parts) or None, cuts, texts

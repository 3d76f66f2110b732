"""The comparison as JSON: the contract of `schemas/comparison.schema.json`."""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.untrusted import clean, printable_json


def render_json(value: msgspec.Struct | list[Any]) -> str:
    """Write a comparison, or a part of it, as indented JSON that ends with a line feed.

    What is no finite number becomes null, what is no character U+FFFD.
    """
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate in a name that a trace holds
        encoded = msgspec.json.encode(_cleaned(msgspec.to_builtins(value)))
    return printable_json(msgspec.json.format(encoded, indent=2)) + "\n"


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value

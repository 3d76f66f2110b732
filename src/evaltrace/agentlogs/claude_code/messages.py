"""What Claude Code's messages say: results as text, and errors in place of answers."""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.agentlogs.claude_code.shapes import ABSENT, Message, Raw, Turn, blocks_of
from evaltrace.agentlogs.transcript import TEXT_LIMIT, Breakdown
from evaltrace.failures import cause_of_wording
from evaltrace.untrusted import bounded, clean

SYNTHETIC = "<synthetic>"
"""The model of messages that no model wrote."""


def content_text(content: Any) -> str | None:
    """Flatten a tool result's content (text, or a list of parts) into text."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        return msgspec.json.encode(bounded(content, TEXT_LIMIT)).decode()
    parts = []
    for part in content:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif isinstance(part, dict) and isinstance(part.get("type"), str):
            parts.append(f"[{part['type']}]")
        else:
            parts.append(str(bounded(part, TEXT_LIMIT)))
    return "\n".join(parts)


def tells(raw: Raw) -> bool:
    """Tell whether a field is there, and not null."""
    return raw is not ABSENT and bytes(memoryview(raw)[:4]) != b"null"


def error_word(line: Turn) -> str | None:
    """Give the word for the error that stands in place of an answer."""
    if isinstance(line.error, str) and line.error:
        return line.error
    return "api_error" if line.error or line.isApiErrorMessage else None


def error_of(line: Turn, message: Message, path: str, number: int) -> Breakdown | None:
    """Give the error that a line of the model's part is."""
    # The last assistant line decides: an error before it was got over by a retry.
    word = error_word(line)
    text = next((block.text for block in blocks_of(message) if block.text), None)
    if word is None and message.model == SYNTHETIC and text:
        # Older versions flag nothing; what they put in the model's place is a fixed phrase.
        word = "api_error" if text.startswith("API Error") or cause_of_wording(text) else None
    return Breakdown(word, text, line.api_error_status, clean(path), number) if word else None

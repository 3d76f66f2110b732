"""Values of a configuration as an audit shows them: short, on one line, secrets masked."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from evaltrace.untrusted import bounded, one_line, printable

HIDDEN = "***"
NOT_SET = "not set"
WIDTH = 80

_SEARCHED = 2000
_DEPTH = 6
_MIXED = 16
_ALL_HIDDEN = {"env", "headers"}

_TEMPLATE = re.compile(r"\$\{?\w+(?::?-)?\}?")
_SECRET_KEY = re.compile(r"secret|passw|credential|token|key|auth|cookie", re.I)
_COUNT_KEY = re.compile(r"(?:max|min|num|thinking).*tokens?$|tokens?_(?:budget|limit|count)", re.I)
_SURE_SECRET_KEY = re.compile(r"secret|passw|credential", re.I)
_DIGEST_KEY = re.compile(r"sha|commit|digest|checksum|revision|hash|\bref\b", re.I)
_DIGEST = re.compile(r"(?:sha\d+:)?[0-9a-f]{7,64}", re.I)
_FLAG = re.compile(r"--?[\w-]*(?:secret|passw|credential|token|key|auth)[\w-]*", re.I)

_WORD = r"(?:secret|passw\w*|credential\w*|token|api[-_]?key|access[-_]?key|authorization|auth)"
_VALUE = r"(?!\$\{?\w)[^\s\"',;&]+"
_MASKS = (
    (re.compile(rf"(--?[\w-]{{0,40}}{_WORD}[\w-]{{0,40}}(?:=|\s+))(?!-){_VALUE}", re.I), r"\1"),
    (re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.I), r"\1"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s@]+(?=@)", re.I), r"\1"),
    (re.compile(r"([?&][\w.-]{0,40}(?:token|key|secret|pass|auth|sig)[\w.-]{0,40}=)[^&\s#]+", re.I),
     r"\1"),
    (re.compile(rf"(\b[\w-]{{0,40}}{_WORD}[\"']?\s*[:=]\s*[\"']?){_VALUE}", re.I), r"\1"),
    (re.compile(r"\b(?:sk|rk|pk)[-_][\w-]{8,}"), ""),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|sgp_|hf_|npm_|pypi-|xox[a-z]-)[\w-]{6,}"), ""),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}"), ""),
    (re.compile(r"\bAIza[\w-]{20,}"), ""),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*)+"), ""),
)  # fmt: skip
_LONG = re.compile(r"(?<!sha256:)(?<![\w+/=-])[\w+/=-]{25,}", re.ASCII)
_PLAIN_PART = re.compile(r"[A-Za-z]*\d*|\d+[A-Za-z]+")


def shown(value: Any, key: str = "", width: int = WIDTH) -> str:
    """Show a value that stands under a key, as text of at most `width` characters."""
    if value is None:
        return NOT_SET
    masked = masked_value(bounded(value, _SEARCHED, _DEPTH), key)
    if not isinstance(masked, str):
        masked = msgspec.json.encode(masked, order="sorted").decode()
    return one_line(masked, width) or '""'


def shown_pair(baseline: Any, treatment: Any, key: str = "") -> tuple[str, str]:
    """Show two values that differ, so that it can be seen that they do."""
    first, second = shown(baseline, key), shown(treatment, key)
    if first == second:
        another = " (another value)"
        second = one_line(second, WIDTH - len(another)) + another
    return first, second


def masked_value(value: Any, key: str = "") -> Any:
    """Mask what is secret in a JSON value: by the names of keys, and by how texts look."""
    if isinstance(value, dict):
        hidden = key.lower() in _ALL_HIDDEN
        return {
            name: _hidden(item) if hidden else masked_value(item, name)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return _masked_list(value, key)
    if isinstance(value, str):
        return value if _is_digest(value, key) else _masked_text(value, key)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return HIDDEN if number and _SURE_SECRET_KEY.search(key) else value


def _masked_list(items: list[Any], key: str) -> list[Any]:
    """Mask a list of values or of arguments, in which a flag names what comes after it."""
    before = ""
    kept = []
    for item in items:
        flagged = _FLAG.fullmatch(before) is not None
        kept.append(_hidden(item) if flagged else masked_value(item, key))
        before = item if isinstance(item, str) else ""
    return kept


def _hidden(value: Any) -> Any:
    if value is None or (isinstance(value, str) and _TEMPLATE.fullmatch(value)):
        return value
    return HIDDEN


def _is_digest(text: str, key: str) -> bool:
    return bool(_DIGEST_KEY.search(key)) and _DIGEST.fullmatch(text) is not None


def _masked_text(text: str, key: str) -> str:
    if _TEMPLATE.fullmatch(text):
        return text
    if _SECRET_KEY.search(key) and not _COUNT_KEY.search(key):
        return HIDDEN
    text = printable(text)
    for pattern, kept in _MASKS:
        text = pattern.sub(kept + HIDDEN, text)
    return _LONG.sub(_unless_words, text)


def _unless_words(match: re.Match[str]) -> str:
    """Hide a long run in which letters and digits are mixed, unlike names with a number."""
    parts = re.split(r"[-_+/=]", match[0])
    mixed = sum(len(part) for part in parts if not _PLAIN_PART.fullmatch(part))
    return HIDDEN if mixed >= _MIXED else match[0]

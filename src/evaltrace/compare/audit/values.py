"""Values of a configuration as an audit shows them: short, on one line, secrets masked.

What is secret is what the rules of redaction find, whose names and beginnings of tokens are taken
from there. Where they are not sure it is masked all the same, by the name it stands under, the
flag or the word before it, or its looks: that two values differ is still said.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from evaltrace.untrusted import bounded, one_line, printable

HIDDEN = "***"
NOT_SET = "not set"
WIDTH = 80

_SEARCHED = 2000
_DEPTH = 6
_ITEMS = 100
"""Of each list and object; more than `WIDTH` has room for."""

_WHOLE = 1 << 40
_MIXED = 16
_SHORT_RUNS = 2.5
_LEAST = 4

TEMPLATE = re.compile(r"\$[A-Z_][A-Z0-9_]*|\$\{\w+(?::?-)?\}")
"""The name of a variable, which is no secret. It is matched as a whole."""
_UNSEEN = re.compile("[\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff]")

# Names of what is secret.

_SECRET_KEY = re.compile(
    r"secret|passw|passphrase|passcode|(?<![a-z])pass(?![a-z])|pwd|credential|token|key|auth|cookie|"
    r"bearer|jwt|session_?id|signature|(?<![a-z])dsn(?![a-z])|conn\w*_?str|webhook",
    re.I,
)
_SURE_SECRET_KEY = re.compile(r"secret|passw|passphrase|passcode|pwd|credential", re.I)
_SECRET_NUMBER = re.compile(r"(?:^|[_.-])(?:api_?key|key|token|pin|otp)$", re.I)
_COUNT_KEY = re.compile(r"(?:max|min|num|thinking).*tokens?$|tokens?_(?:budget|limit|count)", re.I)
_ALL_HIDDEN = re.compile(
    r"(?:^|[_.-]|(?<=[a-z])(?=[A-Z]))(?:[Ee]nv(?:iron(?:ment)?)?(?:[_-]?[Vv]ar(?:iable)?s?)?|"
    r"[Hh]eaders?)$"
)
_DIGEST_KEY = re.compile(r"sha|commit|digest|checksum|revision|hash|\bref\b", re.I)
_DIGEST = re.compile(r"(?:sha\d+:)?[0-9a-f]{7,64}", re.I)

# What comes before a secret in a text.

_NAME = (
    r"(?:secret|passw\w*|passphrase|passcode|(?<!by)(?<!com)pass|pwd|credentials?|token|"
    r"\w[-_]?key|auth|bearer|jwt|dsn|connection[-_]?string|signature)"
)
_BARE = r"(?!(?-i:\$[A-Z_][A-Z0-9_]*)(?!\w)|\$\{\w+(?::?-)?\})[^\s\"',;&]+"
_VALUE = rf"(?:(?P<quote>\\*[\"'])(?P<quoted>.*?)(?:(?P=quote)|$)|{_BARE})"
_FLAGGED = re.compile(
    rf"(?P<kept>(?<![\w-])--?[\w-]{{0,40}}?{_NAME}[\w-]{{0,40}}(?:=|\s+))(?!-){_VALUE}",
    re.I | re.S,
)
_ASSIGNED = re.compile(
    rf"(?P<kept>\b[\w-]{{0,40}}?{_NAME}\\*[\"']?\s*[:=]\s*){_VALUE}", re.I | re.S
)
_SAID = re.compile(
    rf"(?P<kept>\blogin\s+\S+\s+password\s+|\bsshpass\s+-p\s*|\bmysql\w*\s(?:[^\n|;&]*?\s)??-p(?=\S)|"
    rf"(?:^|\s)(?:-u|--user|--proxy-user)(?:=|\s+)[\"']?[^\s:\"']+:|"
    rf"(?:^|\s)(?:-e|--env)(?:=|\s+)[\"']?\w+=){_VALUE}",
    re.S,
)
_HEADER = re.compile(
    r"(?P<kept>\b(?:(?:proxy-)?authorization|(?:set-)?cookie)\\*[\"']?\s*[:=]\s*\\*[\"']?)"
    r"[^\"'\\\n]+",
    re.I,
)

# What a secret looks like.

_LOOKS = (
    (re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.I), r"\1"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s\"']+(?=@)", re.I), r"\1"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/:@\"']*:(?!\d{1,5}(?:[/?#]|$))[^\s@\"']+(?=@)",
                re.I), r"\1"),
    (re.compile(r"([?&#](?:code|[\w.-]{0,40}(?:token|key|secret|pass|pwd|auth|sig|jwt|session|cred)"
                r"[\w.-]{0,40})=)[^&\s#]+", re.I), r"\1"),
    (re.compile(r"\b(?:[srp]k[-_][\w-]{8,}|(?:pypi-|ATATT|xox[a-z]-|shp[a-z]{2}_)[\w.-]{6,})"), ""),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*)+"), ""),
)  # fmt: skip
_LONG = re.compile(r"(?<!sha256:)(?<![\w+/=-])[\w+/=-]{20,}", re.ASCII)
_PLAIN_PART = re.compile(r"[A-Za-z]*\d*|\d+[A-Za-z]+")
_LOWER = re.compile(r"[a-z]+")
_WORDS = {"key-", "secret_"}
"""Beginnings of tokens that words have too."""


@cache
def _beginnings() -> re.Pattern[str]:
    """Match what begins as the tokens do that redaction knows, however it goes on."""
    from evaltrace.redact.redactor import RULES

    known = sorted({prefix for rule in RULES for prefix in rule.prefixes} - _WORDS)
    set_apart = "|".join(re.escape(prefix) for prefix in known if not prefix[-1].isalnum())
    others = "|".join(re.escape(prefix) for prefix in known if prefix[-1].isalnum())
    return re.compile(rf"\b(?:(?:{set_apart})[\w.-]{{6,}}|(?:{others})[\w-]{{12,}})")


def shown(value: Any, key: str = "", width: int = WIDTH) -> str:
    """Show a value that stands under a key, as text of at most `width` characters."""
    if value is None:
        return NOT_SET
    # Texts stay whole here: the end of one that is cut could be the end of a secret.
    masked = masked_value(bounded(value, _WHOLE, _DEPTH), key)
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
    key = _UNSEEN.sub("", printable(key))
    if isinstance(value, dict):
        return _masked_object(value, key)
    if isinstance(value, list):
        return _masked_list(value, key)
    if isinstance(value, str):
        return _masked_text(value, key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    named = _SECRET_NUMBER.search(key) and isinstance(value, int) and not _is_count(key)
    return HIDDEN if named or _SURE_SECRET_KEY.search(key) else value


def _masked_object(items: dict[str, Any], key: str) -> dict[str, Any]:
    """Mask an object: all of it where its key says so, else by its own keys."""
    whole = is_secret_name(key) or _ALL_HIDDEN.search(key) is not None
    named = items.get("name", items.get("key"))
    kept = {}
    for name, item in sorted(items.items())[:_ITEMS]:
        if whole and not (item is named and "value" in items):
            masked = _hidden(item)
        elif name == "value" and isinstance(named, str):
            masked = masked_value(item, named)
        else:
            masked = masked_value(item, name)
        kept[_masked_text(name, "")] = masked
    return kept


def _masked_list(items: list[Any], key: str) -> list[Any]:
    """Mask a list of values or of arguments, in which a flag names what comes after it."""
    before = ""
    kept: list[Any] = []
    for item in items[:_ITEMS]:
        if _names_next(before, of_two=len(items) == 2):
            kept.append(_hidden(item))
        elif isinstance(item, str):
            kept.append(_masked_item(item, key, before))
        else:
            kept.append(masked_value(item, key))
        before = item if isinstance(item, str) else ""
    return kept


def _names_next(text: str, *, of_two: bool) -> bool:
    """Tell whether a text is a flag, or the first of a pair, whose value is secret."""
    if not text or not re.fullmatch(r"[\w-]{1,80}", text):
        return False
    return (text[0] == "-" or of_two) and re.search(_NAME, text, re.I) is not None


def _masked_item(text: str, key: str, before: str) -> str:
    """Mask a text of a list: of a variable or a header its value, of a login its password."""
    name, sign, _ = text.partition("=")
    if sign and (before in ("-e", "--env") or _ALL_HIDDEN.search(key)):
        return f"{_masked_text(name, '')}={HIDDEN}"
    name, sign, _ = text.partition(":")
    if sign and (before in ("-H", "--header", "-u", "--user") or _ALL_HIDDEN.search(key)):
        return f"{_masked_text(name, '')}: {HIDDEN}"
    return _masked_text(text, key)


def _hidden(value: Any) -> Any:
    """Hide every text and number in a value, but not the name of a variable."""
    if isinstance(value, dict):
        return {_masked_text(name, ""): _hidden(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    return value if isinstance(value, str) and TEMPLATE.fullmatch(value) else HIDDEN


def is_secret_name(key: str) -> bool:
    """Tell whether what stands under a key is to be masked whatever it is."""
    from evaltrace.redact.named import names_secret

    if _is_count(key):
        return False
    return _SECRET_KEY.search(key) is not None or names_secret(key) is True


def _is_count(key: str) -> bool:
    """Tell whether a key names a number of tokens."""
    return _COUNT_KEY.search(key) is not None


def _masked_text(text: str, key: str) -> str:
    if TEMPLATE.fullmatch(text):
        return text
    if is_secret_name(key):
        return HIDDEN
    if _DIGEST_KEY.search(key) and _DIGEST.fullmatch(text):
        return text
    text = _UNSEEN.sub("", printable(text[:_SEARCHED]))
    if key and _is_secret_behind(key, text):
        return HIDDEN
    masked = _without_likely(text)
    for piece in _found(text):
        masked = masked.replace(piece, HIDDEN)
    return masked


def _is_secret_behind(key: str, text: str) -> bool:
    from evaltrace.redact.named import field_value

    return field_value(key, text) is not None


def _found(text: str) -> list[str]:
    """List what redaction finds in a text, the longest first; in each line the part of it."""
    from evaltrace.redact.encoded import find_wrapped
    from evaltrace.redact.redactor import RULES
    from evaltrace.redact.spans import find_spans, merged

    spans = find_spans(text, RULES)
    formats = [rule for rule in RULES if rule.kind == "format" and rule.finder is None]
    spans += find_wrapped(text, spans, lambda part: merged(find_spans(part, formats)))
    pieces = {piece for span in spans for piece in text[span.start : span.end].split()}
    return sorted((piece for piece in pieces if len(piece) >= _LEAST), key=lambda p: (-len(p), p))


def _without_likely(text: str) -> str:
    """Hide what redaction is not sure of too, as it is short, plain or has no known form."""
    text = _HEADER.sub(rf"\g<kept>{HIDDEN}", text)
    text = _beginnings().sub(HIDDEN, text)
    for pattern, kept in _LOOKS:
        text = pattern.sub(kept + HIDDEN, text)
    for named in (_FLAGGED, _ASSIGNED, _SAID):
        text = named.sub(_without_value, text)
    return _LONG.sub(_unless_words, text)


def _without_value(match: re.Match[str]) -> str:
    """Hide a value and leave the quotes around it."""
    quote, quoted = match["quote"] or "", match["quoted"] or ""
    hidden = quoted if TEMPLATE.fullmatch(quoted) else HIDDEN
    return f"{match['kept']}{quote}{hidden}{quote}"


def _unless_words(match: re.Match[str]) -> str:
    """Hide a long run in which letters and digits are mixed, unlike names with a number."""
    text = match[0]
    parts = re.split(r"[-_+/=]", text)
    mixed = sum(len(part) for part in parts if not _PLAIN_PART.fullmatch(part))
    return HIDDEN if mixed >= _MIXED or _is_shuffled(text) else text


def _is_shuffled(text: str) -> bool:
    """Tell whether capitals stand anywhere: words have longer runs of small letters."""
    runs = _LOWER.findall(text)
    digits = any(mark.isdigit() for mark in text)
    if not (digits and runs and any(mark.isupper() for mark in text)):
        return False
    return sum(map(len, runs)) < _SHORT_RUNS * len(runs)

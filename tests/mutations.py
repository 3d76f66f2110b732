"""Inputs made hostile: bytes, lines and JSON values of a good one, changed at random.

All chance comes from the `Random` that is passed in: the same seed, the same mutants.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

TOKENS = [
    b"\x00",
    b"\x1b]0;title\x07",
    b"\x1b[2J",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\xe2\x80\xa8",
    b"\x85",
    b"\n",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 400,
    b"-",
    b"[" * 80,
    b'{"a":' * 80,
    b"{}",
    b"null",
    b"../../../etc/passwd",
    b"@@ -1,9 +1,9 @@\n",
    b"--- a/x\n+++ b/x\n",
    b"diff --git a/x b/x\n",
    b"*** Begin Patch\n",
    b"<<EOF\n",
    b"'" * 9,
    b"$(",
    b"`",
    b"::",
    b"<!ENTITY a 'b'>&a;",
    b" " * 300,
    b"(" * 60,
    b"9999-12-31T23:59:59.999999-14:00",
    b"0001-01-01T00:00:00+14:00",
]
"""Pieces that break one reader or another."""

_TEXTS = [
    "",
    " ",
    "\n",
    "\x00",
    "\ud800",
    "\x1b[31m",
    "\u202e",
    "../../x",
    "/etc/passwd",
    "C:\\x",
    "nan",
    "-1",
    "1e400",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "2026-02-30T25:61:61Z",
    "2026-01-05",
    "=1+1",
    "::error::",
    "true",
    "x" * 3000,
    "é" * 50,
    "{}",
    "[1",
    '{"a": [1, {"b": "c"}]}',
]
_NUMBERS = [
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("inf"),
    float("nan"),
    1e18,
    253402300800,
    -62135596801,
]
_OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None], {"": None}, {"\ud800": 1}, [{}, []]]


def odd_value(random: Random) -> Any:
    """Give a JSON value that nobody expects."""
    kind = random.randrange(10)
    if kind == 0:
        value: Any = random.choice(_TEXTS)
        for _ in range(random.choice((1, 30, 200))):
            value = [value] if random.random() < 0.5 else {"a": value}
        return value
    return random.choice((_TEXTS, _NUMBERS, _OTHERS)[kind % 3])


def mutate(content: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change an input in one to four ways; `others` are what it may be spliced with."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        kind = random.randrange(5)
        if kind < 3:
            changed = _structured(content, random, others)
            content = _bytewise(content, random, others) if changed is None else changed
        elif kind == 3:
            content = _linewise(content, random, others)
        else:
            content = _bytewise(content, random, others)
    return content


def _bytewise(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    size = len(content)
    at = random.randrange(size + 1)
    end = min(size, at + random.choice((1, 2, 8, 100, 5000)))
    kind = random.randrange(7)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + content[end:]
    if kind == 2:
        return content[:end] + content[at:]
    if kind == 3:
        return content[:at] + random.randbytes(end - at) + content[end:]
    if kind == 4 and others:
        other = random.choice(others)
        return content[:at] + other[random.randrange(len(other) + 1) :]
    if kind == 5 and at < size:
        return content[:at] + bytes([content[at] ^ (1 << random.randrange(8))]) + content[at + 1 :]
    return content[:at] + random.choice(TOKENS) * random.choice((1, 1, 1, 20)) + content[at:]


def _linewise(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 3 and others:
        lines.insert(at, random.choice(random.choice(others).split(b"\n")))
    elif kind == 4:
        lines[at] = lines[at][: random.randrange(len(lines[at]) + 1)]
    else:
        lines[at:at] = [lines[at]] * random.choice((2, 50 if len(lines[at]) < 2000 else 2))
    return b"\n".join(lines)


def _structured(content: bytes, random: Random, others: Sequence[bytes]) -> bytes | None:
    """Change a value in the document, or in the document of one line; None where there is none."""
    lines = content.split(b"\n")
    if lines[0][:1] == b"{" and lines[0][-1:] == b"}" and len(lines[0]) > 2:
        at = random.randrange(len(lines))
        changed = _of_document(lines[at], random)
        if changed is None:
            return None
        lines[at] = changed
        return b"\n".join(lines)
    return _of_document(content, random)


def _of_document(content: bytes, random: Random) -> bytes | None:
    if content.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    places = list(_places(document))
    if not places:
        return None
    for _ in range(random.choice((1, 1, 2, 5))):
        holder, key = random.choice(places)
        _change(holder, key, places, random)
    try:
        text = json.dumps(document)
    except (ValueError, RecursionError):  # a value was put into itself
        return None
    if random.random() < 0.1:
        text = text.replace('": ', '": null, "twice": 1, "', 1)
    return text.encode("utf-8", "surrogatepass")


def _places(document: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting and len(found) < 5000:
        value = waiting.pop()
        if isinstance(value, dict):
            found += [(value, key) for key in value]
            waiting += value.values()
        elif isinstance(value, list):
            found += [(value, index) for index in range(len(value))]
            waiting += value
    return found


def _change(holder: Any, key: Any, places: list[tuple[Any, Any]], random: Random) -> None:
    if key not in holder if isinstance(holder, dict) else key >= len(holder):
        return  # it was deleted before
    kind = random.randrange(8)
    if kind < 4:
        holder[key] = odd_value(random)
    elif kind == 4:
        del holder[key]
    elif kind == 5:
        other, name = random.choice(places)
        if name in other if isinstance(other, dict) else name < len(other):
            holder[key] = json.loads(json.dumps(other[name]))
    elif isinstance(holder, list):
        holder.insert(key, holder[key])
    elif kind == 6:
        holder[random.choice(_TEXTS)] = holder.pop(key)
    else:
        holder[key] = str(holder[key]) if not isinstance(holder[key], str) else [holder[key]]

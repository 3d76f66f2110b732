"""What a value looks like: random or made of words, a stand-in, a reference to something else."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from itertools import pairwise
from math import log2


def words(text: str) -> frozenset[str]:
    """Make a set of words."""
    return frozenset(text.split())


_STAND_IN = re.compile(
    r"x{4}|\*{3}|\.{3}|…|[<>{}]|\$\(|^\$|^%|"
    r"(?:^|[^a-z])(?:your|my)[_-]?(?:own|api|key|token|secret|pass|access|auth|client|bot)|"
    r"example|placeholder|change[_-]?me|replace[_-]?(?:me|with)|redacted|"
    r"(?:^|[_-])(?:here|dummy|sample|fake|todo|test|mock|none|null|undefined|insert)(?:$|[_-])",
    re.I,
)
_STAND_INS = words(
    """
    password passwd pass pwd secret token key apikey api_key user username none null nil true
    false undefined required optional string str bytes text value test testing changeit empty
    disabled enabled default hidden masked unset qwerty foobar hunter
    """
)
_CODE = re.compile(
    r"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)+|.*\w[(\[].*|[@&*!%$~/.\\].*|[\w+]{2,20}://.*|"
    r"[A-Za-z]:\\.*|sha\d+[:-].*",
    re.S,
)
# No part of these can match a text in two ways: that would take time without end.
_WORDS = re.compile(r"[A-Za-z]+(?:[-_.:/ +][A-Za-z]+)*")
_PART = r"(?:[A-Za-z]+(?:\d{1,3}[A-Za-z]{4,})*\d{0,3}|\d{1,4}|v\d{4})"
_NAMES = re.compile(rf"{_PART}(?:[-_.:/ ]{_PART})*")
_SHORT_RUNS = 2.5
_SEGMENT = re.compile("[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_LONG = 16
_LONG_SEGMENTS = 3
"""Letters of a word in a name, on the mean; random ones change their kind more often."""
_NOBODY = words(
    """
    root user runner ubuntu debian vscode node app agent admin ec2-user codespace sandbox nonroot
    oh openhands swe circleci jovyan coder default public shared guest you username me someone
    linuxbrew builder
    """
)
_HOSTS = re.compile(r"(?:^|\.)(?:example|test|invalid|localhost|local)(?:\.|$)|users\.noreply\.")
_LOWER = re.compile("[a-z]+")


def entropy(text: str) -> float:
    """Give Shannon's entropy of the characters, in bits for each."""
    if not text:
        return 0.0
    size = len(text)
    return -sum(n / size * log2(n / size) for n in Counter(text).values())


def is_stand_in(text: str) -> bool:
    """Tell whether a value stands where a secret is to be put: `YOUR_API_KEY`, `xxxx`, `$TOKEN`."""
    if text.lower().strip("_-?") in _STAND_INS or _STAND_IN.search(text):
        return True
    return len(set(text)) <= 3 or _counts_up(text)


def is_reference(text: str) -> bool:
    """Tell whether a value is code, a path or an address: where a secret is, not the secret."""
    return _CODE.fullmatch(text) is not None


def is_worded(text: str) -> bool:
    """Tell whether a value is made of words and small numbers, as names of things are."""
    if len(text) > 200 or is_shuffled(text):
        return False
    if len(text) >= _LONG and len(text) < _LONG_SEGMENTS * len(_SEGMENT.findall(text)):
        return False
    return _NAMES.fullmatch(text) is not None


def is_words(text: str) -> bool:
    """Tell whether a value is made of nothing but words."""
    return len(text) <= 200 and not is_shuffled(text) and _WORDS.fullmatch(text) is not None


def is_shuffled(text: str) -> bool:
    """Tell whether capitals stand anywhere: words have longer runs of small letters."""
    runs = _LOWER.findall(text)
    capitals = sum(letter.isupper() for letter in text)
    if len(text) < 12 or capitals < 3 or not runs:
        return False
    return sum(map(len, runs)) < _SHORT_RUNS * len(runs)


def is_random(text: str, least: float = 3.0) -> bool:
    """Tell whether a value has letters and digits mixed as no words have them."""
    if is_shuffled(text) and entropy(text) >= least:
        return True
    letters = any(mark.isalpha() for mark in text)
    digits = any(mark.isdigit() for mark in text)
    return letters and digits and entropy(text) >= least and not is_worded(text)


def _counts_up(text: str) -> bool:
    """Tell whether most characters are the next of the one before: abcdef, 123456."""
    codes = [ord(mark) for mark in text.lower()]
    steps = sum(after - before == 1 for before, after in pairwise(codes))
    return steps * 2 > len(codes)


def opens_as_jwt(text: str) -> bool:
    """Tell whether the first part of a token is the header of a JSON web token."""
    header = text.partition(".")[0]
    try:
        decoded = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        value = json.loads(decoded)
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(value, dict) and bool(value.keys() & {"alg", "typ", "enc", "kid"})


def has_digit(text: str) -> bool:
    """Tell whether there is a digit."""
    return any(mark.isdigit() for mark in text)


def holds_pem(text: str) -> bool:
    """Tell whether base64 text begins with a private key in PEM form."""
    head = text[:120].replace("-", "+").replace("_", "/")
    return b"PRIVATE KEY" in base64.b64decode(head[: len(head) // 4 * 4])


def is_session(text: str) -> bool:
    """Tell whether a cookie header carries a value that could be a session."""
    values = [part.partition("=")[2].strip() for part in text.split(";")]
    values = [value for value in values if " " not in value]
    return any(len(value) >= 12 and is_random(value, 2.5) for value in values)


def is_login(text: str) -> bool:
    """Tell whether a value can be a password: no stand-in, no reference, no plain word."""
    if len(text) < 4 or is_stand_in(text) or text[0] in "$%{<":
        return False
    return not is_words(text) or is_shuffled(text)


def is_credential(text: str) -> bool:
    """Tell whether what an authorization header carries is a secret, not a description."""
    return (len(text) >= 12 and is_random(text, 2.5)) or _is_basic(text)


def is_person(text: str) -> bool:
    """Tell whether the owner of a home folder is a person, not one of a container."""
    return text.lower().strip(".") not in _NOBODY


def is_mailbox(text: str) -> bool:
    """Tell whether an address can be somebody's: no example, no login of a code host."""
    name, _, host = text.lower().partition("@")
    if name in ("git", "noreply", "no-reply", "hg") or _HOSTS.search(host):
        return False
    return not host.endswith((".png", ".svg", ".js", ".json", ".py", ".md", ".txt", ".css"))


def _is_basic(text: str) -> bool:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return False
    return b":" in decoded[1:] and decoded.isascii() and decoded.decode().isprintable()


CHECKS = {
    "jwt": opens_as_jwt,
    "digit": has_digit,
    "random": is_random,
    "pem": holds_pem,
    "session": is_session,
    "login": is_login,
    "credential": is_credential,
    "person": is_person,
    "mailbox": is_mailbox,
}
"""What a rule may ask of what its pattern found, by name."""

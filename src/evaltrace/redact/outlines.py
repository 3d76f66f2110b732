"""Outlines of the context rules, for the quick look: every find of a rule fits its outline.

They are read by an automaton that is built while it reads, and only over ASCII: every other
character is DEL there. Its size is that of what has to be remembered, so nothing is counted that
need not be; and an outline asks for what the checks of `values` and `named` ask for, as far as
that can be told from left to right, so that few texts without secrets fit.
"""

from __future__ import annotations

from itertools import pairwise
from string import ascii_letters, ascii_lowercase

_SPACE = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
OTHER = "\x7f"
"""Stands for each character that is not ASCII."""

SPACE = r"(?:[\x09-\x0d\x1c-\x20\x7f]|\\[nrtf])"
"""White space as Python's regular expressions have it, or as JSON writes it."""


def none_of(marks: str) -> str:
    """Give the class of all ASCII characters but some."""
    edges = [-1, *sorted(map(ord, set(marks))), 128]
    spans = ((before + 1, after - 1) for before, after in pairwise(edges))
    return "[" + "".join(f"\\x{a:02x}-\\x{b:02x}" for a, b in spans if a <= b) + "]"


def any_case(words: str) -> str:
    """Spell a pattern of words without classes in capitals, too, and in letters folded to them."""
    parts = words.split("(?:")
    return "(?:".join("".join(map(_cases, part)) for part in parts)


def _cases(mark: str) -> str:
    if not mark.isalpha():
        return mark
    # The Kelvin sign, the long s and the dotless i are letters to Python when case is ignored.
    return f"[{mark.lower()}{mark.upper()}{OTHER if mark.lower() in 'kis' else ''}]"


_CHANGE = "(?:[a-z][A-Z]|[A-Z][A-Z][a-z])"
_MAYBE_QUOTE = r"(?:\\*[\"'`])?"
_SIGN = (
    r"[ \t]*(?:(?::[ \t]?[A-Za-z_\x7f][A-Za-z0-9_.\[\]| \x7f]*)?=+|:=|:|=>)[ \t>]*[bfru]?[bfru]?"
)
_QUOTES = "\"'`"
_NO_VALUE = "<>{}"
"""What has one of these is a stand-in, no secret."""
_NO_START = "$%&*!~/.\\@"
"""What begins with one of these is a stand-in or a reference."""
_ODD_MARKS = r"|(),;\[\]"
_PARTED = "-_.:/"
_LONG_PART = 16


def _in_quotes(quote: str) -> str:
    """Outline a value of which one character is odd, up to its quote.

    Marks alone are none: between two strings of JSON there are such.
    """
    not_in = _SPACE + quote + _NO_VALUE
    mark, first = none_of(not_in), none_of(not_in + _NO_START + _ODD_MARKS)
    other = none_of(not_in + _ODD_MARKS)
    return (
        rf"{quote}(?:[0-9#^?=+]|{_CHANGE}|{first}{mark}*(?:[0-9@#%^&*!~?=+${_ODD_MARKS}]|{_CHANGE})"
        rf"|[{_ODD_MARKS}]+(?:{other}|[0-9#^?=+]))"
    )


_QUOTED = rf"\\*(?:{'|'.join(map(_in_quotes, _QUOTES))})"

_BARE_NOT = _SPACE + _QUOTES + "\\,;&|<>(){}[]"
_MARK, _FIRST = none_of(_BARE_NOT), none_of(_BARE_NOT + _NO_START)
_SIGNS = "@#%^*!~?=+$"
_JOINT = none_of(_BARE_NOT + _SIGNS + "._0123456789" + ascii_letters)
_END = r"(?:[^A-Za-z_.(\[{)'`]|\.[^A-Za-z_.]|\.?$)"
_LOUD_END = r"(?:[^A-Za-z_.]|\.[^A-Za-z_.]|\.?$)"
_NAME = rf"[A-Za-z_]*{_CHANGE}[A-Za-z_]*"
_BARE = (
    rf"(?:(?:[A-Za-z]|{_FIRST}{_MARK}*[A-Za-z]){_MARK}*[0-9{_SIGNS}]"
    rf"|(?:[0-9#^?=+]|{_FIRST}{_MARK}*[0-9{_SIGNS}]){_MARK}*[A-Za-z]"
    rf"|{_NAME}{_END}|[A-Za-z_.]*[A-Za-z_]\.\.[A-Za-z_]"
    rf"|(?:{_FIRST}{_MARK}*)?{_CHANGE}{_MARK}*{_JOINT}|(?:{_FIRST}{_MARK}*)?{_JOINT}{_MARK}*{_CHANGE})"
)
"""A value without quotes: digits or signs beside letters, or capitals in it; no `a.b.c`."""


def _of_random(least: str, not_in: str) -> str:
    """Outline a value of which 16 characters have no mark between them."""
    return f"{least}{none_of(not_in)}*{none_of(not_in + _PARTED)}{{{_LONG_PART}}}"


_RANDOM = _of_random(r"\\*[\"'`]", _SPACE + _QUOTES + _NO_VALUE)
_BARE_RANDOM = _of_random("", _BARE_NOT)


_LETTERLESS = r"(?:^|[^A-Za-z]|\\[nrtbf]|\\u[0-9a-fA-F]{4})"
_PASS = any_case("pass")


def authorization() -> str:
    """Outline a header that authorizes."""
    schemes = any_case("bearer|basic|token|apikey|key|negotiate|bot|oauth")
    return (
        rf"{_LETTERLESS}(?:{any_case('authorization')}{_MAYBE_QUOTE}\]?{SPACE}*(?:=>|[:=,])"
        rf"{SPACE}*[bfrBFR]?{_MAYBE_QUOTE}(?:(?:{schemes}){SPACE}+)?|{any_case('bearer')}{SPACE}+)"
        rf"[A-Za-z._~+/=:-]*(?:[0-9]|{_CHANGE})"
    )


def cookie() -> str:
    """Outline a cookie header with a value that could be a session."""
    not_in = _QUOTES + _NO_VALUE + "\\\r\n"
    return (
        rf"{any_case('cookie')}[\\\"'`\]:=, \t]+[A-Za-z0-9_.-]+="
        rf"(?:{none_of(not_in)}*=)? *{none_of(not_in + ' ;')}{{12}}"
    )


def url_password() -> str:
    """Outline an address with a password in it that is no plain word."""
    user = none_of(_SPACE + _QUOTES + "/:@?#\\<>")
    mark = none_of(_SPACE + _QUOTES + "/@\\<>")
    odd = none_of(_SPACE + _QUOTES + "/@\\<>" + ascii_lowercase + "-_.:+" + OTHER)
    return (
        rf"[A-Za-z0-9]://(?:{user}*:(?:{mark}*(?:{odd}|{OTHER}{mark}|{mark}{OTHER}){mark}*|[-_.:+]{mark}*|{mark}*[-_.:+]"
        rf"|{mark}*[-_.:+]{{2}}{mark}*)|[A-Za-z0-9_.~-]{{20}}[A-Za-z0-9_.~-]*)@[A-Za-z0-9_.\[\x7f-]"
    )


def url_parameter() -> str:
    """Outline a signature or key among the parameters of an address."""
    names = any_case("sig|signature|key|code|auth|token|credential")
    value = none_of(_SPACE + _QUOTES + "&#<>\\")
    return rf"[?&;][A-Za-z0-9_;\x7f-]*(?:{names})={value}{{12}}"


def command_login() -> str:
    """Outline the commands that are given a password."""
    same = none_of("\n|;")
    word = none_of(_SPACE)
    return (
        rf"(?:curl|wget){same}*{SPACE}(?:-u|--user|--proxy-user)|sshpass{SPACE}+-p"
        rf"|mysql{same}*-p{word}|docker login{same}*-p|IDENTIFIED BY{SPACE}"
        rf"|login{SPACE}+{word}+{SPACE}+password{SPACE}"
    )


def secret_value(words: str, suffix: str) -> str:
    """Outline a name that ends with one of the words, and the value behind it."""
    small, after = any_case(words), any_case(suffix)
    name = rf"(?:{small}|{_LETTERLESS}{_PASS}){after}"
    inner = rf"(?:{small}|{_PASS}){after}"
    loud = rf"(?:{words.upper()}|PASS){after}"
    return (
        rf"{name}{_MAYBE_QUOTE}\]?(?:(?:{_SIGN}|[ \t,]+)(?:\[{SPACE}*)?{_QUOTED}|{_SIGN}{_BARE})"
        rf"|{loud}{_MAYBE_QUOTE}\]?{_SIGN}{_NAME}{_LOUD_END}"
        rf"|\"(?:name|key)\\*\"{SPACE}*:{SPACE}*\\*\"[A-Za-z0-9_.-]*{inner}\\*\""
        rf"|-[A-Za-z0-9_-]*{inner}[ \t]+(?:{_BARE}|{_NAME}{_LOUD_END})"
    )


def uncertain_value(words: str, suffix: str) -> str:
    """Outline a name that ends with one of the words, and a long value behind it."""
    return (
        rf"{_LETTERLESS}(?:{any_case(words)}){any_case(suffix)}{_MAYBE_QUOTE}\]?"
        rf"(?:{_SIGN}(?:{_RANDOM}|{_BARE_RANDOM})|[ \t,]+{_RANDOM})"
    )

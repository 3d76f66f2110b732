"""Rules of the user's own, read from a file and checked before they are used.

A file is TOML or JSON with a list `rules`, each with `name` and `pattern`, and optionally
`title`, `needles`, `ignore_case`, `min_entropy` and `check`.
"""

from __future__ import annotations

import json
import re
import tomllib
import warnings
from pathlib import Path

# No public way leads to the parts of a pattern.
from re import _constants as _codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import msgspec

from evaltrace.errors import EvaltraceError
from evaltrace.redact.redactor import RULES
from evaltrace.redact.rules import Rule
from evaltrace.redact.sieve import sieve_for
from evaltrace.redact.values import CHECKS
from evaltrace.untrusted import one_line

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_WAYS = 10_000
"""Ways in which a pattern may be tried at one place of a text, whatever the text."""
_TWO_WAYS = "a class that can be read in two ways"
_LONGEST = 2000
_LIMIT = 1 << 20
_LOOKING = {_codes.ASSERT, _codes.ASSERT_NOT, _codes.GROUPREF, _codes.GROUPREF_EXISTS}


class RuleRefused(EvaltraceError):
    """A rule of the user's own that cannot be used."""


class _Given(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    pattern: str
    title: str = ""
    needles: tuple[str, ...] = ()
    ignore_case: bool = False
    min_entropy: float = 0.0
    check: str | None = None


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    rules: list[_Given]


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read the rules of a file. Raises RuleRefused, which says what is wrong with which rule.

    A pattern is refused that is no regular expression, that looks around or back, that can match
    nothing, or that could be tried in more than 10,000 ways at one place: each repetition needs
    an upper bound, and none stands within another. So the time for a text grows with its size.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT).decode()
        parsed = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        given = msgspec.convert(parsed, _File)
    except OSError as error:
        raise RuleRefused(f"cannot read ({error.strerror})", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        hint = 'Write a list: {"rules": [{"name": "my-key", "pattern": "mk_[a-z0-9]{20,40}"}]}'
        raise RuleRefused(f"no file of rules ({error})", where=str(path), hint=hint) from None
    return tuple(_checked(rule, path) for rule in given.rules)


def _checked(given: _Given, path: Path) -> Rule:
    fault = _fault(given)
    if fault:
        where = f"{path}: rule {one_line(given.name, 40)}"
        hint = "Give each repetition a bound, such as {8,64}; do not nest repetitions."
        if fault.startswith(_TWO_WAYS):
            hint = r"Within a class write \[ for [, and \-, \&, \~, \| for two of these marks."
        raise RuleRefused(fault, where=where, hint=hint)
    return Rule(
        name=given.name,
        title=given.title or "of the user's own rules",
        kind="format",
        pattern=given.pattern,
        needles=given.needles or ("",),
        sieve=_sieve_of(given),
        example="",
        ignore_case=given.ignore_case,
        min_entropy=given.min_entropy,
        check=given.check,
        finder="own",
    )


def _sieve_of(given: _Given) -> str:
    pattern = given.pattern.replace("(?P<secret>", "(?:")
    return f"(?i:{pattern})" if given.ignore_case else pattern


def _fault(given: _Given) -> str | None:
    """Say what is wrong with a rule, None where nothing is."""
    if not _NAME.fullmatch(given.name):
        return "a name has small letters, digits and hyphens, at most 40"
    if any(rule.name == given.name for rule in RULES):
        return "the name is one of the rules that are built in"
    if given.check is not None and given.check not in CHECKS:
        return f"no such check: name one of {', '.join(sorted(CHECKS))}"
    if len(given.pattern) > _LONGEST:
        return f"the pattern is longer than {_LONGEST} characters"
    try:
        with warnings.catch_warnings(action="error", category=FutureWarning):
            parsed = _parser.parse(given.pattern)
            re.compile(given.pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"no regular expression ({error})"
    except FutureWarning as warning:
        # Later versions of Python, and the sieve now, read it as a set within a set.
        return f"{_TWO_WAYS} ({warning})"
    if parsed.getwidth()[0] == 0:
        return "the pattern can match nothing at all"
    return _dangers(parsed) or _refused_by_sieve(given)


def _dangers(parsed: Any) -> str | None:
    try:
        ways = _ways(parsed, inside=False)
    except ValueError as error:
        return str(error)
    return None if ways <= _WAYS else f"the pattern can be tried in {ways:,} ways at one place"


def _ways(parsed: Any, *, inside: bool) -> int:
    """Count in how many ways a pattern can be tried at one place; ValueError where none can."""
    ways = 1
    for code, value in parsed:
        if code in _LOOKING:
            raise ValueError("the pattern looks around or back")
        if code in (_codes.MAX_REPEAT, _codes.MIN_REPEAT, _codes.POSSESSIVE_REPEAT):
            least, most, part = value
            if most is _codes.MAXREPEAT:
                raise ValueError("a repetition without an upper bound")
            if inside and most != least:
                raise ValueError("a repetition within a repetition")
            within = _ways(part, inside=inside or most > 1)
            if within > 1 and most > 1:
                raise ValueError("alternatives within a repetition")
            ways *= (most - least + 1) * within
        elif code is _codes.SUBPATTERN:
            ways *= _ways(value[3], inside=inside)
        elif code is _codes.ATOMIC_GROUP:
            ways *= _ways(value, inside=inside)
        elif code is _codes.BRANCH:
            ways *= sum(_ways(part, inside=inside) for part in value[1])
    return ways


def _refused_by_sieve(given: _Given) -> str | None:
    try:
        sieve_for((_sieve_of(given),))
    except ValueError as error:
        return f"the pattern is too large or not plain ({one_line(str(error), 100)})"
    return None

"""The grammar of conditions: text in, a checked tree out. See the package for the rules."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from evaltrace.gate.fields import Place, WrongCondition, fields_below, locate, named
from evaltrace.untrusted import one_line

Constant = float | str | bool | None

LONGEST = 2000
"""Characters of a condition."""

_DEEPEST = 50
_SHOWN = 60
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?%?(?![\w.]))
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<name>\.?[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)
      | (?P<sign><=|>=|==|!=|<|>)
      | (?P<bracket>[()])
      | (?P<other>\S)
    )""",
    re.X,
)
_CONSTANTS: dict[str, Constant] = {"true": True, "false": False, "null": None}
_WORDS = {"and", "or", "not", *_CONSTANTS}


class Token(NamedTuple):
    """A piece of a condition; `at` counts characters from 1."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Field:
    """The value at a path."""

    place: Place


@dataclass(frozen=True, slots=True)
class Length:
    """The number of items of a list or table."""

    place: Place


@dataclass(frozen=True, slots=True)
class Count:
    """The number of items of a list that a condition is true of."""

    collection: str
    condition: Tree
    text: str


@dataclass(frozen=True, slots=True)
class Test:
    """A value against a constant."""

    value: Field | Length | Count
    sign: str
    constant: Constant


@dataclass(frozen=True, slots=True)
class Not:
    """True where the inner condition is false."""

    inner: Tree


@dataclass(frozen=True, slots=True)
class Both:
    """`and` or `or` over two or more conditions."""

    word: Literal["and", "or"]
    parts: tuple[Tree, ...]


Tree = Test | Not | Both


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was checked against the fields of a comparison; true fails the gate."""

    text: str
    tree: Tree


def parse_condition(text: str) -> Condition:
    """Read a condition and check its fields and constants.

    Raises WrongCondition, with the place of the fault or the names of near fields.
    """
    if len(text) > LONGEST:
        raise WrongCondition(f"a condition of more than {LONGEST:,} characters")
    return _Parser(text).condition()


def tests_in(tree: Tree) -> Iterator[Test]:
    """Give all tests of a condition in their order, those inside count() too."""
    if isinstance(tree, Not):
        yield from tests_in(tree.inner)
    elif isinstance(tree, Both):
        for part in tree.parts:
            yield from tests_in(part)
    else:
        yield tree
        if isinstance(tree.value, Count):
            yield from tests_in(tree.value.condition)


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        yield Token(kind, match[kind], match.start(kind) + 1)
    yield Token("end", "", len(text) + 1)


class _Parser:
    """One pass from left to right, a token ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = _tokens(text)
        self.next = next(self.rest)
        self.depth = 0
        self.within: list[str | None] | None = None
        """Inside count(): the lists that its fields lead through."""

    def condition(self) -> Condition:
        if self.next.kind == "end":
            raise WrongCondition(
                "an empty condition", hint="Write one like: reward.difference.low < -0.05"
            )
        tree = self.chain("or", lambda: self.chain("and", self.negation))
        if self.next.kind != "end":
            raise self.fault("expected and, or, or the end")
        return Condition(" ".join(self.text.split()), tree)

    def chain(self, word: Literal["and", "or"], part: Callable[[], Tree]) -> Tree:
        parts = [part()]
        while self.next == ("name", word, self.next.at):
            self.take()
            parts.append(part())
        return Both(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def negation(self) -> Tree:
        if self.next.text == "not":
            return self.nested(lambda: Not(self.negation()))
        if self.next.text == "(":
            return self.nested(self.bracketed)
        return self.test()

    def nested(self, part: Callable[[], Tree]) -> Tree:
        if self.depth == _DEEPEST:
            raise self.fault(f"nested more than {_DEEPEST} deep")
        self.depth += 1
        self.take()
        tree = part()
        self.depth -= 1
        return tree

    def bracketed(self) -> Tree:
        tree = self.chain("or", lambda: self.chain("and", self.negation))
        self.expect(")")
        return tree

    def test(self) -> Test:
        value = self.value()
        if self.next.kind != "sign":
            hint = None if self.next.text != "=" else "Write == for equal."
            raise self.fault("expected one of < <= > >= == !=", hint)
        sign = self.take().text
        at = self.next
        constant = self.constant()
        reason = _misfit(value, sign, constant)
        if reason:
            raise self.fault(reason[0], reason[1], at)
        return Test(value, sign, constant)

    def value(self) -> Field | Length | Count:
        token = self.next
        if token.kind != "name" or token.text in _WORDS:
            raise self.fault("expected a field, len(...) or count(...)")
        self.take()
        if self.next.text != "(":
            return Field(self.leaf(_locate(token)))
        if token.text == "len":
            self.take()
            return self.length()
        if token.text == "count":
            return self.count(token.at)
        raise self.fault("only len and count take brackets", at=token)

    def leaf(self, place: Place) -> Place:
        """Refuse what has no value of its own, and lists outside count()."""
        if self.within is not None:
            self.within.append(place.collection)
        elif place.collection is not None:
            hint = f"Count its items: count({place.path} ...) > 0"
            raise WrongCondition(f'"{place.path}" leads through a list', hint=hint)
        if place.kind in ("list", "table"):
            what = f'"{place.path}" is {named(place.kind)}'
            raise WrongCondition(what, hint=f"Ask for its length: len({place.path}) > 0")
        if place.kind == "record":
            names = ", ".join(fields_below(place.path))
            raise WrongCondition(f'"{place.path}" is a record', hint=f"Name one of {names}")
        return place

    def length(self) -> Length:
        token = self.take()
        if token.kind != "name":
            raise self.fault("expected the path of a list", at=token)
        place = _locate(token)
        if place.kind not in ("list", "table"):
            raise WrongCondition(f'"{place.path}" is {named(place.kind)}, not a list')
        if self.within is not None:
            self.within.append(place.collection)
        elif place.collection is not None:
            raise WrongCondition(f'"{place.path}" leads through a list')
        self.expect(")")
        return Length(place)

    def count(self, start: int) -> Count:
        if self.within is not None:
            raise self.fault("a count inside a count")
        self.within = []
        tree = self.nested(self.bracketed)
        found, self.within = set(self.within), None
        [collection, *others] = sorted(name or "" for name in found)
        text = self.text[start - 1 : self.next.at - 1].strip()
        if others or not collection:
            raise WrongCondition(
                "the fields inside a count lead through one and the same list",
                where=one_line(text, _SHOWN),
                hint='Write one like: count(audit.grade == "blocker") > 0',
            )
        return Count(collection, tree, " ".join(text.split()))

    def constant(self) -> Constant:
        token = self.take()
        if token.kind == "number":
            number = float(token.text.rstrip("%")) / (100 if token.text.endswith("%") else 1)
            if not math.isfinite(number):
                raise self.fault("a number too large", at=token)
            return number
        if token.kind == "text":
            return token.text[1:-1]
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        hint = None
        if token.kind == "name":
            quoted = f'Texts stand in quotes: "{one_line(token.text, _SHOWN)}"'
            hint = "A test has a field and a constant." if "." in token.text else quoted
        raise self.fault("expected a number, a text in quotes, true, false or null", hint, token)

    def take(self) -> Token:
        token = self.next
        self.next = next(self.rest, token)
        return token

    def expect(self, text: str) -> None:
        if self.next.text != text:
            raise self.fault(f"expected {text}")
        self.take()

    def fault(self, what: str, hint: str | None = None, at: Token | None = None) -> WrongCondition:
        token = at or self.next
        found = f"found {one_line(token.text, _SHOWN)}" if token.text else "it ends there"
        where = f"{one_line(self.text, _SHOWN)} (character {token.at}: {found})"
        return WrongCondition(what, where=where, hint=hint)


def _locate(token: Token) -> Place:
    return locate(token.text.removeprefix("."))  # jq begins paths with a dot


def _misfit(
    value: Field | Length | Count, sign: str, constant: Constant
) -> tuple[str, str | None] | None:
    """Say why a constant cannot be held against a value; None where it can."""
    kind = value.place.kind if isinstance(value, Field) else "number"
    ordered = sign not in ("==", "!=")
    if constant is None:
        return ("null fits only == and !=", None) if ordered else None
    given = {bool: "truth", str: "text"}.get(type(constant), "number")
    name = value.place.path if isinstance(value, Field) else "the number of items"
    if given != kind:
        return f"{name} is {named(kind)}", None
    if ordered and kind != "number":
        return f"{name} is {named(kind)}: that fits only == and !=", None
    if isinstance(value, Field) and value.place.choices and constant not in value.place.choices:
        choices = value.place.choices
        near = difflib.get_close_matches(str(constant)[:_SHOWN], choices) or choices
        return f"{name} is never that", f"Did you mean {' or '.join(near)}?"
    return None

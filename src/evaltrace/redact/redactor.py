"""The redactor: takes the secrets out of texts, and says how many of each kind there were."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

import msgspec

from evaltrace.redact.contexts import CONTEXTS, PERSONAL, WEAK_WORDS, WORDS
from evaltrace.redact.documents import rewrite_document, segments
from evaltrace.redact.encoded import (
    base64_needles,
    find_in_base64,
    find_known,
    find_split,
    find_wrapped,
    known_sieve,
    outside,
)
from evaltrace.redact.formats import FORMATS
from evaltrace.redact.halves import find_halves, is_noted
from evaltrace.redact.markers import (
    MARKER,
    OPENING,
    SHORT,
    is_replaced,
    marked_spans,
    new_markers,
    to_marker,
)
from evaltrace.redact.named import field_value, names_secret
from evaltrace.redact.outlines import OTHER
from evaltrace.redact.rules import CUT, RANKS, Rule
from evaltrace.redact.sieve import sieve_for, to_ascii, windows
from evaltrace.redact.spans import Span, find_spans, merged

RULES: tuple[Rule, ...] = (*FORMATS, *CONTEXTS)
"""The rules that are on by default."""

KNOWN = "known-value"
_PASSES = 8
_DIGITS = 16
_DEEPEST = 4
_NAME, _VALUE = 80, 5000
_WORD = re.compile(r"[^\s\"'`\\]*")
_NEXT_LINE = re.compile(r"(\r?\n|(?:\\{1,4}r)?\\{1,4}n)[^\s\"'`\\]+")
_NAMING = re.compile(f"{WORDS}|{WEAK_WORDS}|pass|authorization|cookie", re.I)


class Place(NamedTuple):
    """Where a secret stands in a text, by which rule, and its keyed digest."""

    start: int
    end: int
    rule: str
    marker: str
    first: bool = True

    @property
    def digest(self) -> str:
        """The keyed digest of the secret."""
        return self.marker[-1 - SHORT : -1]


class Redactor:
    """Replaces secrets by `[redacted:RULE:xxxxxxxx]`. It can be pickled; what it compiles cannot.

    `known` are values to be removed wherever they occur. `personal` adds the names of users in
    paths of home folders, and e-mail addresses. Redacting twice is redacting once.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = RULES,
        *,
        key: bytes,
        known: Iterable[str] = (),
        personal: bool = False,
    ) -> None:
        self.rules = tuple(sorted({*rules, *(PERSONAL if personal else ())}, key=lambda r: r.name))
        self.key = key
        self.known = tuple(sorted(set(known)))

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (self.rules, self.key, self.known)

    def knowing(self, values: Iterable[str]) -> Redactor:
        """Give a redactor that removes these values too."""
        more = {*self.known, *values}
        return self if more == set(self.known) else _restored(self.rules, self.key, tuple(more))

    def knowing_only(self, values: Iterable[str]) -> Redactor:
        """Give a redactor that removes these values and no others, by the same rules."""
        only = tuple(sorted(set(values)))
        return self if only == self.known else _restored(self.rules, self.key, only)

    @cached_property
    def fingerprint(self) -> str:
        """Name the rules and the key, not the known values: what kept traces depend on."""
        told = msgspec.json.encode([self.rules, [sha256(b"key" + self.key).hexdigest()]])
        return sha256(told).hexdigest()

    @cached_property
    def rules_digest(self) -> str:
        """Name the rules alone, as traces tell by which ones they were redacted."""
        return sha256(msgspec.json.encode(self.rules)).hexdigest()[:_DIGITS]

    def is_clean(self, text: bytes | str) -> bool:
        """Tell whether a text, as JSON or not, surely has nothing to replace; False is doubt."""
        return not self._may_match(text)

    def is_clean_across(self, joined: str) -> bool:
        """Tell whether surely no secret lies in two of the texts that were joined."""
        if not self._may_match(joined):
            return True
        return not (self._may_be_format(joined) or self._may_be_known(joined))

    def text(self, text: str, field: str = "") -> tuple[str, Counter[str]]:
        """Redact a text that stands behind a name; count what was replaced, by rule.

        Texts that are JSON, or have lines that are, stay valid JSON.
        """
        counts: Counter[str] = Counter()
        return self.redacted(text, field, counts), counts

    def redacted(self, text: str, field: str, counts: Counter[str], depth: int = 0) -> str:
        """Redact a text and add to the counts."""
        if field and _NAMING.search(field):
            # As it is named when it is looked at again.
            named = MARKER.sub("", self.text(field)[0])
            text = self._field(text, named, counts) if _NAMING.search(named) else text
        if not self._may_match(text):
            return text
        if depth == _DEEPEST:
            return self._plain(text, counts)

        def rewrite(part: str, name: str, _offset: int) -> str:
            return self.redacted(part, name, counts, depth + 1)

        return "".join(
            rewrite_document(part, rewrite) if is_json else self._plain(part, counts)
            for part, is_json in segments(text)
        )

    def changes(self, text: str) -> list[tuple[int, str, list[tuple[str, str]]]]:
        """List strings of a JSON document with secrets: offset, name, (rule, digest) of each."""
        changes: list[tuple[int, str, list[tuple[str, str]]]] = []

        def rewrite(part: str, name: str, offset: int) -> str:
            counts: Counter[str] = Counter()
            after = self.redacted(part, name, counts, 1)
            if after != part:
                changes.append((offset, name, new_markers(part, after, counts)))
            return after

        rewrite_document(text, rewrite)
        return changes

    def places(self, text: str) -> list[Place]:
        """List what would be replaced in a plain text, in order; JSON is read as it stands."""
        spans = self._over(text, self._spans)
        return [Place(s.start, s.end, s.rule, self._marker(s), s.first) for s in spans]

    def pieces(self, pieces: Sequence[str]) -> list[tuple[str, Counter[str], list[str]]]:
        """Redact the secrets that lie in more than one of the texts that follow each other.

        Each text comes with counts, and with the parts of secrets that stood in it.
        """
        parts = find_split(pieces, lambda text: self._over(text, self._strong))
        after: list[tuple[str, Counter[str], list[str]]] = []
        for piece, found in zip(pieces, parts, strict=True):
            counts: Counter[str] = Counter()
            left = [span for span in found if not _is_marked(piece, span)]
            gone = [piece[span.start : span.end] for span in left]
            after.append((self._replaced(piece, left, counts), counts, gone))
        return after

    def _may_match(self, text: str | bytes) -> bool:
        plain = to_ascii(text)
        if self._may_fit(plain) or (is_noted(plain) and self._has_half(text)):
            return True
        # Values of ASCII characters alone stand in what is at hand as they stand in the text.
        if self.known and self._may_be_known(plain if self._is_ascii_known else _decoded(text)):
            return True
        return bool(self._own) and self._may_be_own(_decoded(text))

    def _has_half(self, text: str | bytes) -> bool:
        return any(find_halves(_decoded(text), self.rules, self.known))

    @cached_property
    def _may_fit(self) -> Callable[[str], bool]:
        rules = tuple(rule.sieve for rule in self.rules if rule.finder != "own")
        look = sieve_for((*rules, _coded(self.rules)))

        def may_fit(plain: str) -> bool:
            if not look(plain):
                return False
            # Names are left before markers, which the rules know and the sieve does not.
            return OPENING not in plain or look(MARKER.sub(OTHER, plain))

        return may_fit

    @cached_property
    def _may_be_known(self) -> Callable[[str], bool]:
        look = sieve_for(tuple(known_sieve(value) for value in self.known))
        return (lambda text: look(to_ascii(text))) if self._is_ascii_known else look

    @cached_property
    def _is_ascii_known(self) -> bool:
        return all(value.isascii() for value in self.known)

    @cached_property
    def _own(self) -> tuple[str, ...]:
        return tuple(rule.sieve for rule in self.rules if rule.finder == "own")

    @cached_property
    def _may_be_own(self) -> Callable[[str], bool]:
        return sieve_for(self._own)

    @cached_property
    def _may_be_format(self) -> Callable[[str], bool]:
        formats = (r for r in self.rules if r.kind == "format" and r.finder != "own")
        look = sieve_for((*(rule.sieve for rule in formats), _coded(self.rules)))
        return lambda text: look(to_ascii(text)) or self._may_be_own(text)

    @cached_property
    def _may_be_coded(self) -> Callable[[str], bool]:
        look = sieve_for((_coded(self.rules),))
        return lambda text: look(to_ascii(text))

    @cached_property
    def _others(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.kind != "format")

    @cached_property
    def _formats(self) -> tuple[Rule, ...]:
        return tuple(r for r in self.rules if r.kind == "format" and r.finder is None)

    def _plain(self, text: str, counts: Counter[str]) -> str:
        for left in range(_PASSES, 0, -1):
            found = self.places(text)
            if not found:
                break
            parts, place = [], 0
            for span in found:
                if span.start < place:
                    continue
                parts += [text[place : span.start], span.marker]
                # Behind each of many tokens in a row the next is seen: at last all go together.
                place = span.end
                counts[span.rule] += span.first
                if left == 1:
                    more, place = _without_rest(text, place, span.marker)
                    parts += more
            text = "".join([*parts, text[place:]])
        return text

    def _field(self, text: str, field: str, counts: Counter[str]) -> str:
        """Redact a value for the sake of the name that it stands behind."""
        for _ in range(_PASSES):
            found = [s for s in self._behind(field, text) if not _is_marked(text, s)]
            if not found:
                break
            text = self._replaced(text, found, counts)
        return text

    def _behind(self, field: str, text: str) -> list[Span]:
        before = f'{field[-_NAME:]}: "'
        found = [
            span._replace(start=span.start - len(before), end=span.end - len(before))
            for span in self._spans(f'{before}{text[:_VALUE]}"')
            if len(before) <= span.start and span.end <= len(before) + len(text)
        ]
        value = field_value(field, text)
        if value is not None:
            rule = "secret-value" if names_secret(field) else "uncertain-value"
            secret = text[value.start : value.end]
            found.append(Span(*value, rule, RANKS["context"], secret))
        return found

    def _spans(self, text: str) -> list[Span]:
        strong = self._may_be_format(text) or self._may_be_known(text)
        found = find_spans(text, self.rules if strong else self._others)
        if strong:
            found += self._coded_or_known(text)
            found += find_wrapped(text, found, self._strong)
        found += find_halves(text, self.rules, self.known)
        markers = marked_spans(text)
        return [s for s in found if not is_replaced(text, s.start, s.end, markers)]

    def _coded_or_known(self, text: str) -> list[Span]:
        coded = find_in_base64(text, self._formats) if self._may_be_coded(text) else ()
        return [*coded, *outside(find_known(text, self.known), marked_spans(text))]

    def _over(self, text: str, find: Callable[[str], list[Span]]) -> list[Span]:
        """Find spans in the parts of a text that have to be looked at."""
        return merged(
            span._replace(start=span.start + first, end=span.end + first)
            for first, last in windows(text, self._may_match)
            for span in find(text[first:last])
        )

    def _strong(self, text: str) -> list[Span]:
        """Find what needs no name before it."""
        return merged([*find_spans(text, self._formats), *self._coded_or_known(text)])

    def _replaced(self, text: str, spans: Iterable[Span], counts: Counter[str]) -> str:
        parts, place = [], 0
        for span in merged(spans):
            parts += [text[place : span.start], self._marker(span)]
            place = span.end
            counts[span.rule] += span.first
        return "".join([*parts, text[place:]])

    def _marker(self, span: Span) -> str:
        return to_marker(span.rule, span.secret, self.key)


def _decoded(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def _without_rest(text: str, place: int, marker: str) -> tuple[list[str], int]:
    """Replace the rest of a word, and the lines below that begin with one; give the place behind.

    Lines are kept: each has the marker.
    """
    parts: list[str] = []
    rest = _WORD.match(text, place)
    while rest:
        place = rest.end()
        rest = _NEXT_LINE.match(text, place)
        if rest:
            parts += [rest[1], marker]
    return parts, place


def _is_marked(text: str, span: Span) -> bool:
    return is_replaced(text, span.start, span.end, marked_spans(text))


def _restored(rules: tuple[Rule, ...], key: bytes, known: tuple[str, ...]) -> Redactor:
    return Redactor(rules, key=key, known=known)


@lru_cache(maxsize=16)
def _coded(rules: tuple[Rule, ...]) -> str:
    """Give the pattern of what the beginnings of tokens are in base64."""
    coded = {needle for r in rules for prefix in r.prefixes for needle in base64_needles(prefix)}
    if not coded:
        return r"[^\x00-\x7f]"
    # As long as the shortest token, or cut by a line break.
    rest = f"[A-Za-z0-9+/_-]{{8}}|[A-Za-z0-9+/_-]{{0,7}}{CUT}"
    return f"(?:{'|'.join(sorted(coded))})[A-Za-z0-9+/_-]{{12}}(?:{rest})"

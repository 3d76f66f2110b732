"""What people look for, as a question to the index, and where it stands in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaltrace.store.wording import Words, joined
from evaltrace.untrusted import clean, printable

_TERM = re.compile(r'"([^"]*)"?(\*?)|(\S+)')
_TOKEN = re.compile(r"[^\W_]+")
_BEFORE, _AFTER = 50, 110
"""Characters shown before and after the beginning of a match."""
_MOST_TERMS = 64


@dataclass(frozen=True, slots=True)
class Query:
    """Words and "phrases" that must all occur; `begin*` stands for all words that begin so."""

    terms: tuple[re.Pattern[str], ...]
    matches: tuple[tuple[str, str | None], ...]
    """Each term in the language of FTS5, and the beginning of a word that it ends in."""

    @property
    def match(self) -> str:
        """The question in the language of FTS5; empty where there is no word to look for."""
        return " ".join(match for match, _ in self.matches)

    def is_in(self, words: Words) -> bool:
        """Tell whether all terms occur in some texts."""
        text = fold(joined(words))
        return bool(self.terms) and all(term.search(text) for term in self.terms)

    def excerpt(self, words: Words) -> tuple[str, str, list[tuple[int, int]]]:
        """Find the field in which most terms occur: its name, a line around them, their places."""
        found = max(words, key=lambda named: self._score(named[1]), default=("", ""))
        field, text = found
        starts = [match.start() for term in self.terms if (match := term.search(fold(text)))]
        start = max(min(starts, default=0) - _BEFORE, 0)
        end = start + _BEFORE + _AFTER
        line = " ".join(printable(text[start:end]).split())
        line = f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"
        return field, line, self._marks(line)

    def _score(self, text: str) -> int:
        folded = fold(text)
        return sum(term.search(folded) is not None for term in self.terms)

    def _marks(self, line: str) -> list[tuple[int, int]]:
        folded = fold(line)
        marks: list[tuple[int, int]] = []
        for start, end in sorted(m.span() for term in self.terms for m in term.finditer(folded)):
            if marks and start < marks[-1][1]:
                marks[-1] = (marks[-1][0], max(end, marks[-1][1]))
            else:
                marks.append((start, end))
        return marks


def to_query(text: str) -> Query:
    """Read what somebody looks for; nothing in it can be wrong, what has no letter is left out."""
    terms: list[re.Pattern[str]] = []
    matches: list[tuple[str, str | None]] = []
    for phrase, star, word in _TERM.findall(clean(text).replace("\x00", " ")):
        prefix = bool(star) or word.endswith("*")
        tokens = _TOKEN.findall(fold(phrase or word))
        if tokens and len(terms) < _MOST_TERMS:
            terms.append(_pattern(tokens, prefix))
            # As it is written: the index knows best which letters it takes for the same.
            match = '"{}"'.format((phrase or word.rstrip("*")).replace('"', '""'))
            matches.append((f"{match}*", tokens[-1]) if prefix else (match, None))
    return Query(tuple(terms), tuple(matches))


def _pattern(tokens: Sequence[str], prefix: bool) -> re.Pattern[str]:
    end = "" if prefix else r"(?![^\W_])"
    return re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, tokens)) + end)


def fold(text: str) -> str:
    """Make letters that the index takes for the same ones the same; no place moves."""
    return text.lower() if text.isascii() else "".join(map(_folded, text))


@lru_cache(maxsize=8192)
def _folded(character: str) -> str:
    base = unicodedata.normalize("NFD", character)[0]
    # Accents count in other alphabets: there, the index keeps them.
    letter = base if base.isascii() else character
    forms = (letter.casefold(), letter.lower())
    return next((form for form in forms if len(form) == 1), character)

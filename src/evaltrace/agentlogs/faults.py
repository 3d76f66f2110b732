"""Lines of a log that could not be used as they are: counted, and reported at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from evaltrace.jsontext import Malformed, begins_object, decode
from evaltrace.source import Source
from evaltrace.untrusted import excerpt

T = TypeVar("T")
Row = tuple[int, memoryview | bytes]
"""A line of a log, with its number."""

BRACE = 0x7B
"""What an ordinary line begins with."""

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the fast parser raises; the patient one may still read the line."""

NOT_JSON = "not_json_lines"
_SHOWN = 60


def _quoted(row: memoryview | bytes) -> str:
    """Show the beginning of a line in quotes."""
    return f'"{excerpt(bytes(row[: _SHOWN * 16]).decode("utf-8", "replace"), _SHOWN)}"'


@dataclass
class LineFaults:
    """Lines of one log that could not be used as they are: counted, with the first of each."""

    path: str
    found: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    lines: int = 0

    def add(self, code: str, line: int, detail: str) -> None:
        """Count a faulty line."""
        count, first, what = self.found.get(code, (0, line, detail))
        self.found[code] = (count + 1, first, what)

    def decoded(self, source: Source, decoder: msgspec.json.Decoder[T]) -> Iterator[tuple[int, T]]:
        """Read the log's lines; give those that can be used, with their numbers."""
        for number, row in source.lines(self.path):
            self.lines += 1
            if row[0] == BRACE:
                try:
                    yield number, decoder.decode(row)
                    continue
                except REFUSED:
                    pass
            line = self.patiently(number, row, decoder)
            if line is not None:
                yield number, line

    def patiently(
        self, number: int, row: memoryview | bytes, decoder: msgspec.json.Decoder[T]
    ) -> T | None:
        """Decode a line that the fast parser refuses; None, and counted, if it is of no use."""
        if not begins_object(row):
            self._add_no_json(number, row)
            return None
        try:
            line, mended = decode(row, decoder)
        except Malformed as fault:
            self.malformed(number, fault, row)
            return None
        if mended:
            self.add("mended_lines", number, mended)
        return line

    def objects(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Count the lines; pass on those that may hold a JSON object, count the others as faulty.

        Looks at the beginning of a line only: a log of millions of other lines costs seconds.
        """
        for row in rows:
            self.lines += 1
            if begins_object(row[1]):
                yield row
            else:
                self._add_no_json(*row)

    def _add_no_json(self, number: int, row: memoryview | bytes) -> None:
        if NOT_JSON in self.found:
            count, first, what = self.found[NOT_JSON]
            self.found[NOT_JSON] = (count + 1, first, what)
        else:
            self.found[NOT_JSON] = (1, number, _quoted(row))

    def malformed(self, line: int, fault: Malformed, row: memoryview | bytes = b"") -> None:
        """Count a line that is no JSON, too deep, or of an unexpected shape."""
        code = f"{fault.code}_lines"
        self.add(code, line, _quoted(row) if row and code == NOT_JSON else str(fault))

    def report(self, source: Source) -> None:
        """Turn the counts into problems of the source."""
        for code, (count, first, detail) in sorted(self.found.items()):
            what, hint = _WORDS.get(code, ("could not be used", None))
            lines = f"{count} of {self.lines} lines {what} (first: line {first}, {detail})"
            source.report(code, self.path, lines, hint)


_OTHERS = "The other lines were read."
_WORDS = {
    "not_json_lines": ("are not JSON", f"Harnesses mix standard error into logs. {_OTHERS}"),
    "too_deep_lines": ("are nested too deeply", _OTHERS),
    "wrong_shape_lines": ("do not fit the log's format", _OTHERS),
    "mended_lines": ("were mended", "Nothing was lost; what is named was replaced."),
}

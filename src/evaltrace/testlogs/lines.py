"""The lines of what a test runner printed, without what terminals and log drivers add."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property

from evaltrace.source import Source, Text
from evaltrace.untrusted import printable

TEXT_LIMIT = 4 * 2**20
"""Bytes read of an output: about as many from its head as from its tail."""

LINE_LIMIT = 2000
"""Characters of a line that are looked at."""

# The cursor is sent to the first column within a line, and what stood there written over.
_HOME = "(?:\r|\x1b\\[[01]?G)"
_ERASE = "\x1b\\[[0-2]?K"
_RETURN = re.compile(f"(?<=[^\n])(?:{_ERASE}){{0,4}}{_HOME}(?:{_HOME}|{_ERASE})*+")
_TO_COLUMN = re.compile("\x1b\\[[01]?G")
_COLOUR = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]")
_SIMPLE_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_LINE_END = re.compile("\r{1,8}\n")
_CUT = re.compile(r"\n\[\.\.\. \d{1,20} bytes cut \.\.\.\]\n")
_NAMED = r"[A-Za-z][\w.-]{0,60} {0,40}\| "
"""The name of a container, as docker compose puts it before each line."""
_BEHIND_YEAR = (
    r"-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?\]? "
)
_PREFIX = re.compile(rf"(?:{_NAMED})?(?:\[?[0-9]{{4}}{_BEHIND_YEAR})?")
_BEFORE_DATE = frozenset("[0123456789")
_PLAIN = bytes([9, 10, *range(32, 127)])
"""The ASCII characters that may be in a line, and the end of one."""


class Output:
    """What was printed, without escapes."""

    def __init__(self, text: str) -> None:
        """Take what was printed; lines end as terminals would show it."""
        plain = _SIMPLE_COLOUR.sub("", text) if "\x1b" in text else text
        if "\x1b" in plain or "\r" in plain:
            text = _with_lines_ended(text)
            # No escape goes beyond its line, and mostly there are none but colours.
            plain = _COLOUR.sub("", text)
        self.text = plain if _is_printable(plain) else _printable(text)

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, without names and times before them."""
        return [_bare(line) for line in self.text.split("\n")]

    def telling(self, begins: str, mark: str, indented: str = "") -> list[str]:
        """Give the lines that begin as a pattern says or have a mark, and perhaps a few others.

        `indented` is how those begin that have white space before them.
        """
        text = self.text
        begun = _beginnings(begins, indented, named="|" in text).finditer("\n" + text)
        starts = sorted({*(match.start() for match in begun), *_starts_with(text, mark)})
        stops = [text.find("\n", start) for start in starts]
        pairs = zip(starts, stops, strict=True)
        return [_bare(text[start:] if stop < 0 else text[start:stop]) for start, stop in pairs]


@cache
def _beginnings(begins: str, indented: str, *, named: bool) -> re.Pattern[str]:
    """Make the pattern of a line's end and the next one's beginning, what stands before it too."""
    # Alternatives are passed over fastest that begin with a character, or one of several.
    if indented:
        begins = rf"{begins}|[^\S\n][^\S\n]*+(?:{indented})"
    either = rf"(?:{begins}|[\[0-9][0-9]{{3,4}}{_BEHIND_YEAR}(?:{begins}))"
    return re.compile(rf"\n(?:{either}|{_NAMED}{either})" if named else rf"\n{either}")


def _starts_with(text: str, mark: str) -> Iterator[int]:
    """Give where the lines start that a mark stands in."""
    at = text.find(mark)
    while at >= 0:
        yield text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        at = text.find(mark, end) if end >= 0 else -1


def _with_lines_ended(text: str) -> str:
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    if "\r" in text or _TO_COLUMN.search(text):
        text = _RETURN.sub("\n", text)
    return text


def _is_printable(text: str) -> bool:
    # What is left without the usual characters is short, and soon looked through.
    rest = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN)
    return rest.decode("utf-8", "surrogatepass").isprintable()


def _printable(text: str) -> str:
    lines = text.split("\n")
    return "\n".join([line if line.isprintable() else printable(line) for line in lines])


def _bare(line: str) -> str:
    if line[:1] in _BEFORE_DATE or "| " in line:
        match = _PREFIX.match(line)
        line = line[match.end() :] if match else line
    return line.rstrip()


def read_output(
    source: Source, path: str, limit: int = TEXT_LIMIT, known: Text | None = None
) -> tuple[Output, bool]:
    """Read an output, and tell whether it was cut for its length.

    `known` is the text as it was read already; it counts unless it was cut more than it has to.
    """
    text = known if known and known.digest is None else source.read_text(path, limit)
    if text is None:
        return Output(""), False
    if text.digest is None:
        return Output(text.text), False
    # A line of which only the end is there could be taken for another test.
    head, *rest = _CUT.split(text.text)
    parts = [head.rpartition("\n")[0], *(part.partition("\n")[2] for part in rest)]
    return Output("\n".join(parts)), True

"""Shell scripts that only print lines of files as they are: which lines of which files.

Anything that is not certain makes the whole script say nothing: variables, patterns,
substitutions, redirections, and every program or option that is not known here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

_LONGEST = 4096
_MOST_PARTS = 64

_BEGINS = re.compile(
    r"\s*(?:cd|cat|sed|nl|head|tail|echo|printf|for|(?:/\S*/)?(?:bash|sh|zsh|dash))\s"
)
_USES = re.compile(r"\b(?:cat|sed|nl|head|tail)\b")
_TOKEN = re.compile(
    r"(?P<blank>[ \t]+|\\\n)|(?P<end>(?:&&|;|\n)[\s;]*)|(?P<pipe>\|)(?!\|)\s*"
    r"|(?P<word>(?:[\w./:@%+,=^-]|'[^'\n]*'|\"[^\"\\$`\n]*\")+)"
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SILENT = re.compile(r"\s2>\s*(?:/dev/null|&1)(?=[\s;|]|$)")
_LOOP = re.compile(
    r"\s*for (\w+) in ([^;\n$`()]+)[;\n]\s*do\s+(.+?)\s*[;\n]\s*done\s*;?\s*", re.DOTALL
)
_BRACES = re.compile(r"([^\s{}]*)\{([^{}\s]+,[^{}\s]*)\}([^\s{}]*)")
_SHELLS = frozenset(("bash", "sh", "zsh", "dash"))
_SED = re.compile(r"(\d{1,9})(?:,(?:(\d{1,9})|(\$)|\+(\d{1,9})))?p;?")
_COUNT = re.compile(r"(?:-n|-|--lines=)?(\d{1,9})")
_ECHO_OPTION = re.compile(r"-[neE]+(?: |$)")
_ONWARD = re.compile(r"(?:-n|--lines=)?\+(\d{1,9})")

Range = tuple[int | None, int | None]
"""The first line, from 1 (None: counted from the end), and how many (None: all that follow)."""


class Look(msgspec.Struct, frozen=True, gc=False):
    """Lines of a file that are printed: `count` of them (None: all) from the one numbered `first`.

    `first` is None for the last ones; `numbered` tells that each has its number before it.
    """

    path: str
    first: int | None = 1
    count: int | None = None
    numbered: bool = False

    def below(self, places: Sequence[str]) -> Look:
        """Give the same of a file whose path was meant from a folder."""
        path = posixpath.join(*places, self.path)
        return Look(path, self.first, self.count, self.numbered)


def parts_of_script(given: Any) -> tuple[str | None, list[Look | str]] | None:
    """Give what a script prints in turn, and the folder that it changes into before.

    A part is a look at a file, or a text that stands between two of them. `given` is a script,
    or a list of arguments. None where anything is not certain.
    """
    pipelines = _pipelines_of(given)
    if not pipelines:
        return None
    folder, pipelines = None, [*pipelines]
    while pipelines and len(pipelines[0]) == 1 and pipelines[0][0][:1] == ["cd"]:
        words = pipelines.pop(0)[0]
        if len(words) != 2 or words[1].startswith("-"):
            return None
        folder = posixpath.join(folder or "", words[1])
    parts: list[Look | str] = []
    for pipeline in pipelines[:_MOST_PARTS]:
        part = _part(pipeline)
        if part is None:
            return None
        parts.append(part)
    sound = len(pipelines) <= _MOST_PARTS and any(isinstance(part, Look) for part in parts)
    return (folder, parts) if sound else None


def _pipelines_of(given: Any) -> list[list[list[str]]] | None:
    if isinstance(given, list):
        words = [word for word in given if isinstance(word, str)]
        return _unwrapped([[words]]) if len(words) == len(given) > 0 else None
    if not isinstance(given, str) or len(given) > _LONGEST:
        return None
    if not _BEGINS.match(given) or not _USES.search(given):
        return None
    pipelines = _pipelines_of_script(given)
    return _unwrapped(pipelines) if pipelines else None


@lru_cache(maxsize=256)  # runs, and the logs of one run, repeat themselves
def _pipelines_of_script(script: str) -> list[list[list[str]]] | None:
    script = _SILENT.sub("", script)
    return _pipelines(_unrolled(script) if "for " in script else script)


def _unwrapped(pipelines: list[list[list[str]]]) -> list[list[list[str]]] | None:
    """Take the script out of `bash -lc script`."""
    words = pipelines[0][0]
    if not words or posixpath.basename(words[0]) not in _SHELLS:
        return pipelines
    plain = len(pipelines) == len(pipelines[0]) == 1 and len(words) == 3
    if not plain or words[1] not in ("-c", "-lc") or len(words[2]) > _LONGEST:
        return None
    return _pipelines_of_script(words[2])


def _pipelines(script: str) -> list[list[list[str]]] | None:
    """Take a script apart: into pipelines, their commands, and the words of these."""
    pipelines: list[list[list[str]]] = [[[]]]
    at = 0
    script = script.strip()
    while at < len(script):
        match = _TOKEN.match(script, at)
        if match is None:
            return None
        at = match.end()
        kind, word = match.lastgroup, match[0]
        if kind == "word":
            if "'" in word or '"' in word:
                word = _QUOTED.sub(lambda quoted: quoted[1] or quoted[2] or "", word)
            pipelines[-1][-1].append(word)
        elif kind == "end":
            pipelines.append([[]])
        elif kind == "pipe":
            pipelines[-1].append([])
    if pipelines[-1] == [[]]:
        pipelines.pop()
    return pipelines if all(words for line in pipelines for words in line) else None


def _unrolled(script: str) -> str:
    """Write a loop over certain words as what it runs; any other script stays as it is."""
    match = _LOOP.fullmatch(script)
    if match is None:
        return script
    name, words, body = match.groups()
    variable = re.compile(rf"\$(?:{name}\b|\{{{name}\}})")
    if any(variable.search(part) for part in body.split("'")[1::2]):
        return script  # within single quotes it stands for itself
    values = [value for word in words.split() for value in _expanded(word)]
    if len(values) > _MOST_PARTS or not all(re.fullmatch(r"[\w./@+-]+", v) for v in values):
        return script
    return "\n".join(variable.sub(value, body) for value in values)


def _expanded(word: str) -> list[str]:
    match = _BRACES.fullmatch(word)
    if match is None:
        return [word]
    return [f"{match[1]}{middle}{match[3]}" for middle in match[2].split(",")]


# What a command prints.


def _part(pipeline: list[list[str]]) -> Look | str | None:
    words, *filters = pipeline
    if words[0] in ("echo", "printf"):
        return None if filters else _said(words)
    find = _SOURCES.get(words[0])
    look = find(words[1:]) if find else None
    for filtering in filters:
        look = _filtered(look, filtering) if look else None
    return look


def _said(words: list[str]) -> str | None:
    text = " ".join(words[1:])
    if words[0] == "echo":
        plain = text and "\\" not in text and not _ECHO_OPTION.match(text)
        return f"{text}\n" if plain else None
    text = text.replace("\\n", "\n")
    sound = len(words) == 2 and text.strip() and text.endswith("\n")
    return text if sound and not any(char in text for char in "\\%") else None


def _file(words: Sequence[str]) -> str | None:
    """Give the one operand that is left."""
    rest = words[1:] if words[:1] == ["--"] else words
    return rest[0] if len(rest) == 1 and rest[0] and not rest[0].startswith("-") else None


def _cat(words: list[str]) -> Look | None:
    numbered = words[:1] == ["-n"]
    path = _file(words[numbered:])
    return Look(path, numbered=numbered) if path else None


def _nl(words: list[str]) -> Look | None:
    options = 1 if words[:1] == ["-ba"] else 2 if words[:2] == ["-b", "a"] else 0
    path = _file(words[options:]) if options else None
    return Look(path, numbered=True) if path else None


def _ranged(name: str) -> Callable[[list[str]], Look | None]:
    def look(words: list[str]) -> Look | None:
        found = _range(name, words)
        path = _file(found[1]) if found else None
        return Look(path, *found[0]) if found and path else None

    return look


def _range(name: str, words: list[str]) -> tuple[Range, list[str]] | None:
    """Read which lines sed, head or tail print; also give the words after that."""
    if name == "sed":
        rest = [word for number, word in enumerate(words) if (number, word) != (1, "-e")]
        match = _SED.fullmatch(rest[1]) if rest[:1] == ["-n"] and len(rest) > 1 else None
        found = _of_sed(match) if match else None
        return (found, rest[2:]) if found else None
    if words[:1] in (["-n"], ["--lines"]) and len(words) > 1:
        words = ["-n" + words[1], *words[2:]]
    onward = _ONWARD.fullmatch(words[0]) if words and name == "tail" else None
    if onward:
        return (max(int(onward[1]), 1), None), words[1:]
    match = _COUNT.fullmatch(words[0]) if words and words[0].startswith("-") else None
    count, rest = (int(match[1]), words[1:]) if match else (10, words)
    return ((1 if name == "head" else None), count), rest


def _of_sed(match: re.Match[str]) -> Range | None:
    first, last, onward, more = match.groups()
    if onward:
        return (int(first), None) if int(first) else None
    count = int(more) + 1 if more else int(last or first) - int(first) + 1
    return (int(first), count) if int(first) and count > 0 else None


def _filtered(look: Look, words: list[str]) -> Look | None:
    """Give what is left of the lines that are passed on."""
    if words in (["cat", "-n"], ["nl", "-ba"]):
        return replace(look, numbered=True) if look.first == 1 and not look.numbered else None
    found = _range(words[0], words[1:]) if words[0] in ("sed", "head", "tail") else None
    if found is None or found[1] or look.first is None:
        return None
    (first, count), _ = found
    if first is None:  # the last ones, which have numbers only if these are printed
        whole = look.first == 1 and look.count is None
        return replace(look, first=None, count=count) if whole else None
    left = None if look.count is None else look.count - (first - 1)
    counts = [number for number in (count, left) if number is not None]
    least = min(counts, default=None)
    if least is not None and least <= 0:
        return None
    return replace(look, first=look.first + first - 1, count=least)


_SOURCES: dict[str, Callable[[list[str]], Look | None]] = {
    "cat": _cat,
    "nl": _nl,
    **{name: _ranged(name) for name in ("sed", "head", "tail")},
}

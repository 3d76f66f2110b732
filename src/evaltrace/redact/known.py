"""The secrets that a run's own configuration files hold: wherever else they occur, they go too."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from itertools import zip_longest
from typing import Any

from evaltrace.errors import Problem
from evaltrace.redact.named import field_value, is_secret, names_secret
from evaltrace.redact.values import is_login, is_random, is_reference, is_stand_in, words

NAMES = words(
    """
    .mcp.json mcp.json mcp-config.json .claude.json .credentials.json config.toml auth.json
    credentials.json opencode.json .env settings.json settings.local.json hosts.yml .netrc
    oauth_creds.json
    """
)
"""Names of files that programs keep their settings and credentials in."""

MOST = 1000
SIZE = 1 << 18
"""How many values of a trial, or of a file, are looked for, and how many characters of them."""
MOST_OF_FOLDER, SIZE_OF_FOLDER = 5 * MOST, 5 * SIZE
"""The same of a folder with many trials."""

LEAST = 8
_LONG, _LONGEST = 16, 8000
_LIMIT = 1 << 22
_DEEPEST = 40
_PARTS = 200
_SETTING = re.compile(
    r"^[ \t]{0,80}(?:export[ \t]{1,8})?([\w.-]{1,80})[ \t]{0,80}[=:][ \t]{0,80}"
    r"[\"']?([^\s\"'#]{4,4000})",
    re.M,
)
_HEADERS = re.compile(r"(?:^|[_-])(?:http_?)?headers?$", re.I)
_ENVIRONMENT = re.compile(r"(?:^|[_-])env(?:ironment)?$", re.I)
_SURE = re.compile(r"authorization|cookie|x-[\w-]{0,60}(?:key|token|auth)|approved|api-key", re.I)
_SCHEME = re.compile(r"(?:bearer|basic|token|bot)\s+", re.I)
_ADDRESS = re.compile(r"://[^\s/:@]{0,100}:([^\s/@]{4,300})@")


def is_configuration(name: str) -> bool:
    """Tell by its name whether a file may hold settings with secrets."""
    return name.rpartition("/")[2] in NAMES


def known_values(files: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """List the secrets in configuration files, given as (name, content), sorted.

    Values under names that say secret, of headers that authorize, and random ones of
    environments. Files that cannot be read as JSON or TOML are read line by line. Of a file with
    more than MOST values or SIZE characters of them, the first are listed and one more.
    """
    found: set[str] = set()
    for name, content in files:
        text = content[:_LIMIT].decode("utf-8", "replace")
        found.update(_first(filter(_is_telling, _values(_parsed(name, text), "", ""))))
    return tuple(sorted(found))


def _first(values: Iterable[str]) -> set[str]:
    first: set[str] = set()
    size = 0
    for value in values:
        if value not in first:
            first.add(value)
            size += len(value)
            if len(first) > MOST or size > SIZE:
                break
    return first


def fair_share(
    found: Iterable[Collection[str]], path: str, *, most: int = MOST, size: int = SIZE
) -> tuple[tuple[str, ...], list[Problem]]:
    """Choose what is looked for of the values of several files, sorted; a Problem says it is less.

    The files take turns, so that one with very many values keeps out none but its own.
    """
    kept: set[str] = set()
    left: set[str] = set()
    for turn in zip_longest(*dict.fromkeys(map(tuple, found))):
        for value in turn:
            if value is None or value in kept:
                continue
            if len(kept) < most and len(value) <= size:
                kept.add(value)
                size -= len(value)
            else:
                left.add(value)
    return tuple(sorted(kept)), [_too_many(path, len(kept))] if left else []


def _too_many(path: str, kept: int) -> Problem:
    return Problem(
        code="known_values_left",
        path=path,
        message=f"only {kept:,} of the secrets in settings files are looked for by their value",
        hint="See what the settings files hold; secrets of known form or name are found still.",
    )


def _parsed(name: str, text: str) -> Any:
    try:
        if name.endswith(".toml"):
            return tomllib.loads(text) if _is_flat(text) else dict(_SETTING.findall(text))
        return json.loads(text)
    except (ValueError, RecursionError):
        return dict(_SETTING.findall(text))


def _is_flat(text: str) -> bool:
    """Tell whether no name has very many parts: with their square grows the time to read it."""
    return all(line.count(".") <= _PARTS for line in text.splitlines())


def _values(value: Any, name: str, around: str, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, str(key), name, depth + 1)
    elif isinstance(value, list):
        before = ""
        for item in value:
            flagged = isinstance(item, str) and before.startswith("-")
            yield from _values(item, before if flagged else name, around, depth + 1)
            before = item if isinstance(item, str) else ""
    elif isinstance(value, str):
        yield from _secrets_of(value, name, around)


def _secrets_of(text: str, name: str, around: str) -> Iterator[str]:
    if "://" in text:
        yield from filter(is_login, _ADDRESS.findall(text))
    if len(text) > _LONGEST:
        return
    scheme = _SCHEME.match(text)
    bare = text[scheme.end() :] if scheme else text
    carried = _HEADERS.search(around) or _ENVIRONMENT.search(around)
    sure = _SURE.search(name) and not is_reference(bare) and _looks_secret(bare)
    named = field_value(name, text) or (names_secret(name) and is_secret(bare, "password"))
    if sure or named or (carried and _is_opaque(bare)):
        yield bare
    name, sign, given = text.partition("=")
    if sign and names_secret(name) and is_secret(given, name):
        yield given


def _looks_secret(text: str) -> bool:
    """Tell whether a value is random or long: a header can hold any word of a trace, too."""
    return len(text) >= _LONG or is_random(text, 2.5)


def _is_opaque(text: str) -> bool:
    return len(text) >= 20 and not is_reference(text) and is_random(text, 3.5)


def _is_telling(value: str) -> bool:
    """Tell whether a value is too long and too odd to stand anywhere by chance."""
    if not LEAST <= len(value) <= _LONGEST or is_stand_in(value):
        return False
    return any(not mark.isalpha() for mark in value) or len(value) >= _LONG

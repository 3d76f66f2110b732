"""The secrets that a run's own configuration files hold: wherever else they occur, they go too."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from evaltrace.redact.named import field_value, is_secret, names_secret
from evaltrace.redact.values import is_random, is_reference, is_stand_in, words

NAMES = words(
    """
    .mcp.json mcp.json mcp-config.json .claude.json .credentials.json config.toml auth.json
    credentials.json opencode.json .env settings.json settings.local.json hosts.yml .netrc
    oauth_creds.json
    """
)
"""Names of files that programs keep their settings and credentials in."""

LEAST = 8
_LONGEST = 8000
_LIMIT = 1 << 22
_DEEPEST = 40
_SETTING = re.compile(r"^\s*(?:export\s+)?([\w.-]{1,80})\s*[=:]\s*[\"']?([^\s\"'#]{4,4000})", re.M)
_HEADERS = re.compile(r"(?:^|[_-])(?:http_?)?headers?$", re.I)
_ENVIRONMENT = re.compile(r"(?:^|[_-])env(?:ironment)?$", re.I)
_SURE = re.compile(r"authorization|cookie|x-[\w-]*(?:key|token|auth)|approved|api-key", re.I)
_SCHEME = re.compile(r"^(?:bearer|basic|token|bot)\s+", re.I)
_ADDRESS = re.compile(r"://[^\s/:@]{0,100}:([^\s/@]{4,300})@")


def is_configuration(name: str) -> bool:
    """Tell by its name whether a file may hold settings with secrets."""
    return PurePosixPath(name).name in NAMES


def known_values(files: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    """List the secrets in configuration files, given as (name, content), sorted.

    Values under names that say secret, of headers that authorize, and random ones of
    environments. Files that cannot be read as JSON or TOML are read line by line.
    """
    found: set[str] = set()
    for name, content in files:
        text = content[:_LIMIT].decode("utf-8", "replace")
        found.update(_values(_parsed(name, text), "", ""))
    return tuple(sorted(value for value in found if _is_telling(value)))


def _parsed(name: str, text: str) -> Any:
    try:
        return tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError):
        return dict(_SETTING.findall(text))


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
    bare = _SCHEME.sub("", text)
    yield from _ADDRESS.findall(text)
    carried = _HEADERS.search(around) or _ENVIRONMENT.search(around)
    sure = _SURE.search(name) and not is_reference(bare)
    named = field_value(name, text) or (names_secret(name) and is_secret(bare, "password"))
    if sure or named or (carried and _is_opaque(bare)):
        yield bare
    name, sign, given = text.partition("=")
    if sign and names_secret(name) and is_secret(given, name):
        yield given


def _is_opaque(text: str) -> bool:
    return len(text) >= 20 and not is_reference(text) and is_random(text, 3.5)


def _is_telling(value: str) -> bool:
    """Tell whether a value is too long and too odd to stand anywhere by chance."""
    if not LEAST <= len(value) <= _LONGEST or is_stand_in(value):
        return False
    return any(not mark.isalpha() for mark in value) or len(value) >= 16

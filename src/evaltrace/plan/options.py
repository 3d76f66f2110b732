"""How trials are chosen and read."""

from __future__ import annotations

import hmac
import math
import os
from dataclasses import dataclass, replace
from hashlib import sha256

import msgspec

from evaltrace.cache import prices_digest
from evaltrace.errors import Problem
from evaltrace.mentions import check_pattern
from evaltrace.pricing import AUTO
from evaltrace.redact import Redactor, read_key


@dataclass(frozen=True, slots=True)
class Options:
    """How trials are chosen and read; `arm` labels all of them.

    `prices` names the table for costs that no agent reported: `auto`, `none`, `genai-prices`
    or the path of a file. `tool_patterns` are regular expressions to count in shell commands.
    `task_dirs` are folders of tasks, looked into for what the recorded places no longer have.
    `stamped` asks for what each trace depended on besides. `redact` is what replaces secrets:
    True for the rules of evaltrace and the user's key, False to leave them in.
    Raises ValueError for a threshold that is not above 0, a blank arm, a pattern that is none.
    """

    tasks: tuple[str, ...] = ()
    arm: str | None = None
    events: bool = True
    pass_threshold: float = 1.0
    strict: bool = False
    prices: str = AUTO
    tool_patterns: tuple[str, ...] = ()
    task_dirs: tuple[str, ...] = ()
    stamped: bool = False
    redact: bool | Redactor = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pass_threshold) and self.pass_threshold > 0):
            raise ValueError("the pass threshold must be a finite number above 0")
        if self.arm is not None and not (self.arm.strip() and self.arm.isprintable()):
            raise ValueError("the arm must be a printable label on one line")
        for pattern in self.tool_patterns:
            check_pattern(pattern)


def with_redactor(options: Options) -> tuple[Options, Problem | None]:
    """Put in the redactor that the options ask for, made with the user's key.

    A Problem says where the key cannot be kept: it is another one the next time.
    """
    if options.redact is not True:
        return options, None
    key, problem = read_key()
    return replace(options, redact=Redactor(key=key)), problem


def redactor_of(options: Options) -> Redactor | None:
    """Give what replaces secrets; None where they are left in."""
    redactor = with_redactor(options)[0].redact
    return redactor if isinstance(redactor, Redactor) else None


def redaction_key(options: Options) -> str:
    """Name how secrets are replaced, so that only who has the key could tell by what."""
    redactor = redactor_of(options)
    if redactor is None:
        return "off"
    told = msgspec.json.encode((redactor.fingerprint, redactor.known))
    return hmac.digest(redactor.key, told, "sha256").hex()


def reading_key(options: Options) -> str:
    """Name how trials are read: with another key, their traces may be others."""
    read = (
        options.arm,
        options.events,
        options.pass_threshold,
        prices_digest(options.prices),
        options.tool_patterns,
        [os.path.realpath(folder) for folder in options.task_dirs],
        # Where some tasks are looked for; Path fails where there is no home.
        os.path.expanduser("~"),  # noqa: PTH111
        redaction_key(options),
    )
    return sha256(msgspec.json.encode(read)).hexdigest()

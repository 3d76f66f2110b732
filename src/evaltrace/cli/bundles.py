"""Options that belong together, which a command gets as one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

Command = Callable[..., None]


def bundled(
    name: str,
    keys: Sequence[str],
    options: Sequence[Callable[[Command], Command]],
    convert: Callable[[dict[str, Any]], object],
) -> Callable[[Command], Command]:
    """Make a decorator that adds options and passes what `convert` makes of their `keys`."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(**given: Any) -> None:
            command(**{name: convert({key: given.pop(key) for key in keys})}, **given)

        wrapped: Command = called
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate

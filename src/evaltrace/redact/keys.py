"""The key that the digests in markers are made with."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from evaltrace.errors import Problem

VARIABLE = "EVALTRACE_REDACTION_KEY"
"""Names the environment variable that holds the key itself."""

KEY_NOT_KEPT = "redaction_key_not_kept"
"""The code of the Problem that digests of this run compare with no other."""

_FILE = "redaction.key"
_SIZE = 32
_LEAST = 16
"""Bytes of a key below which it can be guessed, and by it what a digest stands for."""


def read_key(folder: Path | None = None) -> tuple[bytes, Problem | None]:
    """Give the key of the environment, else the user's own, which is made at its first use.

    The same user so gets the same bytes out of the same input, and nobody without the key can
    tell by a digest what a secret was. It lies in `redaction.key` in the user's data folder,
    readable by the user alone. Where it cannot be kept, it lasts for this run: a Problem says so,
    and of a short key of the environment that it can be guessed.
    """
    given = os.environ.get(VARIABLE, "").encode("utf-8", "surrogateescape")
    if given:
        return given, None if len(given) >= _LEAST else _too_short(len(given))
    path = (_data_folder() if folder is None else folder) / _FILE
    try:
        return _kept_key(path), None
    except OSError as error:
        reason = error.strerror or str(error)
        return secrets.token_bytes(_SIZE), Problem(
            code=KEY_NOT_KEPT,
            path=_FILE,
            message=f"the key for digests of secrets cannot be kept ({reason})",
            hint=f"Digests of this run compare with no other. Set {VARIABLE}, or XDG_DATA_HOME.",
        )


def _too_short(size: int) -> Problem:
    return Problem(
        code="redaction_key_short",
        path=VARIABLE,
        message=f"the key for digests of secrets has {size} bytes and can be guessed",
        hint=f"Who guesses it can try out what a digest stands for. Give {_LEAST} bytes or more.",
    )


def _data_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("evaltrace"))


def _kept_key(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{_FILE}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb", opener=_for_the_user_alone) as file:
            file.write(secrets.token_hex(_SIZE).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # Of two that make a key at once, the first one's is for both.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> bytes:
    key = path.read_bytes().strip()
    if len(key) < _SIZE:
        raise OSError("the file is too short to be a key")
    return key


def _for_the_user_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

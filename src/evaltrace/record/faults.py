"""How the recorder says that it could not record: a warning, or an error where asked for."""

from __future__ import annotations

import logging
import sys
import warnings

from evaltrace.errors import EvaltraceError
from evaltrace.untrusted import printable


class RecordingFailure(EvaltraceError):
    """Something could not be recorded, and the run was started with `strict=True`."""


class RecordingWarning(UserWarning):
    """Something could not be recorded; the program goes on."""


def _calls_within() -> int:
    """Count the calls up to the caller's own code, which the warning is to name."""
    frame, calls = sys._getframe(1), 1
    while frame.f_back is not None and _is_own(frame.f_globals.get("__name__")):
        frame, calls = frame.f_back, calls + 1
    return calls


def _is_own(module: object) -> bool:
    return isinstance(module, str) and module.startswith("evaltrace.")


def warn(text: str) -> None:
    """Warn about a run; where warnings are made errors, write to the log instead."""
    text = printable(text)
    try:
        warnings.warn(text, RecordingWarning, stacklevel=_calls_within())
    except Exception:
        logging.getLogger("evaltrace").warning("%s", text)

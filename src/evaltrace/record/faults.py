"""How the recorder says that it could not record: a warning, or an error where asked for."""

from __future__ import annotations

import logging
import warnings

from evaltrace.errors import EvaltraceError


class RecordingFailure(EvaltraceError):
    """Something could not be recorded, and the run was started with `strict=True`."""


class RecordingWarning(UserWarning):
    """Something could not be recorded; the program goes on."""


def warn(text: str) -> None:
    """Warn about a run; where warnings are made errors, write to the log instead."""
    try:
        warnings.warn(text, RecordingWarning, stacklevel=2)
    except Exception:
        logging.getLogger("evaltrace").warning("%s", text)

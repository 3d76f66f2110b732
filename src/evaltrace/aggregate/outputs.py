"""What an aggregation is named, and where it may be written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from evaltrace.errors import OutputFailure
from evaltrace.files import whole_file
from evaltrace.plan import Plan
from evaltrace.readers.walk import job_around
from evaltrace.remote import is_url
from evaltrace.trace import Tool
from evaltrace.version import __version__


def tool() -> Tool:
    """Name this program and its version, as outputs record it."""
    return Tool(name="evaltrace", version=__version__)


def output_name(plan: Plan, paths: Sequence[str | Path]) -> str:
    """Name the default output after the arm, else the job, else the paths that were named."""
    names = [row.job_name for row in plan.inputs if row.selected and row.job_name]
    if len(names) != 1:
        names = [Path(os.path.realpath(path)).name for path in paths]
    name = plan.options.arm or "+".join(names[:3])
    return re.sub(r"[^\w.+@=-]+", "-", name).strip("-.")[:100] or "traces"


def open_output(
    place: str | Path, archive_to: Path | None = None
) -> AbstractContextManager[BinaryIO]:
    """Open a file, or the object of a URL, that appears complete or not at all.

    Raises what whole_file and whole_object raise.
    """
    if is_url(place):
        from evaltrace.remote import whole_object

        return whole_object(str(place))
    return whole_file(Path(place), archive_to)


def check_output(plan: Plan, output: str | Path, option: str = "-o") -> None:
    """Refuse an output inside a job or trial: harnesses clear what they find there.

    `option` is what names another place. Raises OutputFailure.
    """
    if is_url(output):
        return
    # An output can be a folder: then it must be none of a job itself.
    place = Path(os.path.realpath(output), "any")
    inside = next((folder for folder in plan.folders if folder in place.parents), None)
    inside = inside or job_around(place)
    if inside is not None:
        raise OutputFailure(
            f"the output would lie inside the job {inside.name}",
            where=str(output),
            hint=f"Nothing is written into job directories; name another place with {option}.",
        )

"""Where recordings lie: the folder, the journals in a hidden folder of it, the final names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from evaltrace.record.clocks import to_stamp
from evaltrace.untrusted import clean

VARIABLE = "EVALTRACE_RECORDINGS"
"""The environment variable that names the folder where none is given."""

DEFAULT = Path("artifacts") / "recordings"
HIDDEN = ".journals"
"""The folder, inside that of the recordings, with the journals of running traces."""

SUFFIX = ".jsonl"
_RESERVED = ".reserved"
_UNFIT = re.compile(r"[^\w.+-]+")
_PART_BYTES = 80
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}", re.ASCII)


def recordings_folder(named: str | os.PathLike[str] | None = None) -> Path:
    """Give the folder that is named, that of the environment, or the default; absolute.

    Raises TypeError or ValueError for what cannot be the name of a folder.
    """
    folder = Path(os.fsdecode(named or os.environ.get(VARIABLE) or DEFAULT))
    if "\0" in str(folder):
        raise ValueError("a name with a null byte")
    with suppress(OSError):  # where the working directory is gone
        return folder.absolute()
    return folder


def journal_path(folder: Path, trace_id: str) -> Path | None:
    """Give the place of a trace's journal; None for what cannot be the id of a trace."""
    if not _ID.fullmatch(trace_id):
        return None
    return folder / HIDDEN / f"{trace_id}{SUFFIX}"


def file_name(agent: str, task_type: str, started: float) -> str:
    """Name the final file: trace_{agent}_{task_type}_{YYYY-MM-DDTHH-MM-SS}.json."""
    stamp = to_stamp(int(started)).removesuffix("Z").replace(":", "-")
    return f"trace_{_part(agent)}_{_part(task_type)}_{stamp}.json"


def is_file_name(name: str) -> bool:
    """Tell whether a name can be that of a final file, and is no path."""
    whole = Path(name).name == name and "\0" not in name
    return whole and name.startswith("trace_") and name.endswith(".json")


def _part(name: str) -> str:
    fit = _UNFIT.sub("_", clean(name)).encode()[:_PART_BYTES]
    return fit.decode(errors="ignore") or "_"


def reserve(folder: Path, wanted: str, trace_id: str) -> str:
    """Take the first free name of a final file: the wanted one, else with -2, -3 and so on.

    Raises OSError.
    """
    for name in _numbered(wanted):
        mark = folder / HIDDEN / f"{name}{_RESERVED}"
        try:
            with mark.open("x") as file:
                file.write(trace_id)
        except FileExistsError:
            continue
        # Asked after the name is ours: a run that ends meanwhile has its file there by now.
        if not os.path.lexists(folder / name):
            return name
        mark.unlink()
    raise AssertionError


def release(folder: Path, name: str) -> None:
    """Give a reserved name free, and take back the hidden folder when it is empty."""
    with suppress(OSError):
        (folder / HIDDEN / f"{name}{_RESERVED}").unlink()


def reserved(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the reserved names, each with the id of its trace."""
    for mark in sorted((folder / HIDDEN).glob(f"*{_RESERVED}")):
        with suppress(OSError, UnicodeDecodeError):
            yield mark.name.removesuffix(_RESERVED), mark.read_text()


def _numbered(name: str) -> Iterator[str]:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - the stamp has no dots
    return chain([name], (f"{stem}-{number}{suffix}" for number in count(2)))

"""What the trials of a plan tell to be secret, for what a file says of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evaltrace.plan.entries import Entry
from evaltrace.readers import READERS
from evaltrace.redact import Redactor, fair_share, known_values


def knowing_firsts(redactor: Redactor, entries: Iterable[Entry]) -> Redactor:
    """Add what the settings of the first trial of each folder hold, but no part of its name.

    The trials of a job have the settings of the job in common.
    """
    firsts: dict[Path, Entry] = {}
    for entry in entries:
        first = firsts.setdefault(entry.folder, entry)
        if entry.name < first.name:
            firsts[entry.folder] = entry
    found = [values for first in firsts.values() for values in _known_to(first)]
    known, _ = fair_share(found, "")
    names = "\n".join(first.label for first in firsts.values())
    return redactor.knowing(value for value in known if value not in names)


def _known_to(entry: Entry) -> list[tuple[str, ...]]:
    reader = READERS[entry.reader]
    files = reader.open_trial(entry.place, entry.job, entry.label)
    settings, _ = reader.read_settings(files)
    return [known_values([file]) for file in settings]

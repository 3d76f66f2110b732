"""The code changes of a trial: as somebody recorded them, else as its edits rebuild them.

Harbor itself records no diff. Artifacts are trusted first, then the agent's own patch,
then the edits of its tools. Source: Harbor format reference, sections 1.4 and 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from evaltrace.agentlogs.code_changes import rebuild_changes
from evaltrace.agentlogs.transcript import Transcript
from evaltrace.cuts import cut_text, cuts_of_file
from evaltrace.patches.counts import Source as PatchSource
from evaltrace.patches.counts import count_changes
from evaltrace.source import Source
from evaltrace.trace import CodeStats, Truncation
from evaltrace.untrusted import clean, excerpt

DIFF_LIMIT = 4_000_000
"""Bytes kept of a diff."""

_SUFFIXES = (".patch", ".diff")
_USUAL = ("agent.patch", "agent.diff", "agent_patch.diff", "model.patch", "patch.diff")
_OF_THE_TASK = re.compile(
    r"(?i)(^|[^a-z])(tests?|gold(en)?|solution|oracle|reference|expected|verifier|eval)([^a-z]|$)"
)
"""Names of patches that come with a task: what is tested with, or the right answer."""
_COLLECTED = "/logs/artifacts"


class _Entry(msgspec.Struct):
    """One entry of an artifact manifest."""

    source: str | None = None
    destination: str | None = None
    type: str | None = None


_MANIFEST = msgspec.json.Decoder(list[_Entry])


@dataclass(slots=True)
class CodeChanges:
    """A diff, its counts, the file it came from, and whether it had to be cut."""

    diff: str
    stats: CodeStats | None
    path: str
    truncated: list[Truncation]


def read_changes(
    source: Source, step_names: list[str], transcripts: list[Transcript]
) -> CodeChanges | None:
    """Give the code changes by the best source there is.

    A patch that is empty, or no diff, is worth less than edits that are known.
    """
    recorded = _read_recorded(source, step_names)
    if recorded is not None and "@@ " in recorded.diff:
        return recorded
    logged = _left_in_log(source, transcripts) or _rebuilt(source, transcripts)
    if recorded is None:
        return logged
    if logged is None or not logged.diff:
        return recorded
    if recorded.stats is not None:
        hint = "What was committed, or a failed `git diff`, leaves it so; the edits are shown."
        source.report("empty_patch", recorded.path, "empty, but the agent edited files", hint)
    return logged


def _left_in_log(source: Source, transcripts: list[Transcript]) -> CodeChanges | None:
    """Give the diff that the agent left in its log."""
    found = [row.patch for row in transcripts if row.patch is not None]
    if not found:
        return None
    diff, cuts = cut_text("code_changes", clean(found[-1].diff), DIFF_LIMIT)
    complete = transcripts[-1].patch is found[-1]
    stats = None if cuts else count_changes(diff, source="agent_patch", complete=complete)
    return _told(source, CodeChanges(diff, stats, found[-1].path, cuts))


def _rebuilt(source: Source, transcripts: list[Transcript]) -> CodeChanges | None:
    changes = rebuild_changes(transcripts)
    if changes is None:
        return None
    for path, reason in changes.left_out.items():
        hint = "It is not in the diff; code_stats.files has it, with counts where they are known."
        source.report("edit_not_rebuilt", "", f"{excerpt(clean(path), 200)}: {reason}", hint)
    diff, cuts = cut_text("code_changes", clean(changes.diff), DIFF_LIMIT)
    logs = dict.fromkeys(row.sources.get("events", "").partition(":")[0] for row in transcripts)
    doubts = f" (not complete: {'; '.join(changes.doubts)})" if changes.doubts else ""
    where = " and ".join(log for log in logs if log) or "the agent's log"
    return CodeChanges(diff, changes.stats, f"{where}: rebuilt from edit calls{doubts}", cuts)


def _read_recorded(source: Source, step_names: list[str]) -> CodeChanges | None:
    """Read the recorded patch; in a multi-step trial that of the last step that has one.

    It is complete unless a later step left none.
    """
    roots = ["", *(f"steps/{name}/" for name in step_names)]
    found = [(root, patch) for root in roots if (patch := _find_patch(source, root))]
    if not found:
        return None
    root, (path, kind) = found[-1]
    text = source.read_text(path, DIFF_LIMIT)
    if text is None:
        return None
    diff = text.text
    cuts = cuts_of_file("code_changes", text)
    complete = root in ("", roots[-1])
    stats = None if cuts else count_changes(diff, source=kind, complete=complete)
    return _told(source, CodeChanges(diff, stats, path, cuts))


def _told(source: Source, changes: CodeChanges) -> CodeChanges:
    """Report a diff that could not be counted; give it as it is."""
    if changes.stats is None:
        what = "no unified diff, or cut"
        source.report("unparseable_diff", changes.path, what, "It is kept as text.")
    return changes


def _find_patch(source: Source, root: str) -> tuple[str, PatchSource] | None:
    """Find the patch that shows what the agent did; the verifier's folder is looked at last."""
    places: tuple[tuple[PatchSource, list[str]], ...] = (
        ("artifact", _collected(source, f"{root}artifacts")),
        ("agent_patch", _in_folder(source, f"{root}agent")),
        ("agent_patch", _patches(source, f"{root}agent/swe-agent-output")),
        ("artifact", _in_folder(source, f"{root}verifier")),
    )
    for kind, paths in places:
        chosen = _best(source, paths)
        if chosen:
            return chosen, kind
    return None


def _best(source: Source, paths: list[str]) -> str | None:
    """Choose among patches: the usual names, else the first that is not the task's own."""
    names = {path: path.rpartition("/")[2] for path in paths}
    usual = [path for path in paths if names[path] in _USUAL]
    others = [path for path in paths if not _OF_THE_TASK.search(names[path])]
    found = usual or others
    if len(found) > 1:
        message = f"chosen among {len(found)}: {excerpt(', '.join(found[1:]), 200)} left out"
        hint = "Call the agent's patch agent.patch, or collect it alone."
        source.report("several_patches", found[0], message, hint)
    return next(iter(found), None)


def _patches(source: Source, folder: str) -> list[str]:
    return [path for path in source.walk(folder) if path.endswith(_SUFFIXES)]


def _in_folder(source: Source, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in source.files(folder) if name.endswith(_SUFFIXES)]


def _collected(source: Source, folder: str) -> list[str]:
    """List the patches among the artifacts, without those of a source tree that was collected."""
    paths = _patches(source, folder)
    manifest = f"{folder}/manifest.json"
    entries = source.read_json(manifest, _MANIFEST) or []
    trees = [
        f"{folder}/{_below(entry.destination)}/"
        for entry in entries
        if entry.type == "directory"
        and entry.destination
        and not (entry.source or "").startswith(_COLLECTED)
    ]
    return [
        path
        for path in paths
        if path.rpartition("/")[2] in _USUAL or not path.startswith(tuple(trees))
    ]


def _below(destination: str) -> str:
    return destination.strip("/").removeprefix("artifacts/")

"""The code changes of a trial, where somebody recorded them as a patch.

Harbor itself records no diff. Source: Harbor format reference, section 7 (1 and 2).
"""

from __future__ import annotations

from dataclasses import dataclass

from evaltrace.patches import Source as PatchSource
from evaltrace.patches import count_changes
from evaltrace.source import Source
from evaltrace.trace import CodeStats, Truncation
from evaltrace.untrusted import clean

DIFF_LIMIT = 4_000_000
"""Bytes kept of a diff."""

_SUFFIXES = (".patch", ".diff")


@dataclass(slots=True)
class CodeChanges:
    """A diff, its counts, the file it came from, and whether it had to be cut."""

    diff: str
    stats: CodeStats | None
    path: str
    truncated: list[Truncation]


def read_changes(source: Source, step_names: list[str]) -> CodeChanges | None:
    """Read the recorded patch; in a multi-step trial the last step's counts."""
    roots = ["", *(f"steps/{name}/" for name in step_names)]
    found: tuple[str, PatchSource] | None = None
    for root in roots:
        found = _find_patch(source, root) or found
    if found is None:
        return None
    path, kind = found
    text = source.read_text(path, DIFF_LIMIT)
    if text is None:
        return None
    diff = clean(text.text)
    cuts = []
    if text.digest:
        kept = len(text.text.encode())
        cuts.append(
            Truncation(
                field="code_changes",
                original_length=text.length,
                kept_length=kept,
                unit="bytes",
                digest=text.digest,
            )
        )
    stats = count_changes(diff, source=kind, complete=True) if not cuts else None
    if stats is None:
        source.report("unparseable_diff", path, "no unified diff, or cut", "It is kept as text.")
    return CodeChanges(diff, stats, path, cuts)


def _find_patch(source: Source, root: str) -> tuple[str, PatchSource] | None:
    artifacts = [path for path in source.walk(f"{root}artifacts") if path.endswith(_SUFFIXES)]
    verifier = _in_folder(source, f"{root}verifier")
    agent = _in_folder(source, f"{root}agent")
    if artifacts or verifier:
        return (artifacts or verifier)[0], "artifact"
    return (agent[0], "agent_patch") if agent else None


def _in_folder(source: Source, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in source.files(folder) if name.endswith(_SUFFIXES)]

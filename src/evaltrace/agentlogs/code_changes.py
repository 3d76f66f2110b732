"""The code changes of a run, rebuilt from what its edit tools did.

What a shell wrote is not in them: they are complete only where nothing else can have
written. Source: Harbor format reference, section 7 (3).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from evaltrace.agentlogs.apply_patch import without_patch
from evaltrace.agentlogs.harmless import asks_subagent_to_work, is_harmless, names_reading
from evaltrace.agentlogs.shells import may_write
from evaltrace.agentlogs.transcript import Call, Transcript
from evaltrace.patches.edits import Edit
from evaltrace.patches.rebuilding import Rebuilt, rebuild
from evaltrace.trace import CodeStats

_BY_SHELL = "a shell command may have written"
_SHORT = 200
"""Characters of a command that it pays to remember."""


@dataclass(frozen=True, slots=True)
class RebuiltChanges:
    """A rebuilt diff, its counts, what is missing from it by path, and why it may lack more."""

    diff: str
    stats: CodeStats
    left_out: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def rebuild_changes(transcripts: Sequence[Transcript]) -> RebuiltChanges | None:
    """Rebuild the changes of a trial's runs, in order; None where the logs cannot tell.

    A run that left no edit and may have written in other ways tells nothing.
    """
    found: dict[str, None] = {}
    for transcript in transcripts:
        found.update(dict.fromkeys(_doubts(transcript, found)))
    doubts = list(found)
    if not transcripts or (doubts and not any(map(_changes, transcripts))):
        return None
    edits = [edit for transcript in transcripts for edit in _edits(transcript)]
    cwd = next((row.cwd for row in transcripts if row.cwd), None)
    rebuilt = rebuild(edits, cwd=cwd)
    if rebuilt.left_out:
        doubts.append(f"{len(rebuilt.left_out)} files could not be rebuilt")
    stats = _stats(rebuilt, complete=not doubts)
    return RebuiltChanges(rebuilt.diff, stats, rebuilt.left_out, doubts)


def _changes(transcript: Transcript) -> bool:
    """Tell whether a run left an edit that is more than a sighting."""
    calls = (call.edits for call in transcript.calls.values() if call.failed is False)
    return any(not edit.sighted for edits in (transcript.edits, *calls) for edit in edits)


def _edits(transcript: Transcript) -> Iterator[Edit]:
    yield from transcript.edits
    for call_id, call in transcript.calls.items():
        if call.failed is False:
            yield from transcript.shown(call_id)
            yield from call.edits


def _doubts(transcript: Transcript, known: Container[str]) -> Iterator[str]:
    """Give the reasons why the edits of a run may not be all its changes.

    Commands are not judged where it is `known` that one may have written: it takes long.
    """
    if transcript.doubt:
        yield transcript.doubt
    if not (transcript.calls or transcript.turns):
        yield "the log shows no work"
    if transcript.edits_lost:
        yield f"{transcript.edits_lost} edits were too large to keep"
    delegated = any(call.kind == "subagent" for call in transcript.calls.values())
    told = _parents(transcript) if delegated else set()
    written = _BY_SHELL in known
    for call in transcript.calls.values():
        if call.kind == "subagent":
            doubt = None if _is_told(call, told) else "a subagent may have written"
        elif call.kind == "shell" and written:
            continue
        else:
            doubt = _doubt(call, transcript.cwd)
            written = written or doubt == _BY_SHELL
        if doubt:
            yield doubt


def _parents(transcript: Transcript) -> set[str]:
    """Give the ids of the events below which something was called or said by a model."""
    return {
        event.parent_id
        for event in transcript.outline
        if event.parent_id and (event.type == "tool_call" or event.role == "assistant")
    }


def _is_told(call: Call, parents: set[str]) -> bool:
    """Tell whether the log shows what a subagent did."""
    if not asks_subagent_to_work(call.name):
        return True
    return call.event is not None and call.event.id in parents


def _doubt(call: Call, cwd: str | None) -> str | None:
    if call.kind == "shell":
        return _BY_SHELL if _shell_may_write(call, cwd) else None
    if call.kind == "edit" and call.failed is not True and call.reading is None:
        if call.failed is None:
            return "an edit has no result"
        return None if call.edits else "an edit is of an unknown form"
    if call.kind == "mcp" and not names_reading(call.name, call.server):
        return "a tool of an MCP server may have written"
    if call.kind == "other" and not is_harmless(call.name):
        return "a tool of an unknown kind may have written"
    return None


def _shell_may_write(call: Call, cwd: str | None) -> bool:
    command = call.command
    if call.edits:
        # What a patch did that failed, or has no result, is not known.
        command = without_patch(command) if command and call.failed is False else None
    if command is None:
        return True
    return (_known_to_write if len(command) <= _SHORT else may_write)(command, cwd)


# Most commands of a run are short, and were run before: in it, or in another trial.
_known_to_write = lru_cache(4096)(may_write)


def _stats(rebuilt: Rebuilt, *, complete: bool) -> CodeStats:
    """Count as the rebuilding did: a name with a blank in it may mislead a reader of the diff."""
    return CodeStats(
        source="reconstructed",
        complete=complete,
        files=rebuilt.files,
        files_changed=len(rebuilt.files),
        lines_added=sum(file.added or 0 for file in rebuilt.files),
        lines_removed=sum(file.removed or 0 for file in rebuilt.files),
    )

"""What the cache has of the planned trials, among what is read; and what is read, kept."""

from __future__ import annotations

from contextlib import closing

from evaltrace.aggregate.joining import Content, Rows
from evaltrace.cache import Cache, KeptTrial, Reading
from evaltrace.files import SEPARATOR, Span
from evaltrace.plan import Entry, Plan
from evaltrace.readers import READERS
from evaltrace.summary import TrialRow

_OF_FOLDERS = {"broken_link", "link_outside", "too_many_entries", "unreadable"}
"""What is wrong right in the folder of a trial: its job reports that as well."""


def with_kept(plan: Plan, cache: Cache, rows: Rows) -> Rows:
    """Give what became of all trials, in order; `rows` are those that were read, which are kept.

    The cache is to be closed only when what was given here has been used.
    """
    with closing(rows):
        for entry in plan.entries:
            if entry.kept is not None:
                yield _from_cache(entry, cache)
                continue
            row, content = next(rows)
            _keep(entry, row, content, cache)
            row.looked_at = None
            yield row, content


def _from_cache(entry: Entry, cache: Cache) -> tuple[TrialRow, Span]:
    job, name = entry.job.path, entry.name
    kept, span = cache.kept(job, name), cache.span(job, name)
    assert kept is not None
    row = TrialRow(
        label=entry.label,
        length=span.length - len(SEPARATOR),
        facts=kept.facts,
        problems=kept.problems,
    )
    return row, span


def _keep(entry: Entry, row: TrialRow, content: Content, cache: Cache) -> None:
    """Keep a trial that was read without a hitch."""
    if entry.job is None:
        return
    job, name = entry.job.path, entry.name
    if cache.verifying and _is_known(entry, row, content, cache):
        return
    if content is None or row.facts is None or not row.looked_at:
        return
    reader = READERS[entry.reader]
    if any(_may_pass(problem.code, problem.path, entry.label) for problem in row.problems):
        return
    cache.keep(
        job,
        Reading(
            name=name,
            reader=entry.reader,
            trial=KeptTrial(
                task=entry.task,
                trial=entry.trial,
                trace_id=entry.trace_id,
                configuration=entry.configuration,
                started=entry.started,
                finished=entry.finished,
                state="" if entry.finished else reader.unfinished_facts(entry.job),
                attempt=entry.attempt,
                facts=row.facts,
                problems=row.problems,
            ),
            looked_at=row.looked_at,
            last=reader.LAST_WRITTEN,
        ),
        content,
    )


def _may_pass(code: str, path: str, label: str) -> bool:
    """Tell whether a problem may be gone next time, or has to be reported of the job anew."""
    right_here = path.count("/") <= label.count("/") + 1
    return code == "changed_while_read" or (code in _OF_FOLDERS and right_here)


def _is_known(entry: Entry, row: TrialRow, content: Content, cache: Cache) -> bool:
    """Tell whether the cache has what was read; say so where it has something else."""
    job, name = entry.job.path, entry.name
    kept = cache.kept(job, name)
    if kept is None or kept.attempt != entry.attempt:
        return False
    told = (kept.task, kept.trial, kept.trace_id, kept.configuration, kept.started)
    read = (entry.task, entry.trial, entry.trace_id, entry.configuration, entry.started)
    same = told == read and (kept.facts, kept.problems) == (row.facts, row.problems)
    if same and content is not None and _bytes_of(content) == _bytes_of(cache.span(job, name)):
        return True
    cache.note(
        "cache_differs",
        entry.label,
        "the cache had another trace than the trial's files make",
        "What was read now was used and kept. If no disk is failing, please report this.",
    )
    return False


def _bytes_of(content: bytes | Span) -> bytes:
    if isinstance(content, bytes):
        return content
    with open(content.path, "rb") as file:
        file.seek(content.offset)
        return file.read(content.length).removesuffix(SEPARATOR)

"""Differences of tasks: what was asked, by which task, how often, and which are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Literal

from evaltrace.compare.audit.items import entry, label_of, some_of, verb
from evaltrace.compare.audit.values import shown
from evaltrace.compare.sides import Pair, Pairing, Side, Trial
from evaltrace.compare.wording import counted
from evaltrace.comparison import AuditItem, Grade, TreatmentKind
from evaltrace.trace import Input

_REFERENCE = ("git_url", "git_commit_id", "ref", "version")
_OF_TASK = attrgetter("trace.task", "trace.origin.task_ref", "trace.sources", "instruction")
_AROUND_INSTRUCTION = ("agent", "tool", "config")
"""Treatments that may well add to what the agent is sent."""


def audit_tasks(
    baseline: Side, treatment: Side, pairing: Pairing, kind: TreatmentKind
) -> Iterator[AuditItem]:
    """Compare the tasks of both arms, and the arms' attempts at them."""
    both = [pair for pair in pairing.tasks if pair.baseline and pair.treatment]
    versions = [Pair(pair.task, _unlike(pair.baseline), _unlike(pair.treatment)) for pair in both]
    yield from _audit_content(versions)
    yield from _audit_instructions(versions, kind)
    yield from _audit_references(versions)
    yield from _audit_missing(baseline, treatment, pairing)
    yield from _audit_attempts(baseline, treatment, both)
    yield from _audit_left_out(baseline, treatment)


def _unlike(trials: Sequence[Trial]) -> list[Trial]:
    """Give the first of the trials that say the same of their task, which most of them do."""
    said: dict[tuple[object, ...], Trial] = {}
    for trial in trials:
        task, reference, sources, instruction = _OF_TASK(trial)
        said.setdefault((id(task), id(reference), id(sources), instruction), trial)
    return list(said.values())


# What a task is.


def _audit_content(pairs: Sequence[Pair]) -> Iterator[AuditItem]:
    by_digest = [pair for pair in pairs if _alike(pair, _digest) == "no"]
    by_checksum = [pair for pair in pairs if _differs_by_checksum(pair)]
    for what, value, told in (
        ("digest", _digest, by_digest),
        ("checksum", _checksum, by_checksum),
    ):
        if told:
            names = [pair.task for pair in told]
            number = counted(len(names), "task")
            message = (
                f"{number} of {len(pairs)} in both arms {verb(len(names), 'has', 'have')} another "
                f"content in each, by {what} ({some_of(names)}); run both arms on the same tasks."
            )
            values = _first_values(told[0], value)
            yield entry("blocker", "task_content", f"task.{what}", message, values, names)


Read = Callable[[Trial], object]

_digest: Read = attrgetter("trace.task.digest")
_checksum: Read = attrgetter("trace.task.checksum")
_instruction: Read = attrgetter("instruction")


def _differs_by_checksum(pair: Pair) -> bool:
    # A checksum depends on the harness's version: where there is a digest, that decides.
    return _alike(pair, _digest) == "unknown" and _alike(pair, _checksum) == "no"


Likeness = Literal["yes", "no", "unknown"]


def _alike(pair: Pair, value: Read) -> Likeness:
    """Tell whether the arms have a value in common; unknown where one has none."""
    before = set(map(value, pair.baseline)) - {None}
    after = set(map(value, pair.treatment)) - {None} if before else before
    if not (before and after):
        return "unknown"
    return "no" if before.isdisjoint(after) else "yes"


def _same_content(pair: Pair) -> bool:
    return "yes" in (_alike(pair, _digest), _alike(pair, _checksum))


# What the agent was told.


def _audit_instructions(pairs: Sequence[Pair], kind: TreatmentKind) -> Iterator[AuditItem]:
    compared = [pair for pair in pairs if _instructions(pair) != "unknown"]
    changed = [pair for pair in compared if _instructions(pair) == "no"]
    if not changed:
        return
    sure = [pair for pair in changed if _same_source(pair)]
    around = kind in _AROUND_INSTRUCTION and all(map(_same_content, changed))
    grade: Grade = "note" if not sure else "warning" if around else "blocker"
    names = [pair.task for pair in sure or changed]
    text = (
        f"The instruction differs between the arms in {len(names)} of "
        f"{counted(len(compared), 'task')} where both recorded one ({some_of(names)})"
    )
    if not sure:
        text += ", but was read from different files; compare it by eye."
    elif around:
        text += ", though the tasks are the same: the agent adds to it; check what."
    else:
        text += "; tell both arms the same, or count the text as part of the treatment."
    values = _first_values((sure or changed)[0], _instruction)
    yield entry(grade, "instruction", "task_instruction", text, values, names)


def _instructions(pair: Pair) -> Likeness:
    return _alike(pair, _instruction)


def _same_source(pair: Pair) -> bool:
    """Tell whether instructions that differ were found in the same place in both arms."""
    before, after = (
        {_source(trial) for trial in trials if trial.instruction is not None}
        for trials in (pair.baseline, pair.treatment)
    )
    return bool(before & after)


def _source(trial: Trial) -> str:
    return trial.trace.sources.get("task_instruction", "")


# Where it comes from.


def _audit_references(pairs: Sequence[Pair]) -> Iterator[AuditItem]:
    rows: tuple[tuple[str, str, Read], ...] = (
        ("task.source", "data set", attrgetter("trace.task.source")),
        ("task.org", "organisation", attrgetter("trace.task.org")),
        ("origin.task_ref", "version in its data set", _reference),
    )
    for field, what, value in rows:
        changed = [pair for pair in pairs if _alike(pair, value) == "no"]
        if changed:
            same = all(map(_same_content, changed))
            names = [pair.task for pair in changed]
            advice = "their content is the same" if same else "check that the tasks are the same"
            message = (
                f"{counted(len(names), 'task')} of {len(pairs)} in both arms "
                f"{verb(len(names), 'comes', 'come')} from another {what} in each "
                f"({some_of(names)}); {advice}."
            )
            values = _first_values(changed[0], value)
            yield entry("note" if same else "warning", "dataset", field, message, values, names)


def _reference(trial: Trial) -> tuple[tuple[str, str], ...] | None:
    reference = trial.trace.origin.task_ref
    if not reference:
        return None
    return tuple((key, str(reference[key])) for key in _REFERENCE if reference.get(key)) or None


def _first_values(pair: Pair, value: Read) -> tuple[str, str]:
    """Show the values of one task in both arms."""
    return _first(pair.baseline, value), _first(pair.treatment, value)


def _first(trials: Sequence[Trial], value: Read) -> str:
    found = next(known for trial in trials if (known := value(trial)) is not None)
    return shown(dict(found) if isinstance(found, tuple) else found, "digest")


# Which tasks there are.


def _audit_missing(baseline: Side, treatment: Side, pairing: Pairing) -> Iterator[AuditItem]:
    total, paired = len(pairing.tasks), len(pairing.pairs)
    if 2 * paired < total:
        few, rest = (f"Only {paired}", "the others") if paired else ("None", "they")
        message = (
            f"{few} of {counted(total, 'task')} can be compared: {rest} lack a valid "
            f"attempt in {label_of(baseline.label)} or {label_of(treatment.label)}; run those, or "
            "map the names of tasks that are called differently."
        )
        yield entry("blocker", "few_pairs", "pairs.tasks", message, _task_counts(pairing))
    for side, other, lacking in (
        (baseline, treatment, [pair.task for pair in pairing.tasks if not pair.treatment]),
        (treatment, baseline, [pair.task for pair in pairing.tasks if not pair.baseline]),
    ):
        if lacking:
            message = (
                f"{counted(len(lacking), 'task')} of {total} {verb(len(lacking), 'has', 'have')} "
                f"trials in {label_of(side.label)} only ({some_of(lacking)}) and "
                f"{verb(len(lacking), 'is', 'are')} not compared; run "
                f"{verb(len(lacking), 'it', 'them')} in {label_of(other.label)} too."
            )
            field = "pairs.only_baseline" if side is baseline else "pairs.only_treatment"
            yield entry("warning", "missing_tasks", field, message, _task_counts(pairing), lacking)
    yield from _audit_invalid(pairing, (baseline, treatment))


def _task_counts(pairing: Pairing) -> tuple[str, str]:
    """Count the tasks that have trials, in each arm."""
    before = sum(bool(pair.baseline) for pair in pairing.tasks)
    after = sum(bool(pair.treatment) for pair in pairing.tasks)
    return counted(before, "task"), counted(after, "task")


def _audit_invalid(pairing: Pairing, sides: tuple[Side, Side]) -> Iterator[AuditItem]:
    rows = [pair for pair in pairing.tasks if pair.baseline and pair.treatment]
    for side, names in (
        (sides[0], [pair.task for pair in rows if not pair.valid_baseline]),
        (sides[1], [pair.task for pair in rows if not pair.valid_treatment]),
    ):
        if names:
            message = (
                f"{counted(len(names), 'task')} of {len(rows)} in both arms "
                f"{verb(len(names), 'has', 'have')} no attempt that counts in "
                f"{label_of(side.label)} ({some_of(names)}); run {verb(len(names), 'it', 'them')} "
                "again."
            )
            arm = "baseline" if side is sides[0] else "treatment"
            before = sum(bool(pair.valid_baseline) for pair in rows)
            after = sum(bool(pair.valid_treatment) for pair in rows)
            values = (counted(before, "valid task"), counted(after, "valid task"))
            yield entry("warning", "no_valid_attempt", f"denominators.{arm}", message, values,
                        names)  # fmt: skip


# How often each was tried.


def _audit_attempts(baseline: Side, treatment: Side, pairs: Sequence[Pair]) -> Iterator[AuditItem]:
    planned = [_planned(side.inputs) for side in (baseline, treatment)]
    started = [
        Counter(len(pair.baseline) for pair in pairs),
        Counter(len(pair.treatment) for pair in pairs),
    ]
    if all(planned) and planned[0] != planned[1]:
        values, grade = [_listed(numbers) for numbers in planned], "warning"
    elif pairs and started[0] != started[1]:
        usual = [max(counts, key=lambda n: (counts[n], n)) for counts in started]
        values = [_spread(counts) for counts in started]
        grade = "warning" if usual[0] != usual[1] else "note"
    else:
        return
    message = (
        f"The attempts per task differ: {values[0]} in {label_of(baseline.label)}, {values[1]} in "
        f"{label_of(treatment.label)}; each task's mean counts once, but the one of more attempts "
        "is the surer."
    )
    shown_as = (values[0], values[1])
    yield entry("warning" if grade == "warning" else "note", "attempts", "attempts", message,
                shown_as)  # fmt: skip


def _planned(inputs: Sequence[Input]) -> set[int]:
    return {row.attempts for row in inputs if row.attempts is not None}


def _listed(numbers: set[int]) -> str:
    return shown(", ".join(map(str, sorted(numbers))) + " planned")


def _spread(counts: Counter[int]) -> str:
    if len(counts) == 1:
        return f"{next(iter(counts))} started"
    return f"{min(counts)} to {max(counts)} started"


def _audit_left_out(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    if baseline.set_aside or treatment.set_aside:
        numbers = [len(side.set_aside) for side in (baseline, treatment)]
        message = (
            f"Trials of a task that had more than one were set aside: {numbers[0]} in "
            f"{label_of(baseline.label)}, {numbers[1]} in {label_of(treatment.label)}; "
            "--on-duplicate all counts them as attempts."
        )
        values = (str(numbers[0]), str(numbers[1]))
        yield entry("note", "set_aside", "denominators.set_aside", message, values)

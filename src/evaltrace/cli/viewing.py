"""The views of one run that `show` prints: timeline, tree, summary, one event."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import Command, bundled
from evaltrace.untrusted import one_line, printable_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evaltrace.viewer.runs import Chosen, Run
    from evaltrace.viewer.sources import Source

_ROWS = 1000
"""Events of a timeline that are printed for people."""

_SIBLINGS = 20
"""Children of an event that are printed for people."""

_UNITS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "min": 60_000.0, "h": 3_600_000.0}
_PART = r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|min|m|h)"
_DURATION = re.compile(rf"{_PART}(\s*{_PART})*", re.ASCII)

_TYPES = 8
"""Types of events that are named where one is asked for that is not there."""

_TEXT = 60
_LARGEST = 2**53


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration with its unit, or several parts of one as views write it, in milliseconds."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read 500ms, 2s, 1.5m, 1h or 1h 30m."""
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        if not _DURATION.fullmatch(text):
            self.fail(f"{value!r} is no duration: write 500ms, 2s, 1.5m or 1h.", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text))


@dataclass(frozen=True, slots=True)
class View:
    """Which view of a run is wanted, and of which of its events."""

    kind: str
    event: str | None
    types: tuple[str, ...]
    errors: bool
    min_duration_ms: float | None
    limit: int | None
    offset: int

    def chosen(self) -> Chosen:
        """Give which events are wanted."""
        from evaltrace.viewer.runs import Chosen

        return Chosen(types=self.types, errors=self.errors, min_duration_ms=self.min_duration_ms)

    def most(self, form: str, usual: int) -> int | None:
        """Give how many are printed: None for all."""
        if self.limit is None:
            return None if form == "json" else usual
        return self.limit or None


_KINDS = ("timeline", "tree", "summary")
_CHOOSING = {
    "types": "--type",
    "errors": "--errors",
    "min_duration_ms": "--min-duration",
    "limit": "--limit",
    "offset": "--offset",
}


def _to_view(given: dict[str, Any]) -> View | None:
    kinds = [kind for kind in _KINDS if given.pop(kind)]
    if len(kinds) > 1:
        raise click.UsageError(f"One view at a time: --{' or --'.join(kinds)}.")
    asked = {key for key, value in given.items() if value is not None and value is not False}
    choosing = [name for key, name in _CHOOSING.items() if key in asked and given[key] != ()]
    if given["event"] is not None:
        kind = kinds[0] if kinds else "event"
        if kind not in ("tree", "event"):
            raise click.UsageError("--event shows one event; with --tree, what is below it.")
    elif kinds or choosing:
        kind = kinds[0] if kinds else "timeline"
    else:
        return None
    if choosing and kind in ("summary", "event"):
        raise click.UsageError(f"{choosing[0]} is for a timeline or a tree.")
    limit, offset = given.pop("limit"), given.pop("offset")
    limit = None if limit is None else bounded(limit)
    return View(kind=kind, limit=limit, offset=bounded(offset or 0), **given)


_OPTIONS: list[Callable[[Command], Command]] = [
    click.option("--timeline", is_flag=True, help="Events in the order of time."),
    click.option("--tree", is_flag=True, help="Events below their parents."),
    click.option("--summary", is_flag=True, help="Steps, totals, and what failed."),
    click.option(
        "--event",
        metavar="ID",
        help="One event in full, by its id or the beginning of it; with --tree, what is below it.",
    ),
    click.option("--type", "types", multiple=True, metavar="TYPE", help="Only events of the type."),
    click.option("--errors", is_flag=True, help="Only events that failed."),
    click.option(
        "--min-duration",
        "min_duration_ms",
        type=Duration(),
        help="Only events that took as long: 500ms, 2s, 1.5m.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=0),
        show_default=f"{_ROWS:,} events, {_SIBLINGS} children of an event in a tree; json: all",
        help="How many to print, 0 for all.",
    ),
    click.option(
        "--offset",
        type=click.IntRange(min=0),
        help="How many to leave out first.",
    ),
]

view_options = bundled(
    "view",
    (*_KINDS, "event", *_CHOOSING),
    _OPTIONS,
    _to_view,
)
"""Adds the options of a view, and passes a View, or None, as `view`."""


def print_view(source: Source, view: View, form: str, width: int) -> None:
    """Print the view of a run."""
    if view.kind == "summary":
        _print_summary(source, form, width)
        return
    from evaltrace.viewer.sources import run_of

    run = run_of(source)
    if run.title is not None and run.title.events is None:
        note = "The events of this trace were left out when it was written; --summary has totals."
        _note(note, form)
    elif view.kind == "timeline":
        _print_timeline(run, view, form, width)
    elif view.kind == "tree":
        _print_tree(run, view, form, width)
    else:
        _print_event(run, view, form, width)


def _print_summary(source: Source, form: str, width: int) -> None:
    from evaltrace.viewer import format_summary, get_session_summary

    if form == "json":
        _print_json(get_session_summary(source))
    else:
        click.echo(format_summary(source, totals=True, width=width), nl=False)


def _print_timeline(run: Run, view: View, form: str, width: int) -> None:
    from evaltrace.viewer.clock import is_short
    from evaltrace.viewer.rows import timeline_rows
    from evaltrace.viewer.timeline import timeline_lines

    most = view.most(form, _ROWS)
    counter = _Counted(most)
    wanted = None if most is None else most + 1
    rows = counter.pass_on(timeline_rows(run, view.chosen(), view.offset, wanted))
    if form == "json":
        for row in rows:
            _print_json(row)
    else:
        _print_title(run, width)
        # click takes the colour out where the output is no terminal.
        for line in timeline_lines(rows, width, True, is_short(run.duration_s)):
            click.echo(line)
    for note in _timeline_notes(run, view, counter):
        _note(note, form)


def _timeline_notes(run: Run, view: View, counter: _Counted) -> Iterable[str]:
    if not counter.passed:
        yield _nothing(view)
    if counter.more:
        end = view.offset + counter.passed
        yield f"Events {view.offset + 1:,} to {end:,}; --offset {end} shows the next."
    yield from _left_out(run, view)


def _nothing(view: View) -> str:
    what = "No events" if view.chosen().all() else "No event like this"
    if view.kind == "tree" and view.event is not None:
        what += " below it"
    return f"{what} after the first {view.offset:,}." if view.offset else f"{what}."


def _left_out(run: Run, view: View) -> Iterable[str]:
    if view.types:
        yield from _unknown_types(run, view.types)
    if view.min_duration_ms is None:
        return
    unknown = run.count_unknown_durations(view.chosen())
    if unknown is None:
        yield "Events of unknown duration are left out."
    elif unknown:
        yield f"Left out because nobody knows how long they took: {unknown:,}."


def _unknown_types(run: Run, types: tuple[str, ...]) -> Iterable[str]:
    from difflib import get_close_matches

    known = [name for name, _ in run.counts().events.most_common()]
    for name in types:
        if name not in known:
            near = get_close_matches(name, known) or known[:_TYPES]
            others = ", ".join(one_line(other, _TEXT) for other in near)
            yield f'No event has the type "{name}". There are: {others or "none"}.'


class _Counted:
    """Passes items on up to a number, and knows whether there were more."""

    def __init__(self, most: int | None) -> None:
        self._most, self.passed, self.more = most, 0, False

    def pass_on(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in items:
            if self.passed == self._most:
                self.more = True
                return
            self.passed += 1
            yield item


def _print_tree(run: Run, view: View, form: str, width: int) -> None:
    from evaltrace.viewer.sources import named_event
    from evaltrace.viewer.tree import to_document, tree_branches
    from evaltrace.viewer.tree_text import tree_lines

    root = None if view.event is None else named_event(run, view.event)[1].id
    limit = view.most(form, _SIBLINGS)
    branches = tree_branches(run, view.chosen(), root, limit, view.offset)
    shown = False
    if form == "json":
        document = to_document(run, branches)
        shown = bool(document["tree"])
        _print_json(document)
    else:
        _print_title(run, width)
        for line in tree_lines(branches, width, True):
            shown = True
            click.echo(line)
    if not shown:
        _note(_nothing(view), form)
    for note in _left_out(run, view):
        _note(note, form)


def _print_event(run: Run, view: View, form: str, width: int) -> None:
    from evaltrace.viewer.detail import detail_lines, detail_of, to_document
    from evaltrace.viewer.sources import named_event

    detail = detail_of(run, named_event(run, view.event or ""))
    if form == "json":
        _print_json(to_document(detail))
        return
    for line in detail_lines(detail, width, True):
        click.echo(line)


def _print_title(run: Run, width: int) -> None:
    from evaltrace.viewer.timeline import title_lines

    if run.title is not None:
        for line in title_lines(run.title, width, True):
            click.echo(line)


def _print_json(value: Any) -> None:
    from evaltrace.viewer.events import to_json

    click.echo(printable_json(to_json(value)))


def _note(text: str, form: str) -> None:
    """Say something beside the view, where it does not get into the JSON."""
    click.echo(text, err=form == "json")


def bounded(number: int) -> int:
    """Give the number, or one that is as good: as large as anything can count to."""
    return min(number, _LARGEST)

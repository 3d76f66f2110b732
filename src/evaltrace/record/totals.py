"""What the events of a run say of its tokens, cost, files and tests.

| type | keys of its data | counted as |
|---|---|---|
| file_read | file (or path), tokens | files read (each once), tokens of what was read |
| file_modified | file (or path), lines_added, lines_deleted | files modified (each once), lines |
| llm_call | model, provider, prompt_tokens or input_tokens, completion_tokens or output_tokens, cost_usd | calls, tokens, cost |
| tests_run | total_tests, passing, failing | the last run's counts, and the number of runs |
| git_commit | commit_hash | commits |
| skill_invoked | skill | skills |
| tool_called | tool (or name) | tool calls by tool |

What an event says in its own fields (usage, model, cost_usd, ...) comes before its data, and
counts for an event of any type.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from evaltrace.measures import sum_tokens
from evaltrace.record.values import to_count, to_number
from evaltrace.trace import Event, Kind, ModelUsage, Tokens, ToolCalls, Usage

LLM_CALL = "llm_call"
TOOL_TYPES = frozenset({"tool_called", "tool_call"})
_KINDS = frozenset(get_args(Kind))

_USAGE_KEYS: dict[str, tuple[str, ...]] = {
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cache_creation_input_tokens": ("cache_creation_input_tokens", "cache_creation_tokens"),
    "cache_read_input_tokens": ("cache_read_input_tokens", "cache_read_tokens"),
}
_MODEL_KEYS = ("model", "model_used")
_PROVIDER_KEYS = ("provider", "provider_used")
_COST_KEYS = ("cost_usd", "estimated_cost_usd")
_FILE_KEYS = ("file", "path", "file_path", "name")
_TOOL_KEYS = ("tool", "tool_name", "name")
_TESTS = {"total_tests": "total_tests", "passing": "tests_passing", "failing": "tests_failing"}


def promote(event: Event) -> None:
    """Fill fields that an event leaves empty from the keys of its data."""
    data = event.data
    if data is None:
        return
    if event.type == LLM_CALL:
        inner = data.get("usage")
        event.usage = event.usage or usage_in(data)
        if event.usage is None and isinstance(inner, dict):
            event.usage = usage_in(inner)
        event.model = event.model or _text_in(data, _MODEL_KEYS)
        event.provider = event.provider or _text_in(data, _PROVIDER_KEYS)
        if event.cost_usd is None:
            event.cost_usd = _first(to_number(data.get(key)) for key in _COST_KEYS)
    elif event.type in TOOL_TYPES:
        event.name = event.name or _text_in(data, _TOOL_KEYS)
    elif event.type == "skill_invoked":
        event.name = event.name or _text_in(data, ("skill",))
    elif event.type == "error":
        event.error = event.error or _text_in(data, ("message", "error"))


@dataclass
class Totals:
    """Sums over events, added one by one; None where no event says anything of it."""

    llm_calls: int | None = None
    cost_usd: float | None = None
    first_model: str | None = None
    _chosen_model: str | None = None
    _usage: dict[str, Usage] = field(default_factory=dict)
    _costs: dict[str, float] = field(default_factory=dict)
    _files: dict[str, set[str]] = field(default_factory=dict)
    _sums: dict[str, int] = field(default_factory=dict)
    _tests: dict[str, int] = field(default_factory=dict)
    _tools: dict[tuple[str, str | None], ToolCalls] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Add one event."""
        data = event.data or {}
        if event.type == LLM_CALL or event.usage is not None or event.cost_usd is not None:
            self._add_call(event)
        if event.type in TOOL_TYPES:
            self._add_tool(event, data)
            return
        add = _ADDED.get(event.type)
        if add is not None:
            add(self, event, data)

    @property
    def usage(self) -> Usage | None:
        """Give the tokens of all calls."""
        whole: Usage | None = None
        for part in self._usage.values():
            whole = _added(whole, part)
        return whole

    @property
    def tokens(self) -> Tokens:
        """Give the token sums of all calls."""
        return sum_tokens(self.usage)

    @property
    def model(self) -> str | None:
        """Name the model that was selected first, else that of the first call."""
        return self._chosen_model or self.first_model

    @property
    def model_usage(self) -> dict[str, ModelUsage] | None:
        """Give tokens and cost by model, for the calls that name one."""
        names = sorted({name for name in (*self._usage, *self._costs) if name})
        return {name: self._used(name) for name in names} or None

    @property
    def tools(self) -> list[ToolCalls] | None:
        """Give the calls by tool, in order of name."""
        rows = sorted(self._tools.values(), key=lambda row: (row.server or "", row.name))
        return rows or None

    def account(self) -> dict[str, Any]:
        """Give the totals under the names that the caller's metrics have too."""
        usage = self.usage
        spent = None if usage is None else (usage.input_tokens or 0) + (usage.output_tokens or 0)
        found: dict[str, Any] = {
            "total_files_read": self._file_count("file_read"),
            "total_files_modified": self._file_count("file_modified"),
            # What a model was sent holds the files that were read: they are not added to it.
            "total_tokens_consumed": spent if spent is not None else self._sums.get("file_tokens"),
            "total_llm_calls": self.llm_calls,
            "total_cost_usd": self.cost_usd,
        }
        return found | self._tests | {key: self._sums[key] for key in _SUMS if key in self._sums}

    def _used(self, name: str) -> ModelUsage:
        usage = self._usage.get(name, Usage())
        parts = {part: getattr(usage, part) for part in Usage.__struct_fields__}
        return ModelUsage(**parts, cost_usd=self._costs.get(name))

    def _add_call(self, event: Event) -> None:
        if event.type == LLM_CALL:
            self.llm_calls = (self.llm_calls or 0) + 1
        name = event.model or ""
        self.first_model = self.first_model or event.model
        if event.usage is not None:
            self._usage[name] = _added(self._usage.get(name), event.usage)
        if event.cost_usd is not None:
            # Sums of cents: rounded, so that their order makes no difference.
            self.cost_usd = round((self.cost_usd or 0) + event.cost_usd, 9)
            self._costs[name] = round(self._costs.get(name, 0) + event.cost_usd, 9)

    def _add_tool(self, event: Event, data: Mapping[str, Any]) -> None:
        # Not above: who only records needs no store.
        from evaltrace.store.forms import is_error

        server = data.get("server") if isinstance(data.get("server"), str) else None
        kind = data.get("kind")
        row = self._tools.setdefault(
            (event.name or event.type, server),
            ToolCalls(
                name=event.name or event.type,
                server=server,
                kind=kind if isinstance(kind, str) and kind in _KINDS else "other",  # type: ignore[arg-type]
            ),
        )
        row.count += 1
        row.errors += is_error(event)

    def _add_file(self, event: Event, data: Mapping[str, Any]) -> None:
        path = _text_in(data, _FILE_KEYS) or event.name
        # Without a path nobody knows whether it is another file: then it is.
        self._files.setdefault(event.type, set()).add(path or f"event {event.id}")
        for key, name in _FILE_SUMS.get(event.type, {}).items():
            number = to_count(data.get(key))
            if number is not None:
                self._sums[name] = self._sums.get(name, 0) + number

    def _add_tests(self, _event: Event, data: Mapping[str, Any]) -> None:
        self._count("total_test_runs")
        counts = {name: to_count(data.get(key)) for key, name in _TESTS.items()}
        self._tests = {name: number for name, number in counts.items() if number is not None}

    def _add_commit(self, _event: Event, _data: Mapping[str, Any]) -> None:
        self._count("total_commits")

    def _add_skill(self, _event: Event, _data: Mapping[str, Any]) -> None:
        self._count("total_skills_invoked")

    def _add_choice(self, event: Event, data: Mapping[str, Any]) -> None:
        self._chosen_model = self._chosen_model or event.model or _text_in(data, _MODEL_KEYS)

    def _count(self, name: str) -> None:
        self._sums[name] = self._sums.get(name, 0) + 1

    def _file_count(self, kind: str) -> int | None:
        return len(self._files[kind]) if kind in self._files else None


_FILE_SUMS = {
    "file_read": {"tokens": "file_tokens"},
    "file_modified": {"lines_added": "total_lines_added", "lines_deleted": "total_lines_deleted"},
}
_SUMS = (
    "total_lines_added", "total_lines_deleted", "total_test_runs", "total_commits",
    "total_skills_invoked",
)  # fmt: skip
_ADDED = {
    "file_read": Totals._add_file,
    "file_modified": Totals._add_file,
    "tests_run": Totals._add_tests,
    "git_commit": Totals._add_commit,
    "skill_invoked": Totals._add_skill,
    "model_selected": Totals._add_choice,
}


def _added(first: Usage | None, second: Usage) -> Usage:
    sums: dict[str, int | None] = {}
    for name in Usage.__struct_fields__:
        parts = [getattr(usage, name) for usage in (first, second) if usage is not None]
        known = [part for part in parts if part is not None]
        sums[name] = sum(known) if known else None
    return Usage(**sums)


def usage_in(data: Mapping[str, Any]) -> Usage | None:
    """Read tokens under the names that providers give them; None where there are none."""
    counts = {
        name: _first(to_count(data.get(key)) for key in keys) for name, keys in _USAGE_KEYS.items()
    }
    return Usage(**counts) if any(count is not None for count in counts.values()) else None


def _text_in(data: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    return next((data[key] for key in keys if isinstance(data.get(key), str) and data[key]), None)


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)

"""The files of a trial on their way; what readers are not known to open comes when they do."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from evaltrace.errors import UnreadablePath
from evaltrace.remote.fetching import AHEAD, Fault, Fetcher, File
from evaltrace.remote.names import is_never_read
from evaltrace.source import Tell

_PATIENCE = 8
"""Trials in which nobody opened files of a kind: then they are not fetched ahead any more."""

_KINDS = 10_000
"""Kinds of files that are remembered: where names are all different, there is no end of them."""

_SELDOM = ("agent/trajectory.json", "verifier/reward.txt")
"""Files that are opened only where others do not say enough."""


class Habits:
    """Which kinds of files the readers open, learned from trial to trial."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._unopened: Counter[str] = Counter()

    def expects(self, key: str) -> bool:
        """Tell whether a file of a trial will probably be opened."""
        kind = _kind(key)
        if kind in self._asked:
            return True
        return self._unopened[kind] < _PATIENCE and not is_never_read(key) and key not in _SELDOM

    def learn(self, keys: Iterable[str], opened: Collection[str]) -> None:
        """Take note of which files of a trial were opened."""
        for key in keys:
            kind = _kind(key)
            if key in opened:
                _add_bounded(kind, self._asked)
            elif kind in self._unopened or len(self._unopened) < _KINDS:
                self._unopened[kind] += 1


def _add_bounded(kind: str, kinds: set[str]) -> None:
    if len(kinds) < _KINDS:
        kinds.add(kind)


def _kind(key: str) -> str:
    """Name what files have in common that lie at the same place, under names of their own."""
    if key.count("/") < 2:
        return key
    folder, _, name = key.rpartition("/")
    return f"{folder}/*.{name.rpartition('.')[2]}"


@dataclass(slots=True)
class Arriving:
    """A trial's files by their paths in it; supplies the directory `top`, which is on no disk.

    `hurry` is called when a file was asked for that had not been expected. `failure` is what
    the store, or this disk, answered then; the trial is not as it should be. Of the files
    that were begun, `reads` is the number, `begun` the bytes, `held` those of them in memory.
    """

    top: str
    files: dict[str, File]
    fetcher: Fetcher
    habits: Habits
    hurry: Callable[[], None]
    failure: UnreadablePath | OSError | None = None
    reads: int = 0
    begun: int = 0
    held: int = 0
    _opened: set[str] = field(default_factory=set)
    _tree: dict[str, dict[str, str]] | None = None

    def begin(self) -> None:
        """Begin to fetch what will probably be opened."""
        for key, file in self.files.items():
            # Of an empty object it is asked whether it is one: it may stand for a folder.
            expected = file.found.size == 0 or (self._has_room and self.habits.expects(key))
            if expected and file.coming is None and not file.settled:
                self.fetcher.begin(file)
                self.reads += 1
                self.begun += file.found.size
                self.held += file.held

    @property
    def _has_room(self) -> bool:
        # A trial may have thousands of files: those beyond this come when they are opened.
        return self.held < AHEAD

    def settle(self) -> tuple[tuple[str, Fault], ...]:
        """Wait for what was begun; give what was wrong with it. Raises UnreadablePath."""
        begun = ((key, file) for key, file in self.files.items() if file.coming is not None)
        settled = [(key, self.fetcher.settle(file)) for key, file in begun]
        return tuple((key, fault) for key, fault in settled if fault)

    def finish(self) -> None:
        """Learn from what was opened, and leave nothing on the disk."""
        self.habits.learn(self.files, self._opened)
        for file in self.files.values():
            file.remove()

    def names(self, path: str) -> dict[str, str]:
        """Give the names in a folder, in order."""
        if self._tree is None:
            self._tree = self._made_tree()
        return self._tree.get(path, {})

    def _made_tree(self) -> dict[str, dict[str, str]]:
        tree: dict[str, dict[str, str]] = {"": {}}
        for key, file in self.files.items():
            folder, _, name = key.rpartition("/")
            _add_folder(folder, tree)
            if not file.settled or file.exists:
                tree[folder][name] = "file"
            elif file.found.size == 0:
                _add_folder(key, tree)
        return {path: dict(sorted(names.items())) for path, names in tree.items()}

    def size(self, path: str) -> int:
        """Give the bytes of a file."""
        file = self.files[path]
        if file.content is not None or not file.settled:
            return file.found.size if file.content is None else len(file.content)
        # What was listed may turn out to be gone when it is opened.
        return os.stat(file.place).st_size if file.exists else 0  # noqa: PTH116

    def take(self, path: str, tell: Tell) -> bytes | str | None:
        """Give a file, which is waited for if it had not been expected."""
        self._opened.add(path)
        file = self.files[path]
        if not file.settled:
            self._fetch_now(path, file, tell)
        content = file.content
        if content is None and file.exists:
            return file.place
        if content is not None and file.coming is not None and self.held > AHEAD:
            self.held -= len(content)
            file.forget()
        return content

    def _fetch_now(self, path: str, file: File, tell: Tell) -> None:
        self.habits.learn([path], [path])
        try:
            self.fetcher.begin(file)
            self.hurry()
            fault = self.fetcher.settle(file)
        except (UnreadablePath, OSError) as error:
            self.failure, file.settled = error, True
            return
        self.held += file.held if file.content is not None else 0
        if fault:
            tell(fault.code, fault.message, fault.hint)


def _add_folder(path: str, tree: dict[str, dict[str, str]]) -> None:
    if path not in tree:
        tree[path] = {}
        above, _, name = path.rpartition("/")
        _add_folder(above, tree)
        tree[above][name] = "dir"

"""Threads that wait for a store, and that an interrupted command need not wait for.

Those of concurrent.futures keep the process until a server that hangs has been given up,
which takes minutes; and a call that waits in the main thread hears of no interrupt.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread, main_thread
from typing import Any, ParamSpec, Self, TypeVar

_PATIENCE = 2
"""Seconds: a server that answers needs less."""

P = ParamSpec("P")
T = TypeVar("T")
_Work = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Threads:
    """At most so many threads, started as there is work, until the block ends.

    What is under way then gets `patience` seconds to end.
    """

    def __init__(self, most: int, patience: float = _PATIENCE) -> None:
        self.ended = False
        self._patience = patience
        self._most, self._started, self._wanted = most, 0, 0
        self._lock = Lock()
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._running: set[Future[Any]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have a function called in one of the threads."""
        if self.ended:
            raise RuntimeError("whoever waited for this would wait for ever")
        future: Future[T] = Future()
        with self._lock:
            self._wanted += 1
            start = self._started < min(self._wanted, self._most)
            self._started += start
        self._waiting.put((future, call, arguments))
        if start:
            self._start()
        return future

    def _start(self) -> None:
        try:
            Thread(target=self._work, name="evaltrace-fetch", daemon=True).start()
        except RuntimeError:  # no more threads here: those that are there do it all
            with self._lock:
                self._started -= 1
                self._most = self._started
            if not self._started:
                raise

    def end(self) -> None:
        """Cancel what has not begun; give up what does not end soon."""
        self.ended = True
        while True:
            try:
                work = self._waiting.get_nowait()
            except Empty:
                break
            if work is not None:
                work[0].cancel()
        self._waiting.put(None)
        wait(self._running.copy(), timeout=self._patience)

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            future, call, arguments = work
            self._running.add(future)
            _settle(future, call, arguments)
            self._running.discard(future)
            del work, future, call, arguments  # or the last result stays while this waits
            with self._lock:
                self._wanted -= 1
        self._waiting.put(None)


def interruptible(call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call what may wait for long; in the main thread so that an interrupt is heard meanwhile."""
    if current_thread() is not main_thread():
        return call(*arguments, **options)
    future: Future[T] = Future()
    work = (future, lambda: call(*arguments, **options), ())
    Thread(target=_settle, args=work, name="evaltrace-ask", daemon=True).start()
    return future.result()


def _settle(future: Future[Any], call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call(*arguments)
    except BaseException as error:  # whoever waits for it raises it
        future.set_exception(error)
    else:
        future.set_result(result)

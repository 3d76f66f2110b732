"""Functions whose calls are recorded, by a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import nullcontext
from typing import Any, TypeVar, cast, overload

from evaltrace.record.faults import warn
from evaltrace.record.starting import active_recording
from evaltrace.record.steps import Step
from evaltrace.record.values import Room, to_text

CALL = "call"
"""The type of the event of a call."""

_SUMMARY = 500

F = TypeVar("F", bound=Callable[..., Any])


@overload
def traced(function: F, /) -> F: ...


@overload
def traced(
    *, name: str | None = None, arguments: bool = False, result: bool = False
) -> Callable[[F], F]: ...


def traced(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    arguments: bool = False,
    result: bool = False,
) -> F | Callable[[F], F]:
    """Record each call of a function as an event that lasts as long as the call.

    For functions, coroutines and generators of both kinds; outside of a recording the function
    does only what it always does. `name` is used instead of the function's own. `arguments` and
    `result` record these as well: they are off, as they may hold what nobody should read.
    """
    if function is None:
        return cast(
            Callable[[F], F],
            functools.partial(_wrapped, name=name, arguments=arguments, result=result),
        )
    return cast(F, _wrapped(function, name=name, arguments=arguments, result=result))


def _wrapped(
    function: Callable[..., Any], *, name: str | None, arguments: bool, result: bool
) -> Callable[..., Any]:
    if isinstance(function, classmethod | staticmethod):
        inner = _wrapped(function.__func__, name=name, arguments=arguments, result=result)
        return type(function)(inner)
    if isinstance(function, type) or not callable(function):
        warn(f"Only functions can be traced, and {to_text(function, Room(), 100)} is none")
        return function
    called = name or str(getattr(function, "__qualname__", type(function).__name__))

    def opened(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
        run = active_recording()
        if run is None:
            return None
        given = {"input": {"args": args, "kwargs": kwargs}} if arguments else {}
        return run.span(CALL, called, given)

    def close(step: Step, value: Any) -> Any:
        if result:
            step.summary(to_text(value, Room(), _SUMMARY))
        return value

    return cast(Callable[..., Any], functools.wraps(function)(_form(function, opened, close)))


_Opened = Callable[[tuple[Any, ...], dict[str, Any]], Step | None]
_Close = Callable[[Step, Any], Any]


def _form(function: Callable[..., Any], opened: _Opened, close: _Close) -> Callable[..., Any]:
    """Give the wrapper that fits what a call of the function gives."""
    if inspect.iscoroutinefunction(function):
        return _of_coroutine(function, opened, close)
    if inspect.isasyncgenfunction(function):
        return _of_async_generator(function, opened)
    if inspect.isgeneratorfunction(function):
        return _of_generator(function, opened)
    return _of_function(function, opened, close)


def _of_function(
    function: Callable[..., Any], opened: _Opened, close: _Close
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        step = opened(args, kwargs)
        if step is None:
            return function(*args, **kwargs)
        with step:
            return close(step, function(*args, **kwargs))

    return call


def _of_coroutine(
    function: Callable[..., Any], opened: _Opened, close: _Close
) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        step = opened(args, kwargs)
        if step is None:
            return await function(*args, **kwargs)
        with step:
            return close(step, await function(*args, **kwargs))

    return call


def _of_generator(function: Callable[..., Any], opened: _Opened) -> Callable[..., Any]:
    # What the consumer does between two items is not within the call: the event is no parent.
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        step = opened(args, kwargs)
        if step is None:
            return (yield from function(*args, **kwargs))
        with step.alone():
            return (yield from function(*args, **kwargs))

    return call


def _of_async_generator(function: Callable[..., Any], opened: _Opened) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        step = opened(args, kwargs)
        inner = function(*args, **kwargs)
        with nullcontext() if step is None else step.alone():
            try:
                item = await inner.__anext__()
                while True:
                    # There is no `yield from` here: what is sent and thrown in is handed on.
                    try:
                        sent = yield item
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:
                        item = await inner.athrow(error)
                    else:
                        item = await inner.asend(sent)
            except StopAsyncIteration:
                return

    return call

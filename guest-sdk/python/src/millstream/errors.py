"""What an operator and its kit say when something is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import TracebackType


class OperatorError(Exception):
    """Refuses a whole batch, or a config in `open`. The text is shown to people."""


class Reject(Exception):
    """Raised for one row: it becomes a dead letter with this reason, the others go on."""


class ColumnError(OperatorError):
    """A value of a column is not what the schema says; `place` adds to column and row what else is known."""

    def __init__(self, column: str, row: int | None, why: str, place: str = ""):
        self.column, self.row, self.why = column, row, why
        super().__init__(f"{', '.join(filter(None, (placed([column], row), place)))}: {why}")


class PlacedError(Exception):
    """What operator code let go (its cause), with the place at which the kit called it: the kit knows that for sure."""

    def __init__(self, place: str, cause: BaseException):
        super().__init__(place)
        self.__cause__ = cause


def placed(columns: Iterable[str], row: int | None) -> str:
    """Columns and row, in words; nothing when neither is known."""
    names = [f"`{name}`" for name in columns]
    parts = [f"column{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    return ", ".join(parts if row is None else [*parts, f"row {row}"])


def described(error: BaseException, place: str = "", last_read: str = "") -> str:
    """An exception that operator code let go, in one line: the place it was called for, what it says, its line of code.

    `last_read` is where its own loops were. That is told as what it is: a loop that was left by `break` looks like
    one that an exception broke out of.
    """
    if isinstance(error, PlacedError) and error.__cause__ is not None:
        return described(error.__cause__, str(error))
    if isinstance(error, ColumnError):
        return str(error)
    hints = [f"last read: {last_read}"] if last_read else []
    if isinstance(error, OperatorError):
        words = str(error)
    else:
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        hints = [*_line(error.__traceback__), *hints]
    before = f"{place}: " if place else ""
    return f"{before}{words} ({'; '.join(hints)})" if hints else f"{before}{words}"


def shown(value: object) -> str:
    """A value in a message, which has to be short."""
    try:
        text = repr(value)
    except ValueError:
        # An int with thousands of digits has no text.
        return f"an int of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"


def _line(trace: TracebackType | None) -> list[str]:
    line = []
    while trace is not None:
        code = trace.tb_frame.f_code
        # The last place that is not the kit's is where a person looks first.
        if not str(trace.tb_frame.f_globals.get("__name__", "")).startswith("millstream."):
            line = [f"{code.co_filename.rsplit('/', 1)[-1]}, line {trace.tb_lineno}, in {code.co_name}"]
        trace = trace.tb_next
    return line


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that `name` was most likely meant to be, as the end of a message."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean `{close[0]}`?"
    return f"there are {', '.join(f'`{one}`' for one in names)}" if names else "there are none"

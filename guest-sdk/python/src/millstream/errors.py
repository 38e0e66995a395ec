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
    """A value of a column is not what the schema says."""

    def __init__(self, column: str, row: int | None, why: str):
        super().__init__(f"{placed([column], row)}: {why}")


def placed(columns: Iterable[str], row: int | None) -> str:
    """Columns and row, in words; nothing when neither is known."""
    names = [f"`{name}`" for name in columns]
    parts = [f"column{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    return ", ".join(parts if row is None else [*parts, f"row {row}"])


def described(error: BaseException, place: str = "") -> str:
    """An exception that operator code let go, in one line: the rows it was at, what it says, its line of code."""
    if isinstance(error, ColumnError):
        return str(error)
    before = f"{place}: " if place else ""
    if isinstance(error, OperatorError):
        return f"{before}{error}"
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{before}{words}{_line(error.__traceback__)}"


def _line(trace: TracebackType | None) -> str:
    line = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        # The last place that is not the kit's is where a person looks first.
        if not str(trace.tb_frame.f_globals.get("__name__", "")).startswith("millstream."):
            line = f" ({code.co_filename.rsplit('/', 1)[-1]}, line {trace.tb_lineno}, in {code.co_name})"
        trace = trace.tb_next
    return line


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that `name` was most likely meant to be, as the end of a message."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean `{close[0]}`?"
    return f"there are {', '.join(f'`{one}`' for one in names)}" if names else "there are none"

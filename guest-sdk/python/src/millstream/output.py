"""What an operator answers: columns, and rows that it could not take."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any

from .builders import build
from .columns import Batch, Buffers, Column
from .errors import ColumnError, OperatorError
from .types import Schema

Rejections = list[tuple[int, str]]


class Output:
    """The rows that go on.

    Columns that are set have a value for each input row; rows that are rejected or skipped are left out
    of all of them. After `keep(batch, rows)` they have a value for each of those rows, and after
    `flat()` any number of values.
    """

    def __init__(self, schema: Schema, input_rows: int):
        self._schema = schema
        self._input_rows = input_rows
        self._set: dict[str, Sequence[Any]] = {}
        self._kept: Batch | None = None
        self._rows: list[int] | None = None
        self._is_flat = False
        self._rejected: dict[int, str] = {}
        self._skipped: set[int] = set()

    def __setitem__(self, name: str, values: Iterable[Any]) -> None:
        """Gives the values of a column; None is null."""
        if name not in self._schema:
            raise OperatorError(f"there is no output column `{name}`: `open` promised {self._schema!r}")
        self._set[name] = values if isinstance(values, (Sequence, array, memoryview)) else list(values)

    def keep(self, batch: Batch, rows: Iterable[int] | None = None) -> None:
        """Lets the input's columns through that the output has, too; of these rows, in this order, if given."""
        self._kept = batch
        self._rows = None if rows is None else list(rows)
        for row in self._rows or ():
            self._check(row)

    def flat(self) -> None:
        """Says that the columns have rows of their own: more than the input, or fewer."""
        self._is_flat = True

    def reject(self, row: int, reason: object) -> None:
        """Hands a row back: it becomes a dead letter."""
        self._check(row)
        self._rejected[row] = str(reason)

    def skip(self, row: int) -> None:
        """Leaves a row out without a word."""
        self._check(row)
        self._skipped.add(row)

    def rejections(self) -> Rejections:
        """The rejected rows with their reasons, rising."""
        return sorted(self._rejected.items())

    def finish(self) -> tuple[int, list[Buffers]]:
        """Rows, and the buffers of each column."""
        columns = [self._values(field.name) for field in self._schema]
        count = self._count(columns)
        gone = self._skipped.union(self._rejected)
        if gone and not self._is_flat and self._rows is None:
            flags = [row not in gone for row in range(count)]
            columns = [list(compress(values, flags)) for values in columns]
            count -= len(gone)
        return count, [build(field, values) for field, values in zip(self._schema, columns)]

    def _check(self, row: int) -> None:
        if not 0 <= row < self._input_rows:
            raise OperatorError(f"there is no row {row}: the batch has {self._input_rows} rows")

    def _values(self, name: str) -> Sequence[Any]:
        if name in self._set:
            return self._set[name]
        if self._kept is None or name not in self._kept.schema:
            raise OperatorError(f"the output column `{name}` was not set")
        column = self._kept[name]
        return column if self._rows is None else taken(column, self._rows)

    def _count(self, columns: list[Sequence[Any]]) -> int:
        if self._rows is not None:
            expected = len(self._rows)
        elif self._is_flat:
            expected = max(map(len, columns), default=0)
        else:
            expected = self._input_rows
        for field, values in zip(self._schema, columns):
            if len(values) != expected:
                raise self._uneven(field.name, len(values), expected)
        return expected

    def _uneven(self, name: str, count: int, expected: int) -> ColumnError:
        what = "no value" if count < expected else "a value too many"
        is_own = self._is_flat or self._rows is not None
        hint = "" if is_own else " (`out.flat()` allows other numbers of rows)"
        # The first row without a value, or the first value without a row.
        return ColumnError(name, min(count, expected), f"{what}: the column has {count} values, not {expected}{hint}")


def taken(column: Column, rows: list[int]) -> Sequence[Any]:
    """The values of these rows."""
    values: Sequence[Any] = column.to_list() if column.has_nulls or not column.type.code else column.values
    return [values[row] for row in rows]

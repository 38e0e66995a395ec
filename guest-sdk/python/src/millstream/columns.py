"""Columns as they come: views of the bytes that crossed the boundary, and Python values on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import OperatorError, placed
from .native import native
from .types import DataType, Field, Schema, boolean, utf8

# Validity, offsets and values of a column.
Buffers = tuple[bytes, bytes, bytes]
# A row by the names of its columns.
Row = dict[str, Any]

# The eight flags of each byte, least significant first.
_BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))


@dataclass(frozen=True)
class Clock:
    """What is the same however often a batch is run again; times in microseconds since 1970."""

    batch_id: int = 1
    now: int = 0
    watermark: int | None = None


def bits(data: bytes, count: int) -> list[bool]:
    """The first `count` bits as a list of booleans."""
    flags = [flag for byte in data[: (count + 7) // 8] for flag in _BITS[byte]]
    del flags[count:]
    return flags


class Column(Sequence[Any]):
    """A column of a batch: a sequence in which None is null.

    Iterating gives plain Python values. `values` are the numbers without a look at nulls, as a
    memoryview that costs nothing (for text and bytes: all of them behind each other, cut by
    `offsets`); `valid` is a list of booleans, or None when nothing is null.
    """

    __slots__ = ("field", "_rows", "_buffers", "_list", "_valid", "_reading")

    def __init__(self, field: Field, rows: int, buffers: Buffers):
        self.field = field
        self._rows = rows
        self._buffers = buffers
        self._list: list[Any] | None = None
        self._valid: list[bool] | None = None
        self._reading: Iterator[Any] | None = None

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        # Kept, so that an error can say which row a loop was at; that costs nothing a row.
        reading = self._reading = iter(self.to_list())
        return reading

    def __getitem__(self, row: Any) -> Any:
        return self.to_list()[row]

    @property
    def type(self) -> DataType:
        """The column's type."""
        return self.field.type

    @property
    def has_nulls(self) -> bool:
        """Whether some value may be null."""
        return bool(self._buffers[0])

    @property
    def valid(self) -> list[bool] | None:
        """Which rows are not null; None when none is."""
        if self.has_nulls and self._valid is None:
            self._valid = bits(self._buffers[0], self._rows)
        return self._valid

    @property
    def values(self) -> memoryview:
        """The values behind each other, nulls among them with any value."""
        code = self.field.type.code
        data = memoryview(self._buffers[2])
        return data.cast(code) if code else data  # type: ignore[call-overload]

    @property
    def offsets(self) -> memoryview:
        """Text and bytes: where each value begins in `values`, and the end."""
        return memoryview(self._buffers[1] or bytes(4)).cast("i")

    @property
    def buffers(self) -> Buffers:
        """The buffers as they came."""
        return self._buffers

    def to_list(self) -> list[Any]:
        """The values as Python objects; made once."""
        if self._list is None:
            self._list = self._made()
        return self._list

    def row_at(self) -> int | None:
        """The row that a loop over this column read last, if it did not come to its end: it broke, or it was left."""
        # An iterator over a list tells its list and its next place, an exhausted one does not.
        state: tuple[Any, ...] = () if self._reading is None else self._reading.__reduce__()  # type: ignore[assignment]
        return state[2] - 1 if len(state) == 3 and state[2] > 0 else None

    def _made(self) -> list[Any]:
        kind = self.field.type
        made: list[Any]
        if kind.code:
            made = native.unpack(kind.code, self._buffers[2]) if native else self.values.tolist()
        elif kind is boolean:
            made = bits(self._buffers[2], self._rows)
        else:
            made = self._cut(kind)
        valid = self.valid
        return made if valid is None else [value if is_valid else None for value, is_valid in zip(made, valid)]

    def _cut(self, kind: DataType) -> list[Any]:
        _, offsets, data = self._buffers
        if kind is utf8 and native:
            return native.cut(offsets, data)
        places = self.offsets.tolist()
        cut = [data[start:end] for start, end in zip(places, places[1:])]
        return [text.decode() for text in cut] if kind is utf8 else cut


class Batch:
    """Rows as columns: `batch["name"]` is a column, `len(batch)` the number of rows."""

    __slots__ = ("schema", "columns", "clock", "_rows", "_at")

    def __init__(self, schema: Schema, rows: int, columns: list[Buffers], clock: Clock | None = None):
        if len(columns) != len(schema):
            raise OperatorError(f"{len(columns)} columns came for a schema of {len(schema)}")
        self.schema = schema
        self.columns = [Column(field, rows, buffers) for field, buffers in zip(schema, columns)]
        self.clock = clock or Clock()
        self._rows = rows
        self._at: int | None = None

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> Column:
        return self.columns[self.schema.place(name)]

    def rows(self) -> Iterator[Row]:
        """Each row as a dict: for convenience, not for speed."""
        names = [field.name for field in self.schema]
        columns = zip(*(column.to_list() for column in self.columns)) if names else ((),) * self._rows
        for self._at, values in enumerate(columns):
            yield dict(zip(names, values))
        self._at = None

    def place(self) -> str:
        """Where loops over rows or columns stand, in words: an exception broke out of them, or a `break` did."""
        rows: dict[int, list[str]] = {} if self._at is None else {self._at: []}
        for column in self.columns:
            if (row := column.row_at()) is not None:
                rows.setdefault(row, []).append(column.field.name)
        return "; ".join(placed(names, row) for row, names in rows.items())

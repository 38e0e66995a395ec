"""Types of columns, and schemas: which columns rows have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .errors import OperatorError, nearest


@dataclass(frozen=True)
class DataType:
    """A type by its name in specs; `code` is that of the `array` module for values of fixed width."""

    name: str
    format: str
    code: str | None = None

    def __str__(self) -> str:
        return self.name


boolean = DataType("boolean", "b")
int32 = DataType("int32", "i", "i")
int64 = DataType("int64", "l", "q")
float32 = DataType("float32", "f", "f")
float64 = DataType("float64", "g", "d")
# Days since 1970.
date = DataType("date", "tdD", "i")
# Microseconds since 1970, UTC.
timestamp = DataType("timestamp", "tsu:UTC", "q")
# Microseconds since 1970 on the clock of no particular place.
local_timestamp = DataType("timestamp without zone", "tsu:", "q")
utf8 = DataType("utf8", "u")
binary = DataType("binary", "z")

_ALL = (boolean, int32, int64, float32, float64, date, timestamp, local_timestamp, utf8, binary)
_BY_FORMAT = {kind.format: kind for kind in _ALL}


def of_format(name: str, text: str) -> DataType:
    """The type that a format string of Arrow's C data interface means."""
    try:
        return _BY_FORMAT[text]
    except KeyError:
        raise OperatorError(f"column `{name}` has the type `{text}`, which this kit does not know") from None


@dataclass(frozen=True)
class Field:
    """A column: its name, its type, and whether values may be missing."""

    name: str
    type: DataType
    nullable: bool = True


class Schema:
    """The columns of rows, in order."""

    def __init__(self, fields: Iterable[Field]):
        self.fields = tuple(fields)
        self._places: dict[str, int] = {}
        for place, field in enumerate(self.fields):
            if field.name in self._places:
                raise OperatorError(f"there are two columns `{field.name}`")
            self._places[field.name] = place

    @classmethod
    def of(cls, **columns: DataType) -> Schema:
        """A schema of nullable columns: `Schema.of(word=utf8, n=int64)`."""
        return cls(Field(name, kind) for name, kind in columns.items())

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return f"Schema({', '.join(f'{field.name} {field.type}' for field in self.fields)})"

    def __getitem__(self, name: str) -> Field:
        return self.fields[self.place(name)]

    def place(self, name: str) -> int:
        """The number of a column."""
        try:
            return self._places[name]
        except KeyError:
            raise OperatorError(f"there is no column `{name}`; {nearest(name, self._places)}") from None

    def need(self, name: str, *types: DataType) -> Field:
        """The column of this name, which must have one of these types. For `open`."""
        field = self[name]
        if types and field.type not in types:
            wanted = " or ".join(str(kind) for kind in types)
            raise OperatorError(f"column `{name}` is {field.type}; it must be {wanted}")
        return field

    def with_field(self, field: Field) -> Schema:
        """These columns and one more. Its name must be new."""
        return Schema((*self.fields, field))

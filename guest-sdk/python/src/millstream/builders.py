"""Python values to the buffers of a column."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from .columns import Buffers, Column, bits
from .errors import ColumnError
from .types import Field, boolean, utf8

# Offsets have 32 bits with a sign.
_BYTES_MAX = (1 << 31) - 1


def build(field: Field, values: Sequence[Any]) -> Buffers:
    """Validity, offsets and values of a column; `values` is any sequence, with None for null.

    A column of the same type, and an `array` or memoryview of the type's code, are taken as they are.
    """
    if isinstance(values, Column):
        return _column(field, values)
    kind = field.type
    if kind.code:
        return _numbers(field, kind.code, values)
    if kind is boolean:
        return _booleans(field, values)
    return _texts(field, values)


def packed(flags: Sequence[object]) -> bytes:
    """One bit a flag, least significant first."""
    # A number in base two, read from the last flag to the first.
    text = "".join("1" if flag else "0" for flag in reversed(flags))
    return int(text, 2).to_bytes((len(text) + 7) // 8, "little") if text else b""


def _column(field: Field, column: Column) -> Buffers:
    if column.type is not field.type:
        raise ColumnError(field.name, None, f"a column of {column.type} cannot be one of {field.type}")
    validity, offsets, data = column.buffers
    if not validity or field.nullable or all(bits(validity, len(column))):
        return validity, offsets, data
    raise _null(field, column.to_list())


def _null(field: Field, values: Sequence[Any]) -> ColumnError:
    return ColumnError(field.name, values.index(None), "null, but the column is not nullable")


def _validity(field: Field, values: Sequence[Any]) -> bytes:
    """The bits of what is not null; nothing when there is no null."""
    if None not in values:
        return b""
    if not field.nullable:
        raise _null(field, values)
    return packed([value is not None for value in values])


def _numbers(field: Field, code: str, values: Sequence[Any]) -> Buffers:
    if isinstance(values, array) and values.typecode == code:
        return b"", b"", values.tobytes()
    if isinstance(values, memoryview):
        if values.format == code:
            return b"", b"", values.tobytes()
        values = values.tolist()
    try:
        # Without nulls, which most columns are, this is all.
        return b"", b"", array(code, values).tobytes()
    except (TypeError, OverflowError):
        values = list(values)
    validity = _validity(field, values)
    try:
        return validity, b"", array(code, [0 if value is None else value for value in values]).tobytes()
    except (TypeError, OverflowError):
        raise _wrong_number(field, code, values) from None


def _wrong_number(field: Field, code: str, values: Sequence[Any]) -> ColumnError:
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            array(code, [value])
        except TypeError:
            return ColumnError(field.name, row, f"{_shown(value)} is no {field.type}")
        except OverflowError:
            return ColumnError(field.name, row, f"{_shown(value)} is too large for {field.type}")
    return ColumnError(field.name, None, f"the values are no {field.type}")


def _shown(value: object) -> str:
    """A value in a message, which has to be short."""
    try:
        text = repr(value)
    except ValueError:
        # An int with thousands of digits has no text.
        return f"an int of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"


def _booleans(field: Field, values: Sequence[Any]) -> Buffers:
    values = list(values)
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, bool):
            raise ColumnError(field.name, row, f"{_shown(value)} is no boolean")
    return _validity(field, values), b"", packed(values)


def _texts(field: Field, values: Sequence[Any]) -> Buffers:
    values = values if isinstance(values, list) else list(values)
    nothing: Any = "" if field.type is utf8 else b""
    validity = b""
    try:
        data = nothing.join(values)
    except TypeError:
        validity = _validity(field, values)
        values = [nothing if value is None else value for value in values]
        data = _joined(field, nothing, values)
    if isinstance(data, str):
        if data.isascii():
            data = data.encode("ascii")
        else:
            values = _encoded(field, values)
            data = b"".join(values)
    if len(data) > _BYTES_MAX:
        raise ColumnError(field.name, None, f"{len(data)} bytes in one column of a batch; 2 GiB is the most")
    return validity, array("i", accumulate(map(len, values), initial=0)).tobytes(), data


def _joined(field: Field, nothing: Any, values: list[Any]) -> Any:
    try:
        return nothing.join(values)
    except TypeError:
        # Bytes join with all that is like bytes.
        wanted = str if nothing == "" else (bytes, bytearray, memoryview)
        row = next(row for row, value in enumerate(values) if not isinstance(value, wanted))
        raise ColumnError(field.name, row, f"{_shown(values[row])} is no {field.type}") from None


def _encoded(field: Field, values: list[str]) -> list[bytes]:
    encoded = []
    for row, value in enumerate(values):
        try:
            encoded.append(value.encode())
        except UnicodeEncodeError:
            raise ColumnError(field.name, row, f"{_shown(value)} has half a character (a lone surrogate)") from None
    return encoded

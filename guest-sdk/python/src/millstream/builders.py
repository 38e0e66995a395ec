"""Python values to the buffers of a column."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from .columns import Buffers, Column, bits
from .errors import ColumnError, shown
from .native import native
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
        return b"", b"", _numbers_of(code, values)
    except (struct.error, OverflowError):
        values = list(values)
    validity = _validity(field, values)
    try:
        return validity, b"", _numbers_of(code, [0 if value is None else value for value in values])
    except (struct.error, OverflowError):
        raise _wrong_number(field, code, values) from None


def _numbers_of(code: str, values: Sequence[Any]) -> bytes:
    if native and (packed := native.pack(code, values if isinstance(values, list) else list(values))) is not None:
        return packed
    # `array` parses each value as if it were the arguments of a function.
    return struct.pack(f"{len(values)}{code}", *values)


def _wrong_number(field: Field, code: str, values: Sequence[Any]) -> ColumnError:
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            array(code, [value])
        except TypeError:
            return ColumnError(field.name, row, f"{shown(value)} is no {field.type}")
        except OverflowError:
            return ColumnError(field.name, row, f"{shown(value)} is too large for {field.type}")
    return ColumnError(field.name, None, f"the values are no {field.type}")


def _booleans(field: Field, values: Sequence[Any]) -> Buffers:
    values = list(values)
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, bool):
            raise ColumnError(field.name, row, f"{shown(value)} is no boolean")
    return _validity(field, values), b"", packed(values)


def _texts(field: Field, values: Sequence[Any]) -> Buffers:
    values = values if isinstance(values, list) else list(values)
    # Nothing comes where a value is no text: then what is below finds out which one.
    if field.type is utf8 and native and (built := native.build(values)):
        offsets, data, has_nulls = built
        return _validity(field, values) if has_nulls else b"", offsets, data
    nothing: Any = "" if field.type is utf8 else b""
    validity = _validity(field, values)
    if validity:
        values = [nothing if value is None else value for value in values]
    data = _joined(field, nothing, values)
    if isinstance(data, str):
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
        raise ColumnError(field.name, row, f"{shown(values[row])} is no {field.type}") from None


def _encoded(field: Field, values: list[str]) -> list[bytes]:
    encoded = []
    for row, value in enumerate(values):
        try:
            encoded.append(value.encode())
        except UnicodeEncodeError:
            raise ColumnError(field.name, row, f"{shown(value)} has half a character (a lone surrogate)") from None
    return encoded

"""Operators for Millstream in Python. See README.md for a first plugin."""

from .columns import Batch, Clock, Column, Row
from .errors import ColumnError, OperatorError, Reject
from .host import count, log, observe
from .keys import Key
from .output import Output
from .registry import aggregate, describe, keyed, transform
from .states import States
from .transforms import map_rows
from .types import (
    DataType,
    Field,
    Schema,
    binary,
    boolean,
    date,
    float32,
    float64,
    int32,
    int64,
    local_timestamp,
    timestamp,
    utf8,
)

__all__ = [
    "Batch", "Clock", "Column", "ColumnError", "DataType", "Field", "Key", "OperatorError", "Output", "Reject", "Row",
    "Schema", "States", "aggregate", "binary", "boolean", "count", "date", "describe", "float32", "float64", "int32",
    "int64", "keyed", "local_timestamp", "log", "map_rows", "observe", "timestamp", "transform", "utf8",
]

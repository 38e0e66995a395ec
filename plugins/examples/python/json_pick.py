"""`json-pick`, a transform with rejections: values of JSON documents as typed columns."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import millstream as ms

# Whole floats up to here are exact.
EXACT_MAX = 2**53


@dataclass
class Picked:
    """A value of a document."""

    name: str = field(metadata={"help": "The name of the column."})
    type: Literal["boolean", "int64", "float64", "utf8"]
    pointer: str | None = field(default=None, metadata={"help": "A JSON pointer; a slash and the name if not given."})

    def __post_init__(self):
        self.path = f"/{self.name}" if self.pointer is None else self.pointer
        if self.path and not self.path.startswith("/"):
            raise ValueError(f"the pointer `{self.path}` does not begin with /")
        self.steps = [step.replace("~1", "/").replace("~0", "~") for step in self.path.split("/")[1:]]


@dataclass
class JsonPick:
    """Which text, and what to pick."""

    column: str = field(metadata={"help": "The column of JSON text."})
    fields: list[Picked]


@ms.transform("json-pick", config=JsonPick)
def json_pick(config, input):
    """Picks values out of JSON text into typed columns."""
    input.need(config.column, ms.utf8)
    output = ms.Schema(ms.Field(picked.name, getattr(ms, picked.type)) for picked in config.fields)
    takers = [_TAKERS[picked.type] for picked in config.fields]

    def row_of(text):
        document = read(text)
        row = []
        for picked, taken in zip(config.fields, takers):
            value = found(document, picked.steps)
            cell = None if value is None else taken(value)
            if cell is None and value is not None:
                raise ms.Reject(f"{picked.path} is no {picked.type}")
            row.append(cell)
        return row

    def process(batch, out):
        nothing = [None] * len(config.fields)
        rows = []
        for number, text in enumerate(batch[config.column]):
            try:
                rows.append(nothing if text is None else row_of(text))
            except ms.Reject as why:
                out.reject(number, why)
                rows.append(nothing)
        for place, picked in enumerate(config.fields):
            out[picked.name] = [row[place] for row in rows]

    return output, process


def read(text: str) -> Any:
    """The document; numbers without fraction and exponent are ints, the others floats."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError:
        raise ms.Reject("not JSON") from None
    except RecursionError:
        raise ms.Reject("nested too deeply") from None
    except ValueError:
        # Python reads no int of thousands of digits; as a float it is as large as it gets.
        return json.loads(text, parse_constant=_no_constant, parse_int=_long)


def _no_constant(name):
    # NaN, Infinity and -Infinity are Python's JSON, and nobody else's.
    raise ms.Reject("not JSON")


def _long(digits):
    return int(digits) if len(digits) < 1000 else float(digits)


def found(value: Any, steps: list[str]) -> Any:
    """What a pointer leads to; None where it leads nowhere."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and (step == "0" or step[0] != "0"):
            value = value[int(step)] if len(step) < 10 and int(step) < len(value) else None
        else:
            return None
    return value


def _boolean(value):
    return value if isinstance(value, bool) else None


def _int64(value):
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) <= EXACT_MAX else None
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _float64(value):
    if type(value) not in (int, float):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _utf8(value):
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ms.Reject("half a character (a lone surrogate)") from None
    return value


_TAKERS = {"boolean": _boolean, "int64": _int64, "float64": _float64, "utf8": _utf8}

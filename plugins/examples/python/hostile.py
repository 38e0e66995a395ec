"""`hostile`: does what operators must not do, for tests of the host and of the kit."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import millstream as ms

OUT = ms.Schema([ms.Field("out", ms.utf8, nullable=False)])
NUMBERS = ms.Schema([ms.Field("out", ms.int64, nullable=False)])


@dataclass
class Hostile:
    """What to do."""

    do: Literal[
        "nothing", "throw", "recurse", "spin", "grow", "fatal", "tell", "uneven", "null", "overflow", "wrong-type"
    ]
    column: str = field(metadata={"help": "A text column; with `throw`, the text `bad` in it is what breaks."})


@ms.transform("hostile", config=Hostile)
def hostile(config, input):
    """Breaks in the way that it is told."""
    input.need(config.column, ms.utf8)
    output = {"null": OUT, "overflow": NUMBERS, "wrong-type": NUMBERS}.get(config.do, input)
    return output, lambda batch, out: WAYS[config.do](batch, out, config.column)


def nothing(batch, out, column):
    """Passes rows through."""
    out.keep(batch)


def throw(batch, out, column):
    """Breaks at a bad row."""
    for text in batch[column]:
        if text == "bad":
            raise ValueError("a bad row")
    out.keep(batch)


def recurse(batch, out, column):
    """Calls itself without end."""
    return 1 + recurse(batch, out, column)


def spin(batch, out, column):
    """Never ends."""
    while True:
        pass


def grow(batch, out, column):
    """Takes all memory."""
    pieces = []
    while True:
        pieces.append(bytes(1 << 20))


def fatal(batch, out, column):
    """Dies in a way that no `except` sees."""
    print("the end", file=sys.stderr, flush=True)
    os.abort()


def tell(batch, out, column):
    """Passes rows through and tells how many."""
    ms.log(f"{len(batch)} rows")
    ms.count("told", len(batch))
    ms.observe("share", 0.5)
    out.keep(batch)


def uneven(batch, out, column):
    """One value too few."""
    out.keep(batch)
    out[column] = batch[column][:-1]


def null(batch, out, column):
    """None where none is allowed, at the last row."""
    out["out"] = [*batch[column][:-1], None] if len(batch) else []


def overflow(batch, out, column):
    """An int that has no place in 64 bits, at the last row."""
    out["out"] = [0] * (len(batch) - 1) + [2**63] * bool(len(batch))


def wrong_type(batch, out, column):
    """A text in a column of numbers, at the first row."""
    out["out"] = ["one"] * len(batch)


WAYS: dict[str, Callable[[ms.Batch, ms.Output, str], None]] = {
    "nothing": nothing,
    "throw": throw,
    "recurse": recurse,
    "spin": spin,
    "grow": grow,
    "fatal": fatal,
    "tell": tell,
    "uneven": uneven,
    "null": null,
    "overflow": overflow,
    "wrong-type": wrong_type,
}

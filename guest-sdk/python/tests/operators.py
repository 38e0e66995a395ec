"""Small operators of each kind, for the tests."""

import sys
from dataclasses import dataclass

import millstream as ms


@dataclass
class Length:
    """What to measure."""

    column: str
    least: int = 0


@ms.transform("length", config=Length)
def length(config, input):
    """Adds the length of a text column."""
    input.need(config.column, ms.utf8)
    output = input.with_field(ms.Field("length", ms.int64))

    def process(batch, out):
        lengths = [None if text is None else len(text) for text in batch[config.column]]
        for row, count in enumerate(lengths):
            if count is None:
                out.reject(row, "no text")
            elif count < config.least:
                out.skip(row)
        out["length"] = lengths
        out.keep(batch)
        ms.count("batches")
        ms.observe("rows", len(batch))
        ms.log(f"{len(batch)} rows in batch {batch.clock.batch_id}", "debug")

    return output, process


@ms.transform("twice")
def twice(input):
    """Each row twice, in words."""

    def each(row):
        if row["n"] is None:
            raise ms.Reject("no number")
        return [row, {"n": row["n"] * 10}]

    return ms.map_rows(input, each)


@dataclass
class Broken:
    """How."""

    how: str


def refuse():
    """For places where no statement can be."""
    raise ms.OperatorError("refused")


@ms.transform("broken", config=Broken)
def broken(config, input):
    """Fails in every way."""
    ways = {
        "short": lambda batch, out: out.__setitem__("n", [1]),
        "long": lambda batch, out: out.__setitem__("n", [1, 2, 3]),
        "short of kept": lambda batch, out: (out.keep(batch, [0, 0, 1]), out.__setitem__("n", [1, 2])),
        "not set": lambda batch, out: None,
        "unknown": lambda batch, out: out.__setitem__("m", [1, 2]),
        "raise": lambda batch, out: 1 // 0,
        "loop": lambda batch, out: [10 // n for n in batch["n"]],
        "two loops": lambda batch, out: [a // b for a, b in zip(batch["m"], batch["n"])],
        "rows": lambda batch, out: [10 // row["n"] for row in batch.rows()],
        "break": lambda batch, out: next(iter(batch["n"])) and 1 // 0,
        "refuse": lambda batch, out: [refuse() for _ in batch["n"]],
        "after a loop": lambda batch, out: [n for n in batch["n"]] and batch["none"],
        "null": lambda batch, out: out.__setitem__("n", [1, None]),
        "overflow": lambda batch, out: out.__setitem__("n", [1, 2**63]),
        "text": lambda batch, out: out.__setitem__("n", ["1", "2"]),
        "column": lambda batch, out: out.__setitem__("n", batch["s"]),
        "row": lambda batch, out: out.reject(2, "there is none"),
        "kept row": lambda batch, out: out.keep(batch, [0, -1]),
        "level": lambda batch, out: ms.log("x", "loud"),
        "exit": lambda batch, out: sys.exit("bye"),
    }
    return ms.Schema([ms.Field("n", ms.int64, nullable=False)]), ways[config.how]


@ms.transform("two-columns")
def two_columns(input):
    """Two columns of lengths of their own: those that the first row says."""

    def process(batch, out):
        out.flat()
        out["a"], out["b"] = ([0] * count for count in (batch["a"][0], batch["b"][0]))

    return ms.Schema.of(a=ms.int64, b=ms.int64), process


@ms.aggregate("longest")
class Longest:
    """The longest text of a group."""

    output = ms.Schema.of(longest=ms.utf8)

    def __init__(self, input):
        input.need("text", ms.utf8)

    def new(self):
        """Nothing yet."""
        return ""

    def add(self, state, row):
        """The longer one; of equal ones the first in order."""
        return self.merge(state, row["text"].strip() if row["text"] != "x!" else None)

    def merge(self, left, right):
        """The longer one."""
        return min(left, right, key=lambda text: (-len(text), text))

    def finish(self, state):
        """As it is."""
        return state


@ms.aggregate("sum")
class Sum:
    """Counts and sums of a group, over columns."""

    output = ms.Schema.of(count=ms.int64, sum=ms.int64)

    def __init__(self, input):
        pass

    def accumulate(self, states, groups, batch):
        """Two ints a group."""
        numbers = states.fixed("q", 2)
        for group, n in zip(groups, batch["n"]):
            numbers[2 * group] += 1
            numbers[2 * group + 1] += n
        return numbers, 2

    def merge(self, left, right):
        """Both."""
        numbers = left.fixed("q", 2)
        for place, n in enumerate(right.fixed("q", 2)):
            numbers[place] += n
        return numbers, 2

    def retract(self, left, right):
        """What is left."""
        numbers = left.fixed("q", 2)
        for place, n in enumerate(right.fixed("q", 2)):
            numbers[place] -= n
        return numbers, 2

    def finish(self, states, out):
        """As it is."""
        numbers = states.fixed("q", 2)
        out["count"], out["sum"] = numbers[::2], numbers[1::2]


@ms.keyed("silent")
class Silent:
    """Tells which keys have been silent."""

    output = ms.Schema([ms.Field("since", ms.timestamp, nullable=False)])

    def __init__(self, keys, input):
        input.need("at", ms.timestamp)

    def on_row(self, key, row):
        """Remembers the newest time."""
        if row["at"] is None:
            raise ms.Reject("no time")
        if row["at"] < 0:
            key.emit(until=row["at"])
        if row["at"] > 2**62:
            key.set_timer(4 * row["at"])
        key.state = max(row["at"], key.state or 0)
        key.set_timer(key.state + 10)

    def on_timer(self, key, at):
        """Nothing came since."""
        key.emit(since=key.state)
        key.state = None

    def migrate(self, version, state):
        """Version 1 had seconds."""
        return state * 1_000_000 if version == "1.0.0" else state

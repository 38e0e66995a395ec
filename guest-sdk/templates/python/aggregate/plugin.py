"""The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and
adds up the parts of its workers with `merge`."""

from dataclasses import dataclass, field

import millstream as ms

ms.describe("{{name}}", "0.1.0", "Shares.")


@dataclass
class Of:
    """The share of what."""

    column: str = field(metadata={"help": "The boolean column; nulls do not count."})


@ms.aggregate("share", config=Of)
class Share:
    """The share of rows in which a column is true."""

    output = ms.Schema.of(share=ms.float64)

    def __init__(self, config, input):
        input.need(config.column, ms.boolean)
        self.column = config.column

    def new(self):
        """How many are true, and how many there are."""
        return [0, 0]

    def add(self, state, row):
        """One row more."""
        value = row[self.column]
        return state if value is None else [state[0] + value, state[1] + 1]

    def merge(self, left, right):
        """What adding all rows to one state would give."""
        return [left[0] + right[0], left[1] + right[1]]

    def finish(self, state):
        """The result of a group."""
        return state[0] / state[1] if state[1] else None

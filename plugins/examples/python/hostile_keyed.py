"""`hostile-keyed`: a keyed operator that breaks at rows and timers, for tests of the host and of the kit."""

from dataclasses import dataclass, field
from typing import Literal

import millstream as ms


@dataclass
class HostileKeyed:
    """What to do."""

    do: Literal["nothing", "throw", "throw-timer", "null", "overflow"]
    column: str = field(metadata={"help": "A text column; with `throw`, the text `bad` in it is what breaks."})
    time: str = field(metadata={"help": "The timestamp column; with `throw-timer`, a timer comes 1 ms later."})


@ms.keyed("hostile-keyed", config=HostileKeyed)
class HostileByKey:
    """Counts the rows of a key, or breaks in the way that it is told."""

    output = ms.Schema([ms.Field("n", ms.int64, nullable=False)])

    def __init__(self, config, keys, input):
        input.need(config.column, ms.utf8)
        input.need(config.time, ms.timestamp)
        self.do, self.column, self.time = config.do, config.column, config.time
        self.wrong = {"null": None, "overflow": 2**63}

    def on_row(self, key, row):
        """The number of the row, or what cannot be one."""
        if self.do == "throw" and row[self.column] == "bad":
            raise ValueError("a bad row")
        if self.do == "throw-timer" and row[self.time] is not None:
            key.set_timer(row[self.time] + 1000)
        key.state = (key.state or 0) + 1
        key.emit(n=self.wrong.get(self.do, key.state))

    def on_timer(self, key, at):
        """Only set to break."""
        raise ValueError("a bad timer")

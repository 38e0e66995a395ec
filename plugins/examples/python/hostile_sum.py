"""`hostile-sum`: an aggregate that breaks in each of its functions, for tests of the host and of the kit."""

from array import array
from dataclasses import dataclass, field
from operator import add
from typing import Literal

import millstream as ms


@dataclass
class HostileSum:
    """What to do."""

    do: Literal["nothing", "throw", "throw-merge", "throw-finish", "null", "overflow"]
    column: str = field(metadata={"help": "A text column; with `throw`, the text `bad` in it is what breaks."})


@ms.aggregate("hostile-sum", config=HostileSum)
class HostileSumAggregate:
    """Counts rows, or breaks in the way that it is told."""

    output = ms.Schema([ms.Field("n", ms.int64, nullable=False)])

    def __init__(self, config, input):
        input.need(config.column, ms.utf8)
        self.do, self.column = config.do, config.column

    def accumulate(self, states, groups, batch):
        """A count, one int a group."""
        counts = states.fixed("q", 1)
        for group, text in zip(groups, batch[self.column]):
            if self.do == "throw" and text == "bad":
                raise ValueError("a bad row")
            counts[group] += 1
        return counts, 1

    def merge(self, left, right):
        """Both counts."""
        if self.do == "throw-merge":
            raise ValueError("a bad merge")
        return array("q", map(add, left.fixed("q", 1), right.fixed("q", 1))), 1

    def finish(self, states, out):
        """The count, or what cannot be one."""
        if self.do == "throw-finish":
            raise ValueError("a bad finish")
        wrong = {"null": None, "overflow": 2**63}
        out["n"] = [wrong[self.do]] * len(states) if self.do in wrong else states.fixed("q", 1)

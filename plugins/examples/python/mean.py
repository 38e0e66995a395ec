"""`mean`, an aggregate over columns: a sum and a count for each group."""

from array import array
from dataclasses import dataclass, field
from operator import add

import millstream as ms


@dataclass
class Mean:
    """The mean of what."""

    column: str = field(metadata={"help": "The column: int64 or float64."})


@ms.aggregate("mean", config=Mean)
class MeanAggregate:
    """The mean of a number column, without its nulls."""

    output = ms.Schema.of(mean=ms.float64)

    def __init__(self, config, input):
        input.need(config.column, ms.int64, ms.float64)
        self.column = config.column

    def accumulate(self, states, groups, batch):
        """A sum and a count, two floats a group. A count is exact as a float up to 2^53."""
        numbers = states.fixed("d", 2)
        for group, value in zip(groups, batch[self.column]):
            if value is not None:
                numbers[2 * group] += value
                numbers[2 * group + 1] += 1
        return numbers, 2

    def merge(self, left, right):
        """Both sums, both counts."""
        return array("d", map(add, left.fixed("d", 2), right.fixed("d", 2))), 2

    def finish(self, states, out):
        """Sum by count."""
        numbers = states.fixed("d", 2)
        out["mean"] = [total / count if count > 0 else None for total, count in zip(numbers[::2], numbers[1::2])]

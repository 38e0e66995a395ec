"""`currency`, a map over numbers: the fast way, over a whole column."""

from dataclasses import dataclass, field

import millstream as ms


@dataclass
class Currency:
    """Which prices, and what they are worth."""

    column: str = field(metadata={"help": "The float64 column of prices."})
    rate: float = field(metadata={"help": "What a price is multiplied by."})
    output: str = field(default="converted", metadata={"help": "The name of the new column."})


@ms.transform("currency", config=Currency)
def currency(config, input):
    """Multiplies a float64 column by a rate."""
    input.need(config.column, ms.float64)
    output = input.with_field(ms.Field(config.output, ms.float64))
    rate = config.rate

    def process(batch, out):
        prices = batch[config.column]
        if prices.has_nulls:
            out[config.output] = [None if price is None else price * rate for price in prices]
        else:
            out[config.output] = [price * rate for price in prices]
        out.keep(batch)

    return output, process

"""Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows around
it go on."""

from dataclasses import dataclass, field

import millstream as ms

ms.describe("{{name}}", "0.1.0", "Prices.")


@dataclass
class Convert:
    """Which prices, and what one of them is worth."""

    column: str = field(metadata={"help": "The float64 column of prices."})
    rate: float = field(metadata={"help": "What one of them is worth."})


@ms.transform("convert", config=Convert)
def convert(config, input):
    """Adds converted prices."""
    # Called once for each instance: checks the config against the input's columns and says what comes out.
    input.need(config.column, ms.float64)
    output = input.with_field(ms.Field("converted", ms.float64))

    def process(batch, out):
        # Called for each batch.
        prices = batch[config.column]
        for row, price in enumerate(prices):
            if price is not None and price < 0:
                out.reject(row, f"the price is {price}")
        out["converted"] = [None if price is None else price * config.rate for price in prices]
        out.keep(batch)

    return output, process

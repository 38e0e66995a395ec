"""The example operators in Python: the same in every language. The build takes this file."""

# Importing a module registers its operators.
import millstream as ms

import currency
import hostile
import hostile_keyed
import hostile_sum
import json_pick
import mean
import sessions
import split_words

ms.describe("examples-python", "0.1.0", "The example operators, in Python.")

__all__ = [
    "currency", "hostile", "hostile_keyed", "hostile_sum", "json_pick", "mean", "sessions", "split_words",
]

"""The operator natively."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import plugin  # noqa: F401  (registers the operator)
from millstream import testing


class Convert(unittest.TestCase):
    def test_prices_are_converted_nulls_stay_and_what_is_below_zero_is_rejected(self):
        rows = [{"price": 2.0}, {"price": -1.0}, {"price": None}]
        ran = testing.transform("convert", rows, {"column": "price", "rate": 3})
        self.assertEqual(ran.rows, [{"price": 2.0, "converted": 6.0}, {"price": None, "converted": None}])
        self.assertEqual(ran.rejected, [(1, "the price is -1.0")])


if __name__ == "__main__":
    unittest.main()

"""The operator natively."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import millstream as ms
import plugin  # noqa: F401  (registers the operator)
from millstream import testing


class Silent(unittest.TestCase):
    def test_a_key_is_told_once_it_was_silent(self):
        types = {"user": ms.utf8, "at": ms.timestamp}
        keeper = testing.Keeper("silent", ["user"], types, {"time": "at", "after_ms": 1})
        keeper.turn([{"user": "ann", "at": 0}, {"user": "bob", "at": 100}, {"user": "ann", "at": 500}])
        self.assertEqual(keeper.advance(1_200).rows, [{"user": "bob", "since": 100}])
        self.assertEqual(keeper.advance(1_500).rows, [{"user": "ann", "since": 500}])
        self.assertEqual(keeper.states, {})


if __name__ == "__main__":
    unittest.main()

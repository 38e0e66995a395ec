"""The operator natively."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import millstream as ms
import plugin  # noqa: F401  (registers the operator)
from millstream import testing


class Share(unittest.TestCase):
    def test_shares_of_several_batches_are_merged(self):
        batches = [[{"shop": "a", "late": True}, {"shop": "b", "late": None}], [{"shop": "a", "late": False}]]
        types = {"shop": ms.utf8, "late": ms.boolean}
        ran = testing.aggregate("share", batches, ["shop"], {"column": "late"}, types)
        self.assertEqual(ran.rows, [{"shop": "a", "share": 0.5}, {"shop": "b", "share": None}])


if __name__ == "__main__":
    unittest.main()

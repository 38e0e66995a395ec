"""What the read-me shows works."""

import re
import sys
import types
import unittest
from pathlib import Path

import millstream as ms
from millstream import testing

README = (Path(__file__).parent.parent / "README.md").read_text()


class Readme(unittest.TestCase):
    def test_its_examples_work(self):
        blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        first, *others = blocks
        shop = sys.modules["shop"] = types.ModuleType("shop")
        exec(first, shop.__dict__)
        for block in others:
            exec(block.replace('@ms.aggregate("longest")', '@ms.aggregate("readme-longest")')
                 .replace('@ms.keyed("silent")', '@ms.keyed("readme-silent")'), {"ms": ms})
        self.assertEqual(testing.transform("upper", [{"name": "ann"}]).rows, [{"name": "ANN"}])
        longest = testing.aggregate("readme-longest", [[{"k": 1, "text": "a"}, {"k": 1, "text": None}]], ["k"])
        self.assertEqual(longest.rows, [{"k": 1, "longest": "a"}])
        keeper = testing.Keeper("readme-silent", ["k"], {"k": ms.utf8, "at": ms.timestamp})
        keeper.turn([{"k": "a", "at": 7}])
        self.assertEqual(keeper.advance(60_000_007).rows, [{"k": "a", "since": 7}])


if __name__ == "__main__":
    unittest.main()

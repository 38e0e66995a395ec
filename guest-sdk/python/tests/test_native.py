"""The module in C is only in components; the golden cases run it there. Here: it is what its source makes."""

import hashlib
import unittest
from pathlib import Path

KIT = Path(__file__).resolve().parent.parent


class Native(unittest.TestCase):
    def test_it_was_made_of_its_source(self):
        source = hashlib.sha256((KIT / "native/columns.c").read_bytes()).hexdigest()
        (module,) = (KIT / "src/millstream").glob("_columns.*.so")
        self.assertIn(source.encode(), module.read_bytes(), "columns.c has changed: run `make` in native/")


if __name__ == "__main__":
    unittest.main()

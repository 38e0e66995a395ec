"""Python values to buffers and back."""

import math
import unittest
from array import array

import millstream as ms
from millstream.builders import build, packed
from millstream.columns import Column, bits

CASES = {
    ms.boolean: [True, False, None, True, None, False, True, True, False],
    ms.int32: [0, -1, None, 2**31 - 1, -(2**31)],
    ms.int64: [0, None, 2**53 + 1, 2**63 - 1, -(2**63)],
    ms.float32: [0.5, None, -0.0, math.inf],
    ms.float64: [0.1, None, -1e300, math.inf],
    ms.date: [0, -1, None],
    ms.timestamp: [-1, None, 1_700_000_000_123_456],
    ms.utf8: ["", "ä\n", None, "日本語", "a" * 300, "🦀"],
    ms.binary: [b"", b"\xff\x00", None],
}


def read(field, values):
    return Column(field, len(values), build(field, values))


class Columns(unittest.TestCase):
    def test_values_of_every_type_come_back(self):
        for kind, values in CASES.items():
            for some in (values, [value for value in values if value is not None], [None, None], []):
                with self.subTest(kind=str(kind), values=some):
                    self.assertEqual(read(ms.Field("c", kind), some).to_list(), some)

    def test_a_column_without_nulls_has_no_validity(self):
        self.assertEqual(build(ms.Field("c", ms.int64), [1, 2])[0], b"")
        self.assertEqual(build(ms.Field("c", ms.utf8), ["a", "b"])[0], b"")

    def test_bits_are_packed_least_significant_first(self):
        flags = [True, False, False, True, False, False, False, False, True]
        self.assertEqual(packed(flags), bytes([0b1001, 1]))
        self.assertEqual(bits(packed(flags), 9), flags)

    def test_an_array_of_the_right_code_is_taken_as_it_is(self):
        self.assertEqual(build(ms.Field("c", ms.float64), array("d", [1.5])), (b"", b"", array("d", [1.5]).tobytes()))
        self.assertEqual(read(ms.Field("c", ms.int64), array("i", [7])).to_list(), [7])

    def test_a_wrong_value_is_named_with_its_column_and_row(self):
        wrong = [
            (ms.int64, [1, 2**63], "column `c`, row 1: 9223372036854775808 is too large for int64"),
            (ms.int64, [None, "x"], "column `c`, row 1: 'x' is no int64"),
            (ms.utf8, ["a", 5], "column `c`, row 1: 5 is no utf8"),
            (ms.utf8, ["a", "\ud800"], "column `c`, row 1: '\\ud800' has half a character (a lone surrogate)"),
            (ms.binary, ["a"], "column `c`, row 0: 'a' is no binary"),
            (ms.boolean, [True, 1], "column `c`, row 1: 1 is no boolean"),
        ]
        for kind, values, message in wrong:
            with self.subTest(message), self.assertRaises(ms.ColumnError) as raised:
                build(ms.Field("c", kind), values)
            self.assertEqual(str(raised.exception), message)

    def test_null_where_none_is_allowed_is_named(self):
        with self.assertRaises(ms.ColumnError) as raised:
            build(ms.Field("c", ms.int64, nullable=False), [1, None])
        self.assertEqual(str(raised.exception), "column `c`, row 1: null, but the column is not nullable")


if __name__ == "__main__":
    unittest.main()

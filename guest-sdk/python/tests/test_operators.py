"""Operators of each kind, natively."""

import unittest

import operators  # noqa: F401  (registers them)

import millstream as ms
from millstream import testing
from millstream.registry import PLUGIN
from millstream.states import States, buffers_of, decode, encode


class Transforms(unittest.TestCase):
    def test_a_transform_keeps_rejects_skips_and_tells(self):
        rows = [{"text": "abc"}, {"text": None}, {"text": "x"}, {"text": "äöü"}]
        ran = testing.transform("length", rows, config={"column": "text", "least": 2}, clock=ms.Clock(batch_id=7))
        self.assertEqual(ran.rows, [{"text": "abc", "length": 3}, {"text": "äöü", "length": 3}])
        self.assertEqual((ran.rejected, ran.counts, ran.observed), ([(1, "no text")], {"batches": 1}, {"rows": [4.0]}))
        self.assertEqual(ran.logs, [("debug", "4 rows in batch 7")])

    def test_no_rows_are_no_rows(self):
        self.assertEqual(testing.transform("length", [], {"column": "text"}, {"text": ms.utf8}).rows, [])
        self.assertEqual(testing.transform("twice", [], types={"n": ms.int64}).rows, [])

    def test_rows_as_dicts_are_rejected_alone(self):
        ran = testing.transform("twice", [{"n": 1}, {"n": None}, {"n": 3}])
        self.assertEqual([row["n"] for row in ran.rows], [1, 10, 3, 30])
        self.assertEqual(ran.rejected, [(1, "no number")])

    def test_the_summary_is_the_first_line_of_the_docstring(self):
        self.assertEqual(PLUGIN.find("transform", "length").summary, "Adds the length of a text column.")
        self.assertEqual(PLUGIN.kinds(), ["transform", "aggregate", "keyed"])


class Aggregates(unittest.TestCase):
    def test_an_aggregate_merges_workers(self):
        batches = [[{"k": "a", "text": "x"}, {"k": "b", "text": ""}], [{"k": "a", "text": "xyz"}], []]
        ran = testing.aggregate("longest", batches, ["k"])
        self.assertEqual(ran.rows, [{"k": "a", "longest": "xyz"}, {"k": "b", "longest": ""}])

    def test_what_was_added_is_taken_out(self):
        batches = [[{"k": "a", "n": 1}, {"k": "b", "n": 2}], [{"k": "a", "n": 4}]]
        ran = testing.aggregate("sum", batches, ["k"], retracted=batches[:1])
        self.assertEqual(ran.rows, [{"k": "a", "count": 1, "sum": 4}, {"k": "b", "count": 0, "sum": 0}])
        self.assertEqual([PLUGIN.operators[name].retracts for name in ("sum", "longest")], [True, False])


class KeyedOperators(unittest.TestCase):
    def keeper(self):
        return testing.Keeper("silent", ["k"], {"k": ms.utf8, "at": ms.timestamp})

    def test_a_key_has_state_and_a_timer(self):
        keeper = self.keeper()
        ran = keeper.turn([{"k": "a", "at": 5}, {"k": "b", "at": 7}, {"k": "a", "at": None}])
        self.assertEqual((ran.rows, ran.rejected), ([], [(2, "no time")]))
        self.assertEqual((keeper.states, keeper.timers), ({("a",): 5, ("b",): 7}, {("a",): 15, ("b",): 17}))
        self.assertEqual(keeper.advance(14).rows, [])
        self.assertEqual(keeper.turn([{"k": "b", "at": 16}], watermark=15).rows, [{"k": "a", "since": 5}])
        self.assertEqual((keeper.states, keeper.timers), ({("b",): 16}, {("b",): 26}))

    def test_states_of_an_earlier_version_are_migrated(self):
        keeper = self.keeper()
        keeper.migrate("1.0.0", {("a",): 5})
        self.assertEqual(keeper.states, {("a",): 5_000_000})


class Errors(unittest.TestCase):
    def refused(self, run):
        with self.assertRaises(ms.OperatorError) as raised:
            run()
        return str(raised.exception)

    def test_a_config_that_is_wrong_is_told_with_its_key(self):
        rows = [{"text": "a", "n": 1}]
        for config, message in [
            ({}, "config.column: missing"),
            ({"column": "text", "lest": 1}, "config has no key `lest`; did you mean `least`?"),
            ({"column": "text", "least": "1"}, 'config.least: an integer is needed, not "1"'),
            ({"column": "text", "least": True}, "config.least: an integer is needed, not true"),
            ({"column": "txt"}, "there is no column `txt`; did you mean `text`?"),
            ({"column": "n"}, "column `n` is int64; it must be utf8"),
        ]:
            with self.subTest(message):
                told = self.refused(lambda config=config: testing.transform("length", rows, config))
                self.assertEqual(told, f"operator `length`: {message}")

    def test_every_failure_names_operator_column_and_row(self):
        rows = [{"n": 1, "m": 1, "s": "a"}, {"n": 0, "m": 2, "s": "b"}]
        for how, message in {
            "short": "column `n`, row 1: no value: the column has 1 values, not 2 "
            "(`out.flat()` allows other numbers of rows)",
            "long": "column `n`, row 2: a value too many: the column has 3 values, not 2 "
            "(`out.flat()` allows other numbers of rows)",
            "short of kept": "column `n`, row 2: no value: the column has 2 values, not 3",
            "not set": "the output column `n` was not set",
            "unknown": "there is no output column `m`: `open` promised Schema(n int64)",
            "raise": r"ZeroDivisionError: .* \(operators.py, line \d+, in <lambda>\)",
            "loop": r"ZeroDivisionError: .* \(operators.py, line \d+, in .*; last read: column `n`, row 1\)",
            "two loops": r"ZeroDivisionError: .*; last read: columns `n`, `m`, row 1\)",
            "rows": r"ZeroDivisionError: .*; last read: row 1\)",
            "break": r"ZeroDivisionError: .*; last read: column `n`, row 0\)",
            "refuse": "refused (last read: column `n`, row 0)",
            "after a loop": "there is no column `none`; there are `n`, `m`, `s`",
            "null": "column `n`, row 1: null, but the column is not nullable",
            "overflow": "column `n`, row 1: 9223372036854775808 is too large for int64",
            "text": "column `n`, row 0: '1' is no int64",
            "column": "column `n`: a column of utf8 cannot be one of int64",
            "row": "there is no row 2: the batch has 2 rows",
            "kept row": "there is no row -1: the batch has 2 rows",
            "exit": r"SystemExit: bye \(operators.py, .*",
            "level": r"ValueError: the level 'loud' is none of trace, debug, info, warn, error \(.*",
        }.items():
            with self.subTest(how):
                told = self.refused(lambda how=how: testing.transform("broken", rows, {"how": how}))
                if r"\d" in message or ".*" in message:
                    self.assertRegex(told, f"^operator `broken`: {message}$")
                else:
                    self.assertEqual(told, f"operator `broken`: {message}")

    def test_columns_of_unequal_length_are_told_with_the_first_row_without_a_value(self):
        for a, b, message in [
            (3, 2, "column `b`, row 2: no value: the column has 2 values, not 3"),
            (0, 1, "column `a`, row 0: no value: the column has 0 values, not 1"),
        ]:
            with self.subTest(message):
                told = self.refused(lambda a=a, b=b: testing.transform("two-columns", [{"a": a, "b": b}]))
                self.assertEqual(told, f"operator `two-columns`: {message}")

    def test_what_is_added_for_good_cannot_be_taken_out(self):
        batches = [[{"k": 1, "text": "a"}]]
        told = self.refused(lambda: testing.aggregate("longest", batches, ["k"], retracted=batches))
        self.assertIn("there is no `retract`", told)

    def test_a_state_that_json_does_not_know_is_told(self):
        with self.assertRaisesRegex(ms.OperatorError, "a state is nothing that JSON knows: Object of type set"):
            encode({1, 2})

    def test_a_state_that_another_kit_wrote_is_told(self):
        told = self.refused(lambda: States(1, buffers_of([b"\x00"], 1)).fixed("d", 2))
        self.assertEqual(told, "a state is not 16 bytes long: another version wrote it")
        with self.assertRaisesRegex(ms.OperatorError, "a state is not what this kit writes"):
            decode(b"\x00")

    def test_an_operator_that_is_not_there_is_told(self):
        told = self.refused(lambda: testing.transform("lenght", []))
        self.assertEqual(told, "operator `lenght`: this plugin has no transform of that name; did you mean `length`?")


if __name__ == "__main__":
    unittest.main()

"""The operators natively, where the golden cases in `../../cases` do not look: timers, states, and what goes wrong."""

import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import millstream as ms
from millstream import testing

import examples  # noqa: F401  (registers the operators)

FLOAT = {"price": ms.float64}


def refused(test, run):
    with test.assertRaises(ms.OperatorError) as raised:
        run()
    return str(raised.exception)


class SplitWords(unittest.TestCase):
    def test_only_spaces_separate_words(self):
        rows = [{"text": "  to bé\tor \u00a0not  "}, {"text": None}, {"text": ""}, {"text": "🦀"}]
        ran = testing.transform("split-words", rows, {"column": "text"})
        self.assertEqual([row["word"] for row in ran.rows], ["to", "bé\tor", "\u00a0not", "🦀"])

    def test_many_rows(self):
        ran = testing.transform("split-words", [{"text": "a b"}] * 100_000, {"column": "text", "output": "w"})
        self.assertEqual((len(ran.rows), ran.rows[-1]), (200_000, {"w": "b"}))


class Currency(unittest.TestCase):
    def test_nulls_stay_and_floats_are_floats(self):
        values = [1.5, None, float("inf"), -0.0]
        rows = [{"price": value, "n": 1} for value in values]
        ran = testing.transform("currency", rows, {"column": "price", "rate": 2}, FLOAT)
        self.assertEqual([row["converted"] for row in ran.rows], [3.0, None, float("inf"), 0.0])
        self.assertEqual(str(ran.rows[3]["converted"]), "-0.0")
        nan = testing.transform("currency", [{"price": float("nan")}], {"column": "price", "rate": 2})
        self.assertNotEqual(nan.rows[0]["converted"], nan.rows[0]["converted"])

    def test_a_column_is_not_written_over(self):
        config = {"column": "price", "rate": 2, "output": "price"}
        told = refused(self, lambda: testing.transform("currency", [{"price": 1.0}], config))
        self.assertEqual(told, "operator `currency`: there are two columns `price`")


class JsonPick(unittest.TestCase):
    def pick(self, kind, *texts, pointer="/a"):
        config = {"column": "text", "fields": [{"name": "a", "type": kind, "pointer": pointer}]}
        ran = testing.transform("json-pick", [{"text": text} for text in texts], config, {"text": ms.utf8})
        return [row["a"] for row in ran.rows], ran.rejected

    def test_int64_is_exact(self):
        texts = ['{"a":9007199254740993}', '{"a":-9223372036854775808}', '{"a":2e3}', '{"a":4.0}', '{"a":-0}']
        self.assertEqual(self.pick("int64", *texts), ([9007199254740993, -(2**63), 2000, 4, 0], []))
        texts = ['{"a":9223372036854775808}', '{"a":1.5}', '{"a":1e17}', '{"a":true}', '{"a":' + "9" * 5000 + "}"]
        self.assertEqual(self.pick("int64", *texts), ([], [(row, "/a is no int64") for row in range(5)]))

    def test_what_is_not_json_is_rejected(self):
        texts = ['{"a":NaN}', "Infinity", "[-Infinity]", '{"a":1} x', "", "{'a':1}", '{"a":01}', '"\t"', "[1,]"]
        self.assertEqual(self.pick("int64", *texts), ([], [(row, "not JSON") for row in range(len(texts))]))

    def test_pointers_lead_through_objects_and_arrays(self):
        text = '{"a":[{"b/c":{"~":"deep"}}, 5]}'
        self.assertEqual(self.pick("utf8", text, pointer="/a/0/b~1c/~0"), (["deep"], []))
        for nowhere in ("/a/01", "/a/-", "/a/2", "/a/9999999999999", "/a/1/x", "/b", "/a/0/b~1c/~1"):
            self.assertEqual(self.pick("utf8", text, pointer=nowhere), ([None], []), nowhere)
        self.assertEqual(self.pick("float64", "5", pointer=""), ([5.0], []))

    def test_half_a_character_and_depth_are_rejected_alone(self):
        values, rejected = self.pick("utf8", '{"a":"\\ud800"}', '{"a":"ok"}', "[" * 200_000, '{"a":"x","a":"y"}')
        self.assertEqual((values, [row for row, _ in rejected]), (["ok", "y"], [0, 2]))

    def test_a_pointer_that_is_none_is_refused(self):
        told = refused(self, lambda: self.pick("utf8", "{}", pointer="a"))
        self.assertEqual(told, "operator `json-pick`: config.fields[0]: the pointer `a` does not begin with /")


class Mean(unittest.TestCase):
    def test_workers_are_merged_and_nulls_do_not_count(self):
        batches = [[{"k": "a", "n": 1}, {"k": "b", "n": None}], [{"k": "a", "n": 4}]]
        types = {"n": ms.int64}
        ran = testing.aggregate("mean", batches, ["k"], {"column": "n"}, types)
        self.assertEqual(ran.rows, [{"k": "a", "mean": 2.5}, {"k": "b", "mean": None}])


class Sessions(unittest.TestCase):
    def keeper(self, gap_ms=1):
        types = {"user": ms.utf8, "at": ms.timestamp}
        return testing.Keeper("sessions", ["user"], types, {"time": "at", "gap_ms": gap_ms})

    def rows(self, *times):
        return [{"user": "a", "at": at} for at in times]

    def test_a_session_ends_when_the_gap_has_passed(self):
        keeper = self.keeper()
        keeper.turn([*self.rows(0, 900), {"user": "b", "at": 500}])
        self.assertEqual(keeper.timers, {("a",): 1900, ("b",): 1500})
        self.assertEqual(keeper.advance(1500).rows, [{"user": "b", "start": 500, "end": 500, "count": 1}])
        ran = keeper.turn(self.rows(5001), watermark=5000)
        self.assertEqual(ran.rows, [{"user": "a", "start": 0, "end": 900, "count": 2}])
        self.assertEqual((keeper.states, keeper.timers), ({("a",): [[5001, 5001, 1]]}, {("a",): 6001}))

    def test_rows_out_of_order_open_join_and_part_sessions(self):
        keeper = self.keeper()
        keeper.turn(self.rows(3000, 0, 1000, 1500))
        keeper.turn(self.rows(2200))
        self.assertEqual(keeper.advance(1200).rows, [{"user": "a", "start": 0, "end": 0, "count": 1}])
        self.assertEqual(keeper.advance(4000).rows, [{"user": "a", "start": 1000, "end": 3000, "count": 4}])
        self.assertEqual((keeper.states, keeper.timers), ({}, {}))

    def test_a_row_without_a_time_is_rejected(self):
        self.assertEqual(self.keeper().turn(self.rows(0, None)).rejected, [(1, "`at` is null")])

    def test_states_of_any_version_stay(self):
        keeper = self.keeper()
        keeper.migrate("0.0.1", {("a",): [[0, 5, 2]]})
        self.assertEqual(keeper.states, {("a",): [[0, 5, 2]]})

    def test_a_gap_of_nothing_is_refused(self):
        told = refused(self, lambda: self.keeper(gap_ms=0))
        self.assertEqual(told, "operator `sessions`: config.gap_ms is 0: every row would be a session")


class Hostile(unittest.TestCase):
    ROWS = [{"text": "good"}, {"text": "bad"}]

    def run_it(self, do, rows=ROWS):
        return testing.transform("hostile", rows, {"do": do, "column": "text"})

    def test_each_way_is_an_error_that_names_column_and_row(self):
        for do, message in {
            "throw": r"ValueError: a bad row \(hostile.py, line \d+, in throw; last read: column `text`, row 1\)",
            "recurse": r"RecursionError: .* \(hostile.py, line \d+, in recurse\)",
            "uneven": "column `text`, row 1: no value: the column has 1 values, not 2 .*",
            "null": "column `out`, row 1: null, but the column is not nullable",
            "overflow": "column `out`, row 1: 9223372036854775808 is too large for int64",
            "wrong-type": "column `out`, row 0: 'one' is no int64",
        }.items():
            with self.subTest(do):
                told = refused(self, lambda do=do: self.run_it(do))
                self.assertRegex(told, f"^operator `hostile`: {message}$")

    def test_nothing_passes_rows_through(self):
        for do in ("nothing", "throw"):
            self.assertEqual(self.run_it(do, self.ROWS[:1]).rows, self.ROWS[:1])

    def test_it_tells_how_many_rows_there_are(self):
        ran = self.run_it("tell")
        self.assertEqual((ran.rows, ran.logs), (self.ROWS, [("info", "2 rows")]))
        self.assertEqual((ran.counts, ran.observed), ({"told": 2}, {"share": [0.5]}))

    def test_the_end_is_no_exception(self):
        script = "import hostile; hostile.fatal(None, None, '')"
        folder = Path(__file__).parent.parent
        ran = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
        self.assertEqual((ran.returncode, ran.stderr.split("\n")[0]), (-signal.SIGABRT, "the end"))


class HostileSum(unittest.TestCase):
    BATCHES = [[{"k": "a", "text": "x"}], [{"k": "b", "text": None}, {"k": "b", "text": "bad"}]]

    def run_it(self, do):
        return testing.aggregate("hostile-sum", self.BATCHES, ["k"], {"do": do, "column": "text"}).rows

    def test_rows_are_counted(self):
        self.assertEqual(self.run_it("nothing"), [{"k": "a", "n": 1}, {"k": "b", "n": 2}])

    def test_each_way_is_an_error_that_names_its_place(self):
        for do, message in {
            "throw": r"ValueError: a bad row \(.*, in accumulate; last read: column `text`, row 1\)",
            "throw-merge": r"merge: ValueError: a bad merge \(hostile_sum.py, line \d+, in merge\)",
            "throw-finish": r"finish: ValueError: a bad finish \(hostile_sum.py, line \d+, in finish\)",
            "null": "column `n`, row 0: null, but the column is not nullable",
            "overflow": "column `n`, row 0: 9223372036854775808 is too large for int64",
        }.items():
            with self.subTest(do):
                told = refused(self, lambda do=do: self.run_it(do))
                self.assertRegex(told, f"^operator `hostile-sum`: {message}$")


class HostileKeyed(unittest.TestCase):
    ROWS = [
        {"k": "a", "text": "x", "at": 1}, {"k": "b", "text": None, "at": None}, {"k": "b", "text": "bad", "at": None},
    ]

    def keeper(self, do):
        types = {"k": ms.utf8, "text": ms.utf8, "at": ms.timestamp}
        return testing.Keeper("hostile-keyed", ["k"], types, {"do": do, "column": "text", "time": "at"})

    def test_rows_are_numbered_by_key(self):
        keeper = self.keeper("nothing")
        self.assertEqual([row["n"] for row in keeper.turn(self.ROWS).rows], [1, 1, 2])
        self.assertEqual([row["n"] for row in keeper.turn(self.ROWS[1:]).rows], [3, 4])
        self.assertEqual((keeper.states, keeper.timers), ({("a",): 1, ("b",): 4}, {}))

    def test_each_way_is_an_error_that_names_its_place(self):
        for do, message in {
            "throw": r"row 2: ValueError: a bad row \(hostile_keyed.py, line \d+, in on_row\)",
            "null": "column `n`, row 0, key `k` 'a': null, but the column is not nullable",
            "overflow": "column `n`, row 0, key `k` 'a': 9223372036854775808 is too large for int64",
        }.items():
            with self.subTest(do):
                told = refused(self, lambda do=do: self.keeper(do).turn(self.ROWS))
                self.assertRegex(told, f"^operator `hostile-keyed`: {message}$")

    def test_a_timer_breaks_for_a_key_with_a_time(self):
        keeper = self.keeper("throw-timer")
        self.assertEqual([row["n"] for row in keeper.turn(self.ROWS).rows], [1, 1, 2])
        self.assertEqual(keeper.timers, {("a",): 1001})
        told = refused(self, lambda: keeper.advance(1001))
        place = "operator `hostile-keyed`: timer of key `k` 'a': ValueError: a bad timer"
        self.assertRegex(told, f"^{place} \\(hostile_keyed.py, line \\d+, in on_timer\\)$")


if __name__ == "__main__":
    unittest.main()

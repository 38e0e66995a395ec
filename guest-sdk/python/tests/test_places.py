"""What is told when an operator breaks: the operator, and the place as far as the kit knows it."""

import unittest

import fragile  # noqa: F401  (registers the operators)

import millstream as ms
from millstream import testing
from millstream.aggregates import OpenAggregate
from millstream.states import States, buffers_of

# The second group has two rows, the second of them (row 2 of the batch) is bad.
BATCH = [{"k": "a", "s": "x"}, {"k": "b", "s": "x"}, {"k": "b", "s": "bad"}]


class Places(unittest.TestCase):
    def check(self, operator, run, expected):
        """`run(where)` is refused in these words; `LINE` is where `fragile.py` broke."""
        for where, words in expected.items():
            with self.subTest(where):
                with self.assertRaises(ms.OperatorError) as raised:
                    run({"where": where})
                before, line, after = f"operator `{operator}`: {words}".partition("LINE")
                told = str(raised.exception)
                if line:
                    self.assertTrue(told.startswith(before) and told.endswith(after), told)
                    self.assertRegex(told[len(before) :], r"^fragile.py, line \d+, in breaks")
                else:
                    self.assertEqual(told, before)

    def test_a_function_over_one_row(self):
        def run(text):
            return lambda config: testing.transform("fragile-rows", [{"s": "x"}, {"s": text}], config)

        self.check("fragile-rows", run("bad"), {"bad": "row 1: ValueError: broken (LINE)"})
        self.check("fragile-rows", run("refused"), {"": "row 1: refused"})
        self.check("fragile-rows", run("unknown"), {"": "row 1: there is no output column `none`"})

    def test_an_aggregate_over_rows(self):
        def run(config):
            testing.aggregate("fragile", [BATCH], ["k"], config, retracted=[BATCH[1:]])

        unknown = "a state is nothing that JSON knows: Object of type set is not JSON serializable"
        self.check("fragile", run, {
            "add": "row 2: ValueError: broken (LINE)",
            "add-state": f"state 0: {unknown}",
            "merge": "merge, state 1: ValueError: broken (LINE)",
            "merge-state": f"merge, state 1: {unknown}",
            "retract": "retract, state 1: ValueError: broken (LINE)",
        })

    def test_the_results_of_an_aggregate_over_rows(self):
        self.check("fragile", lambda config: testing.aggregate("fragile", [BATCH], ["k"], config), {
            "finish": "finish, state 1: ValueError: broken (LINE)",
            "few": "finish, state 1: the result has 1 values, not 2",
            "null": "column `n`, row 1: null, but the column is not nullable",
            "overflow": "column `n`, row 1: 9223372036854775808 is too large for int64",
        })

    def test_an_aggregate_over_columns(self):
        def run(config):
            testing.aggregate("fragile-columns", [BATCH], ["k"], config, retracted=[BATCH])

        self.check("fragile-columns", run, {
            "accumulate": "ValueError: broken (LINE; last read: column `s`, row 2)",
            "few states": "the operator answers 1 states for 2",
            "merge": "merge: ValueError: broken (LINE)",
            "retract": "retract: ValueError: broken (LINE)",
        })

    def test_the_results_of_an_aggregate_over_columns(self):
        self.check("fragile-columns", lambda config: testing.aggregate("fragile-columns", [BATCH], ["k"], config), {
            "finish": "finish: ValueError: broken (LINE)",
            "null": "column `n`, row 1: null, but the column is not nullable",
            "uneven": "column `twice`, row 1: no value: the column has 1 values, not 2 "
            "(`out.flat()` allows other numbers of rows)",
        })

    def test_a_state_that_another_version_wrote(self):
        states = States(2, buffers_of([b"1", b"\x00"], 2))
        columns = ms.Schema.of(s=ms.utf8)
        opened = OpenAggregate("fragile", "{}", columns)
        for place, call in {
            "state 1": lambda: opened.accumulate(states, [], testing.running.batch([], columns)),
            "merge, state 1": lambda: opened.merge(states, states),
            "finish, state 1": lambda: opened.finish(states),
        }.items():
            with (
                self.subTest(place),
                self.assertRaisesRegex(ms.OperatorError, f"^operator `fragile`: {place}: a state is not what this"),
            ):
                call()

    def test_a_keyed_operator(self):
        def run(config):
            testing.Keeper("fragile-keyed", ["k"], {"k": ms.utf8, "s": ms.utf8}, config).turn(BATCH)

        emitted = "column `n`, row 2, key `k` 'b'"
        self.check("fragile-keyed", run, {
            "on_row": "row 2: ValueError: broken (LINE)",
            "set_timer": "row 2: a timer cannot be set to 9223372036854775808: "
            "it takes microseconds since 1970, an int of 64 bits",
            "unknown": "row 2: there is no output column `m`",
            "state": "key `k` 'b': a state is nothing that JSON knows: Object of type set is not JSON serializable",
            "null": f"{emitted}: null, but the column is not nullable",
            "overflow": f"{emitted}: 9223372036854775808 is too large for int64",
            "text": f"{emitted}: 'x' is no int64",
        })

    def test_a_timer(self):
        def run(config):
            keeper = testing.Keeper("fragile-keyed", ["k", "s"], {"k": ms.utf8, "s": ms.utf8}, config)
            keeper.turn([{"k": "a", "s": None}, {"k": "b", "s": "y"}, {"k": "b", "s": "y"}])
            keeper.advance(9)

        self.check("fragile-keyed", run, {
            "on_timer": "timer of key `k` 'b', `s` 'y': ValueError: broken (LINE)",
            "unknown": "timer of key `k` 'a', `s` None: there is no output column `m`",
            "null": "column `n`, row 0, key `k` 'a', `s` None: null, but the column is not nullable",
        })

    def test_the_state_of_a_key_that_another_kit_wrote(self):
        keeper = testing.Keeper("fragile-keyed", ["k"], {"k": ms.utf8, "s": ms.utf8})
        keeper.turn([{"k": "a", "s": ""}])
        keeper._states[("a",)] = b"\x00"
        with self.assertRaisesRegex(ms.OperatorError, "^operator `fragile-keyed`: key `k` 'a': a state is not what"):
            keeper.advance(9)

    def test_a_migration(self):
        def run(config):
            keeper = testing.Keeper("fragile-keyed", ["k"], {"k": ms.utf8, "s": ms.utf8}, config)
            keeper.migrate("0.0.1", {("a",): 1, ("b",): 2})

        self.check("fragile-keyed", run, {
            "migrate": "migrate, state 1: ValueError: broken (LINE)",
            "migrate-state": "migrate, state 1: a state is nothing that JSON knows: "
            "Object of type set is not JSON serializable",
        })


class NoGroups(unittest.TestCase):
    def test_the_results_of_no_groups_are_empty_columns(self):
        nothing = States(0, (b"", b"", b""))
        for name in ("fragile", "fragile-columns"):
            with self.subTest(name):
                opened = OpenAggregate(name, "{}", ms.Schema.of(s=ms.utf8))
                self.assertEqual(opened.finish(nothing)[0], 0)
                self.assertEqual(testing.running.rows_of(opened.output, *opened.finish(nothing)), [])
                self.assertEqual(opened.finish(nothing)[1], [(b"", b"", b"")] * 2)


if __name__ == "__main__":
    unittest.main()

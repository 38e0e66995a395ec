"""Operators that break in the function that their config names, for the tests of what is told then."""

from array import array
from dataclasses import dataclass

import millstream as ms


@dataclass
class Fragile:
    """Where it breaks; in `KIND-state` it leaves a state that JSON does not know."""

    where: str = ""

    def breaks(self, where):
        """Whether that is here."""
        if where == self.where:
            raise ValueError("broken")


@ms.transform("fragile-rows", config=Fragile)
def rows(config, input):
    """Breaks at the row that the config names; `refused` and `unknown` are rows that the kit refuses."""

    def each(row):
        if row["s"] == "refused":
            raise ms.OperatorError("refused")
        config.breaks(row["s"])
        return {"none": 1} if row["s"] == "unknown" else row

    return ms.map_rows(input, each)


@ms.aggregate("fragile", config=Fragile)
class Rows:
    """Counts rows; at a row `bad` it breaks in `add`."""

    output = ms.Schema([ms.Field("n", ms.int64, nullable=False), ms.Field("twice", ms.int64)])

    def __init__(self, config, input):
        self.config = config

    def new(self):
        """No rows."""
        return 0

    def add(self, state, row):
        """One more."""
        if row["s"] == "bad":
            self.config.breaks("add")
        return {1} if self.config.where == "add-state" else state + 1

    def merge(self, left, right):
        """Both; breaks at states of two rows, as the others do."""
        if right == 2:
            self.config.breaks("merge")
        return {1} if self.config.where == "merge-state" and right == 2 else left + right

    def retract(self, left, right):
        """The rest."""
        if right == 2:
            self.config.breaks("retract")
        return left - right

    def finish(self, state):
        """The count, and twice the count."""
        if state == 2:
            self.config.breaks("finish")
        answers = {"null": (None, 0), "overflow": (2**63, 0), "few": (state,)}
        return answers.get(self.config.where if state == 2 else "", (state, 2 * state))


@ms.aggregate("fragile-columns", config=Fragile)
class Columns:
    """The same over columns."""

    output = Rows.output

    def __init__(self, config, input):
        self.config = config

    def accumulate(self, states, groups, batch):
        """One more for each row."""
        counts = states.fixed("q", 1)
        for group, text in zip(groups, batch["s"]):
            if text == "bad":
                self.config.breaks("accumulate")
            counts[group] += 1
        return (counts[:-1] if self.config.where == "few states" else counts), 1

    def merge(self, left, right):
        """Both."""
        self.config.breaks("merge")
        return array("q", map(sum, zip(left.fixed("q", 1), right.fixed("q", 1)))), 1

    def retract(self, left, right):
        """Breaks."""
        self.config.breaks("retract")
        return left.fixed("q", 1), 1

    def finish(self, states, out):
        """The count, and twice the count."""
        self.config.breaks("finish")
        counts = states.fixed("q", 1).tolist()
        out["n"] = [None if self.config.where == "null" and count == 2 else count for count in counts]
        out["twice"] = counts[:-1] if self.config.where == "uneven" else [2 * count for count in counts]


@ms.keyed("fragile-keyed", config=Fragile)
class Keyed:
    """Counts the rows of a key; at a row `bad` it breaks in `on_row`."""

    output = ms.Schema([ms.Field("n", ms.int64, nullable=False)])

    def __init__(self, config, keys, input):
        self.config = config

    def on_row(self, key, row):
        """One more."""
        where = self.config.where if row["s"] == "bad" else ""
        if row["s"] == "bad":
            self.config.breaks("on_row")
        if where == "set_timer":
            key.set_timer(2**63)
        if where == "unknown":
            key.emit(m=1)
        key.state = {1} if where == "state" else (key.state or 0) + 1
        key.emit(n={"null": None, "overflow": 2**63, "text": "x"}.get(where, key.state))
        key.set_timer(5)

    def on_timer(self, key, at):
        """The end of a key."""
        if key.state == 2:
            self.config.breaks("on_timer")
        key.emit(**{"m" if self.config.where == "unknown" else "n": None if self.config.where == "null" else 0})

    def migrate(self, version, state):
        """As it is; a state of two rows breaks it."""
        if state == 2:
            self.config.breaks("migrate")
        return {1} if self.config.where == "migrate-state" and state == 2 else state

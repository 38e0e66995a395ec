"""Keyed operators: any state and a timer for each key, kept by the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .builders import build
from .columns import Batch, Buffers, Clock, Row
from .errors import ColumnError, OperatorError, Reject, placed, shown
from .opened import Opened, checked
from .output import Output, Rejections, taken
from .states import States, buffers_of, decode, decode_some, encode_some
from .types import Schema

_TIME_MIN, _TIME_MAX = -(1 << 63), (1 << 63) - 1


class Key:
    """A key in its turn: its values, its state (None: there is none, or none any more), its clock."""

    __slots__ = ("values", "state", "clock", "_turn", "_number")

    def __init__(self, number: int, values: Row, state: Any, turn: _Writes):
        self.values, self.state, self.clock = values, state, turn.clock
        self._number, self._turn = number, turn

    def set_timer(self, at: int) -> None:
        """Sets the key's only timer, in microseconds since 1970 on the step's clock; an earlier one is replaced."""
        if not isinstance(at, int) or not _TIME_MIN <= at <= _TIME_MAX:
            raise OperatorError(f"a timer cannot be set to {at!r}: it takes microseconds since 1970, an int of 64 bits")
        self._turn.timers[self._number] = at

    def emit(self, **columns: Any) -> None:
        """A row of output: the key's columns, and these. A column that is left out is null."""
        self._turn.emit(self._number, columns)


class _Writes:
    """What a turn writes besides states."""

    def __init__(self, clock: Clock, names: list[str]):
        self.clock = clock
        self.columns: dict[str, list[Any]] = {name: [] for name in names}
        self.emitted: list[int] = []
        self.timers: dict[int, int] = {}

    def emit(self, key: int, values: Row) -> None:
        if unknown := values.keys() - self.columns.keys():
            raise OperatorError(f"there is no output column `{min(unknown)}`")
        for name, column in self.columns.items():
            column.append(values.get(name))
        self.emitted.append(key)


@dataclass
class Turn:
    """What a keyed operator is given at once."""

    keys: Batch
    states: States
    rows: Batch
    # The key of each row, and the timers that are due: key and time.
    row_keys: Sequence[int]
    due: list[tuple[int, int]]


@dataclass
class Outcome:
    """What it makes of that."""

    rows: int
    columns: list[Buffers]
    states: Buffers
    timers: list[tuple[int, int]]
    rejected: Rejections


class OpenKeyed(Opened):
    """A keyed operator at work."""

    def __init__(self, name: str, config: str, keys: Schema, input: Schema):
        super().__init__("keyed", name, config, keys, input)
        with self.told():
            self._own = checked(self.made.output)
            self.output = Schema((*keys, *self._own))

    def process(self, turn: Turn) -> Outcome:
        """A turn: the timers that are due, then the rows in their order."""
        writes = _Writes(turn.rows.clock, [field.name for field in self._own])
        values = list(turn.keys.rows())

        def place(number: int) -> str:
            return _key(values[number])

        states = self.each(place, decode_some, turn.states.to_list())
        keys = [Key(number, *each, writes) for number, each in enumerate(zip(values, states))]
        due = [number for number, _ in turn.due]
        self.each(lambda nth: f"timer of {place(due[nth])}", lambda one: self._timer(keys[one[0]], one[1]), turn.due)
        rejected = self._rows(keys, turn)
        after = self.each(place, encode_some, [key.state for key in keys])
        with self.told():
            rows, columns = self._written(writes, place)
            before = [build(key.field, taken(key, writes.emitted)) for key in turn.keys.columns]
            states_after = buffers_of(after, len(keys))
        return Outcome(rows, before + columns, states_after, sorted(writes.timers.items()), rejected)

    def migrate(self, version: str, states: States) -> Buffers:
        """States that an earlier version wrote, as this one wants them; as they are without `migrate`."""
        if not hasattr(self.made, "migrate"):
            return states.buffers

        def moved(state: bytes | None) -> bytes | None:
            return None if state is None else encode_some(self.made.migrate(version, decode(state)))

        return buffers_of(self.each("migrate, state {}".format, moved, states.to_list()), len(states))

    def _timer(self, key: Key, at: int) -> None:
        if not hasattr(self.made, "on_timer"):
            raise OperatorError("a timer is due, but there is no `on_timer`")
        self.made.on_timer(key, at)

    def _rows(self, keys: list[Key], turn: Turn) -> Rejections:
        on_row, number = self.made.on_row, None
        rejected: Rejections = []
        with self.told(lambda: placed([], number)):
            for number, (key, row) in enumerate(zip(turn.row_keys, turn.rows.rows())):
                try:
                    on_row(keys[key], row)
                except Reject as why:
                    rejected.append((number, str(why)))
        return rejected

    def _written(self, writes: _Writes, place: Callable[[int], str]) -> tuple[int, list[Buffers]]:
        made = Output(self._own, len(writes.emitted))
        for name, column in writes.columns.items():
            made[name] = column
        try:
            return made.finish()
        except ColumnError as error:
            # A row of output says nothing to whoever wrote `emit`; its key does.
            if error.row is None:
                raise
            raise ColumnError(error.column, error.row, error.why, place(writes.emitted[error.row])) from None


def _key(values: Row) -> str:
    """A key in words, by its values."""
    return " ".join(["key", ", ".join(f"`{name}` {shown(value)}" for name, value in values.items())]).rstrip()

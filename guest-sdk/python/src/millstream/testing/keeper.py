"""A keyed operator with the states and timers that a host would keep for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..columns import Clock, Row
from ..keys import OpenKeyed, Turn
from ..states import States, decode, encode
from ..types import Schema
from .running import Ran, Recorder, Types, batch, rows_of, schema, states_of

KeyValues = tuple[Any, ...]


class Keeper:
    """Turns of a keyed operator, one after the other; keys are tuples of the values of `by`."""

    def __init__(
        self, operator: str, by: Sequence[str], types: Types | Schema, config: Any = None
    ):
        self._by = tuple(by)
        self._columns = schema([], types)
        self._keys = Schema(self._columns[name] for name in by)
        self._opened = OpenKeyed(operator, json.dumps(config or {}), self._keys, self._columns)
        self._states: dict[KeyValues, bytes] = {}
        self._turns = 0
        # The timers that are set, by key.
        self.timers: dict[KeyValues, int] = {}

    @property
    def states(self) -> dict[KeyValues, Any]:
        """The states by key, as the operator sees them."""
        return {key: decode(state) for key, state in self._states.items()}

    def turn(self, rows: Sequence[Row], watermark: int | None = None, now: int = 0) -> Ran:
        """A turn with these rows, before which the timers come that are due at `watermark`."""
        recorder = Recorder()
        self._turns += 1
        clock = Clock(self._turns, now, watermark)
        due = {key: at for key, at in self.timers.items() if watermark is not None and at <= watermark}
        keys = {key: place for place, key in enumerate(dict.fromkeys([*due, *map(self._key, rows)]))}
        outcome = self._opened.process(
            Turn(
                keys=batch([dict(zip(self._by, key)) for key in keys], self._keys, clock),
                states=states_of([self._states.get(key) for key in keys]),
                rows=batch(rows, self._columns, clock),
                row_keys=[keys[self._key(row)] for row in rows],
                due=[(keys[key], at) for key, at in due.items()],
            )
        )
        for key in due:
            del self.timers[key]
        names = list(keys)
        self.timers.update({names[place]: at for place, at in outcome.timers})
        self._keep(names, States(len(names), outcome.states))
        return recorder.ran(rows_of(self._opened.output, outcome.rows, outcome.columns), outcome.rejected)

    def advance(self, watermark: int) -> Ran:
        """A turn without rows: only the timers that are due at `watermark`."""
        return self.turn([], watermark)

    def migrate(self, version: str, states: dict[KeyValues, Any]) -> None:
        """Takes states that an earlier version of the plugin wrote, through the operator's `migrate`."""
        before = states_of([encode(state) for state in states.values()])
        self._keep(list(states), States(len(states), self._opened.migrate(version, before)))

    def _key(self, row: Row) -> KeyValues:
        return tuple(row.get(name) for name in self._by)

    def _keep(self, keys: list[KeyValues], states: States) -> None:
        for key, state in zip(keys, states.to_list()):
            if state is None:
                self._states.pop(key, None)
            else:
                self._states[key] = state

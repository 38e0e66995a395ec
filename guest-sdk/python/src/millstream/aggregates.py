"""Aggregates: rows of groups to states, states to results. Over rows and dicts, or over columns."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from .columns import Batch, Buffers
from .errors import OperatorError
from .opened import Opened, checked
from .output import Output
from .states import NewStates, States, buffers_of, decode, encode
from .types import Field, Schema


class OpenAggregate(Opened):
    """An aggregate at work."""

    def __init__(self, name: str, config: str, input: Schema):
        super().__init__("aggregate", name, config, input)
        with self.told():
            self.output = checked(self.made.output)
            self._is_columnar = hasattr(self.made, "accumulate")

    def accumulate(self, states: States, groups: Sequence[int], batch: Batch) -> Buffers:
        """Adds rows; `groups` says to which state each row belongs."""
        if self._is_columnar:
            with self.told(reading=batch):
                answer = self.made.accumulate(states, groups, batch)
            return self._buffers(answer, len(states))
        changed = self.each("state {}".format, self._decoded, states.to_list())
        add = self.made.add
        with self.told(batch.place):
            for group, row in zip(groups, batch.rows()):
                changed[group] = add(changed[group], row)
        return self._buffers(self.each("state {}".format, encode, changed), len(states))

    def merge(self, left: States, right: States) -> Buffers:
        """Adds the states of the right to those of the left, pairwise."""
        return self._pairwise("merge", left, right)

    def retract(self, left: States, right: States) -> Buffers:
        """Takes the states of the right out of those of the left, pairwise: the inverse of `merge`."""
        with self.told():
            if not hasattr(self.made, "retract"):
                raise OperatorError("what was added cannot be taken out again: there is no `retract`")
        return self._pairwise("retract", left, right)

    def finish(self, states: States) -> tuple[int, list[Buffers]]:
        """One row a state."""
        out = Output(self.output, len(states))
        if self._is_columnar:
            with self.told(lambda: "finish"):
                self.made.finish(states, out)
        else:
            rows = self.each("finish, state {}".format, self._finished, states.to_list())
            for place, field in enumerate(self.output):
                out[field.name] = [row[place] for row in rows]
        with self.told():
            return out.finish()

    def _decoded(self, state: bytes | None) -> Any:
        return self.made.new() if state is None else decode(state)

    def _finished(self, state: bytes | None) -> tuple[Any, ...]:
        return _cells(self.made.finish(self._decoded(state)), self.output.fields)

    def _pairwise(self, name: str, left: States, right: States) -> Buffers:
        change = getattr(self.made, name)
        if self._is_columnar:
            with self.told(lambda: name):
                answer = change(left, right)
            return self._buffers(answer, len(left))

        def changed(one: bytes | None, other: bytes | None) -> bytes | None:
            return one if other is None else encode(change(self._decoded(one), decode(other)))

        made = self.each(f"{name}, state {{}}".format, changed, left.to_list(), right.to_list())
        return self._buffers(made, len(left))

    def _buffers(self, states: NewStates, count: int) -> Buffers:
        with self.told():
            return buffers_of(states, count)


def _cells(row: Any, fields: tuple[Field, ...]) -> tuple[Any, ...]:
    """A result as one value a column: a tuple, a dict, or the same value for all."""
    if not isinstance(row, (tuple, dict)):
        return (row,) * len(fields)
    if isinstance(row, dict):
        return tuple(row.get(field.name) for field in fields)
    if len(row) != len(fields):
        raise OperatorError(f"the result has {len(row)} values, not {len(fields)}")
    return row


def groups_of(data: bytes) -> memoryview:
    """Numbers of groups or keys, 32 bits each."""
    return memoryview(data).cast("I")


def packed_groups(groups: Sequence[int]) -> bytes:
    """Such numbers as bytes."""
    return array("I", groups).tobytes()

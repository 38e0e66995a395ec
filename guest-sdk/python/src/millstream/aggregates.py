"""Aggregates: rows of groups to states, states to results. Over rows and dicts, or over columns."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from .columns import Batch, Buffers
from .errors import OperatorError
from .opened import Opened, checked
from .output import Output
from .states import States, buffers_of, decode, encode
from .types import Schema


class OpenAggregate(Opened):
    """An aggregate at work."""

    def __init__(self, name: str, config: str, input: Schema):
        super().__init__("aggregate", name, config, input)
        with self.told():
            self.output = checked(self.made.output)
            self._is_columnar = hasattr(self.made, "accumulate")

    def accumulate(self, states: States, groups: Sequence[int], batch: Batch) -> Buffers:
        """Adds rows; `groups` says to which state each row belongs."""
        with self.told(batch):
            if self._is_columnar:
                return buffers_of(self.made.accumulate(states, groups, batch), len(states))
            add = self.made.add
            changed = [self._decoded(state) for state in states.to_list()]
            for group, row in zip(groups, batch.rows()):
                changed[group] = add(changed[group], row)
        with self.told():
            return buffers_of([encode(state) for state in changed], len(states))

    def merge(self, left: States, right: States) -> Buffers:
        """Adds the states of the right to those of the left, pairwise."""
        return self._pairwise(self.made.merge, left, right)

    def retract(self, left: States, right: States) -> Buffers:
        """Takes the states of the right out of those of the left, pairwise: the inverse of `merge`."""
        with self.told():
            if not hasattr(self.made, "retract"):
                raise OperatorError("what was added cannot be taken out again: there is no `retract`")
        return self._pairwise(self.made.retract, left, right)

    def finish(self, states: States) -> tuple[int, list[Buffers]]:
        """One row a state."""
        out = Output(self.output, len(states))
        with self.told():
            if self._is_columnar:
                self.made.finish(states, out)
            else:
                rows = [self.made.finish(self._decoded(state)) for state in states.to_list()]
                for place, field in enumerate(self.output):
                    out[field.name] = [_cell(row, place, field.name) for row in rows]
            return out.finish()

    def _decoded(self, state: bytes | None) -> Any:
        return self.made.new() if state is None else decode(state)

    def _pairwise(self, change: Any, left: States, right: States) -> Buffers:
        with self.told():
            if self._is_columnar:
                return buffers_of(change(left, right), len(left))
            changed = []
            for one, other in zip(left.to_list(), right.to_list()):
                if other is None:
                    changed.append(one)
                else:
                    changed.append(encode(change(self._decoded(one), decode(other))))
            return buffers_of(changed, len(left))


def _cell(row: Any, place: int, name: str) -> Any:
    if isinstance(row, dict):
        return row.get(name)
    return row[place] if isinstance(row, tuple) else row


def groups_of(data: bytes) -> memoryview:
    """Numbers of groups or keys, 32 bits each."""
    return memoryview(data).cast("I")


def packed_groups(groups: Sequence[int]) -> bytes:
    """Such numbers as bytes."""
    return array("I", groups).tobytes()

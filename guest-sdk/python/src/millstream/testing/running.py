"""One call of a transform, one run of an aggregate, and the rows and batches of tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import host
from ..aggregates import OpenAggregate
from ..builders import build
from ..columns import Batch, Buffers, Clock, Row
from ..states import States, buffers_of
from ..transforms import OpenTransform
from ..types import DataType, Field, Schema, binary, boolean, float64, int64, utf8

_TYPES = {bool: boolean, int: int64, float: float64, str: utf8, bytes: binary}
# Types of columns by name, where values do not tell them.
Types = dict[str, DataType]


@dataclass
class Ran:
    """What an operator made of its input, and what it told the host."""

    rows: list[Row]
    rejected: list[tuple[int, str]] = field(default_factory=list)
    logs: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    observed: dict[str, list[float]] = field(default_factory=dict)


class Recorder:
    """Listens to an operator."""

    def __init__(self) -> None:
        self.logs: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}
        self.observed: dict[str, list[float]] = {}
        host.connect(self)

    def log(self, level: str, message: str) -> None:
        """A line of the log."""
        self.logs.append((level, message))

    def count(self, name: str, by: int) -> None:
        """More of a counter."""
        self.counts[name] = self.counts.get(name, 0) + by

    def observe(self, name: str, value: float) -> None:
        """A value of a distribution."""
        self.observed.setdefault(name, []).append(value)

    def ran(self, rows: list[Row], rejected: list[tuple[int, str]] | None = None) -> Ran:
        """What was heard, with rows."""
        return Ran(rows, rejected or [], self.logs, self.counts, self.observed)


def transform(
    operator: str,
    rows: Sequence[Row],
    config: Any = None,
    types: Types | Schema | None = None,
    clock: Clock | None = None,
) -> Ran:
    """Runs a transform over one batch. A `Schema` as `types` says all columns and which may be null."""
    recorder = Recorder()
    columns = schema(rows, types)
    opened = OpenTransform(operator, json.dumps(config or {}), columns)
    count, made, rejected = opened.process(batch(rows, columns, clock))
    return recorder.ran(rows_of(opened.output, count, made), rejected)


def aggregate(
    operator: str,
    batches: Sequence[Sequence[Row]],
    by: Sequence[str],
    config: Any = None,
    types: Types | Schema | None = None,
    retracted: Sequence[Sequence[Row]] = (),
) -> Ran:
    """Runs an aggregate over batches of rows, each of them on a worker of its own; a row a group.

    The states of `retracted` are taken out again at the end.
    """
    recorder = Recorder()
    columns = schema([row for rows in (*batches, *retracted) for row in rows], types)
    opened = OpenAggregate(operator, json.dumps(config or {}), columns)
    groups: dict[tuple[Any, ...], int] = {}
    for rows in (*batches, *retracted):
        for row in rows:
            groups.setdefault(_key(row, by), len(groups))

    def added(rows: Sequence[Row]) -> States:
        places = [groups[_key(row, by)] for row in rows]
        # As in the host, there is a state for each group that these rows touch, and for no other.
        touched = list(dict.fromkeys(places))
        mine = [touched.index(place) for place in places]
        buffers = opened.accumulate(_nothing(len(touched)), mine, batch(rows, columns))
        by_group = dict(zip(touched, States(len(touched), buffers).to_list()))
        return states_of([by_group.get(group) for group in range(len(groups))])

    merged = _nothing(len(groups))
    for rows in batches:
        merged = States(len(groups), opened.merge(merged, added(rows)))
    for rows in retracted:
        merged = States(len(groups), opened.retract(merged, added(rows)))
    finished = rows_of(opened.output, *opened.finish(merged))
    return recorder.ran([dict(zip(by, key)) | row for key, row in zip(groups, finished)])


def schema(rows: Sequence[Row], types: Types | Schema | None = None) -> Schema:
    """The schema that rows of dicts have: by the first value of each column that is not None."""
    if isinstance(types, Schema):
        return types
    given = types or {}
    columns = dict(given)
    names = dict.fromkeys([*(name for row in rows for name in row), *given])
    for row in rows:
        for name, value in row.items():
            if value is not None:
                columns.setdefault(name, _TYPES[type(value)])
    return Schema(Field(name, columns.get(name, utf8)) for name in names)


def batch(rows: Sequence[Row], columns: Schema, clock: Clock | None = None) -> Batch:
    """Rows of dicts as a batch with this schema."""
    buffers = [build(one, [row.get(one.name) for row in rows]) for one in columns]
    return Batch(columns, len(rows), buffers, clock)


def rows_of(columns: Schema, count: int, buffers: list[Buffers]) -> list[Row]:
    """Output as rows of dicts."""
    return list(Batch(columns, count, buffers).rows())


def _key(row: Row, by: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in by)


def states_of(states: list[bytes | None]) -> States:
    """States as the host has them."""
    return States(len(states), buffers_of(states, len(states)))


def _nothing(count: int) -> States:
    return states_of([None] * count)

"""Transforms: rows in, rows out, nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .columns import Batch, Buffers, Row
from .errors import OperatorError, PlacedError, Reject, placed
from .opened import Opened, checked
from .output import Output, Rejections
from .types import Schema

Process = Callable[[Batch, Output], None]
Rows = Row | Sequence[Row] | None


def map_rows(output: Schema, function: Callable[[Row], Rows]) -> tuple[Schema, Process]:
    """A transform's answer that works row by row: `function(row)` gives a dict, several of them, or None.

    It raises `Reject` to hand the row back. For convenience: columns are several times as fast.
    """
    names = [field.name for field in output]

    def process(batch: Batch, out: Output) -> None:
        columns: list[list[Any]] = [[] for _ in names]
        number: int | None = None
        try:
            for number, row in enumerate(batch.rows()):
                try:
                    made = function(row)
                except Reject as why:
                    out.reject(number, why)
                    continue
                for one in [made] if isinstance(made, dict) else made or ():
                    if unknown := one.keys() - set(names):
                        raise OperatorError(f"there is no output column `{min(unknown)}`")
                    for column, name in zip(columns, names):
                        column.append(one.get(name))
        except BaseException as error:
            raise PlacedError(placed([], number), error) from error
        out.flat()
        for column, name in zip(columns, names):
            out[name] = column

    return output, process


class OpenTransform(Opened):
    """A transform at work."""

    def __init__(self, name: str, config: str, input: Schema):
        super().__init__("transform", name, config, input)
        with self.told():
            if not isinstance(self.made, tuple) or len(self.made) != 2 or not callable(self.made[1]):
                raise OperatorError("the operator must return the output's schema and a function")
            self.output, self._process = checked(self.made[0]), self.made[1]

    def process(self, batch: Batch) -> tuple[int, list[Buffers], Rejections]:
        """The rows that go on, their columns, and the rejected rows."""
        out = Output(self.output, len(batch))
        with self.told(reading=batch):
            self._process(batch, out)
        with self.told():
            rows, columns = out.finish()
        return rows, columns, out.rejections()

"""Transforms: rows in, rows out."""

from __future__ import annotations

from typing import Any

from wit_world.exports import transform

from ..transforms import OpenTransform
from .common import Instance, from_buffers, promised, rejections, schema_of, to_batch, told


class Transform:
    """Rows in, rows out."""

    @told
    def open(self, operator: str, config: str, input: Any) -> Any:
        """Opens an operator of the plugin."""
        Instance.schema = schema_of(input)
        Instance.operator = OpenTransform(operator, config, Instance.schema)
        return promised(Instance.operator.output)

    @told
    def process(self, clock: Any, input: Any) -> Any:
        """One batch."""
        rows, columns, rejected = Instance.operator.process(to_batch(Instance.schema, input, clock))
        return transform.Output(from_buffers(rows, columns), rejections(rejected))

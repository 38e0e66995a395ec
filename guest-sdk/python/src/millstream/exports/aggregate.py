"""Aggregates: rows of groups to states, states to results."""

from __future__ import annotations

from typing import Any

from wit_world.imports import data

from ..aggregates import OpenAggregate, groups_of
from .common import Instance, from_buffers, promised, schema_of, to_batch, to_states, told


class Aggregate:
    """Rows of groups to states, states to results."""

    @told
    def open(self, operator: str, config: str, input: Any) -> Any:
        """Opens an operator of the plugin."""
        Instance.schema = schema_of(input)
        Instance.operator = OpenAggregate(operator, config, Instance.schema)
        return promised(Instance.operator.output)

    @told
    def accumulate(self, states: Any, groups: bytes, input: Any) -> Any:
        """Adds rows to their groups."""
        batch = to_batch(Instance.schema, input)
        return data.Column(*Instance.operator.accumulate(to_states(states), groups_of(groups), batch))

    @told
    def merge(self, left: Any, right: Any) -> Any:
        """Adds states pairwise."""
        return data.Column(*Instance.operator.merge(to_states(left), to_states(right)))

    @told
    def retract(self, left: Any, right: Any) -> Any:
        """Takes states out of states, pairwise."""
        return data.Column(*Instance.operator.retract(to_states(left), to_states(right)))

    @told
    def finish(self, states: Any) -> Any:
        """One row a state."""
        return from_buffers(*Instance.operator.finish(to_states(states)))

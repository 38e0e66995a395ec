"""Keyed operators: state and timers by key."""

from __future__ import annotations

from typing import Any

from wit_world.exports import keyed
from wit_world.imports import data

from ..aggregates import groups_of
from ..keys import OpenKeyed, Turn
from .common import Instance, from_buffers, promised, rejections, schema_of, to_batch, to_states, told


class Keyed:
    """State and timers by key."""

    @told
    def open(self, operator: str, config: str, keys: Any, input: Any) -> Any:
        """Opens an operator of the plugin."""
        Instance.keys, Instance.schema = schema_of(keys), schema_of(input)
        Instance.operator = OpenKeyed(operator, config, Instance.keys, Instance.schema)
        return promised(Instance.operator.output)

    @told
    def process(self, clock: Any, turn: Any) -> Any:
        """One turn of keys."""
        outcome = Instance.operator.process(
            Turn(
                keys=to_batch(Instance.keys, turn.keys, clock),
                states=to_states(turn.states),
                rows=to_batch(Instance.schema, turn.rows, clock),
                row_keys=groups_of(turn.row_keys),
                due=[(timer.key, timer.at) for timer in turn.due],
            )
        )
        return keyed.Outcome(
            from_buffers(outcome.rows, outcome.columns),
            data.Column(*outcome.states),
            [keyed.Timer(key, at) for key, at in outcome.timers],
            rejections(outcome.rejected),
        )

    @told
    def migrate(self, from_version: str, states: Any) -> Any:
        """States of an earlier version."""
        return data.Column(*Instance.operator.migrate(from_version, to_states(states)))

"""States of aggregates and of keys: bytes to the host, anything to the operator."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Any, TypeAlias

from .builders import build
from .columns import Buffers, Column
from .errors import OperatorError
from .types import Field, binary

_FIELD = Field("state", binary)


def encode(state: object) -> bytes:
    """A state as bytes: JSON whose keys are in order, so that equal states have equal bytes."""
    try:
        return json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise OperatorError(f"a state is nothing that JSON knows: {error}") from None


def encode_some(state: object) -> bytes | None:
    """A state of a key as bytes; None stays none."""
    return None if state is None else encode(state)


def decode(data: bytes) -> Any:
    """The state that these bytes are."""
    try:
        return json.loads(data)
    except ValueError as error:
        raise OperatorError(f"a state is not what this kit writes ({error}): give it `migrate`") from None


def decode_some(data: bytes | None) -> Any:
    """The state of a key, or None."""
    return None if data is None else decode(data)


class States:
    """The states of the groups or keys of a call: a list of bytes, None where there is none so far."""

    def __init__(self, rows: int, buffers: Buffers):
        self._column = Column(_FIELD, rows, buffers)

    def __len__(self) -> int:
        return len(self._column)

    def to_list(self) -> list[bytes | None]:
        """Each state as bytes, or None."""
        return self._column.to_list()

    @property
    def buffers(self) -> Buffers:
        """The buffers as they came."""
        return self._column.buffers

    def fixed(self, code: str, width: int) -> array[Any]:
        """All states as one array of `width` numbers each (`code` as in the `array` module), zeros for new groups."""
        numbers = array(code)
        size = numbers.itemsize * width
        data = self._column.buffers[2]
        if self._column.has_nulls:
            nothing = bytes(size)
            data = b"".join(nothing if state is None else state for state in self.to_list())
        if len(data) != size * len(self):
            raise OperatorError(f"a state is not {size} bytes long: another version wrote it")
        numbers.frombytes(data)
        return numbers


# What functions over columns answer: states as bytes, or an array of fixed width with the width.
NewStates: TypeAlias = "Sequence[bytes | None] | tuple[array[Any], int]"


def buffers_of(states: NewStates, count: int) -> Buffers:
    """New states as buffers; there must be as many as before."""
    if isinstance(states, tuple) and len(states) == 2 and isinstance(states[0], array):
        numbers, width = states
        _check(len(numbers) / width, count)
        size = numbers.itemsize * width
        return b"", array("i", range(0, size * count + 1, size)).tobytes(), numbers.tobytes()
    _check(len(states), count)
    return build(_FIELD, states)


def _check(given: float, count: int) -> None:
    if given != count:
        raise OperatorError(f"the operator answers {given:g} states for {count}")

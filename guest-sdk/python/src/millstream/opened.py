"""What the operators of all kinds have in common once they are opened: config, names, and errors with their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from . import config as configs
from .columns import Batch
from .errors import OperatorError, described
from .registry import PLUGIN
from .types import DataType, Schema

Made = TypeVar("Made")


def checked(output: Any) -> Schema:
    """What an operator says are its output's columns."""
    if not isinstance(output, Schema):
        raise OperatorError(f"the output must be a Schema, not {output!r}")
    for field in output:
        if not isinstance(field.name, str) or not isinstance(field.type, DataType):
            raise OperatorError(f"the output has a column that is none: {field!r}")
    return output


class Opened:
    """An operator that has accepted its config and its input."""

    def __init__(self, kind: str, name: str, config: str, *schemas: Any):
        self.name = name
        with self.told():
            found = PLUGIN.find(kind, name)
            read = configs.read(found.config, config)
            self.made = found.make(*(() if found.config is None else (read,)), *schemas)

    @contextmanager
    def told(self, place: Callable[[], str] = str, reading: Batch | None = None) -> Iterator[None]:
        """What operator code lets go becomes one error that names the operator and the place.

        `place` says what the operator was called for; `reading` is the batch that it loops over by itself.
        """
        try:
            yield
        except BaseException as error:  # Also of `sys.exit()`, which would leave nothing to be read.
            words = described(error, place(), "" if reading is None else reading.place())
            raise OperatorError(f"operator `{self.name}`: {words}") from error

    def each(self, place: Callable[[int], str], call: Callable[..., Made], *columns: Iterable[Any]) -> list[Made]:
        """What `call` makes of each, one after the other; `place` says in words where the n-th of them is."""
        made: list[Made] = []
        with self.told(lambda: place(len(made))):
            for values in zip(*columns):
                made.append(call(*values))
        return made

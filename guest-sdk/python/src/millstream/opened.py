"""What the operators of all kinds have in common once they are opened: config, names, and errors with their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import config as configs
from .columns import Batch
from .errors import OperatorError, described
from .registry import PLUGIN
from .types import DataType, Schema


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
    def told(self, batch: Batch | None = None) -> Iterator[None]:
        """What operator code lets go becomes one error that names the operator, the columns and the row."""
        try:
            yield
        except BaseException as error:  # Also of `sys.exit()`, which would leave nothing to be read.
            words = described(error, "" if batch is None else batch.place())
            raise OperatorError(f"operator `{self.name}`: {words}") from error

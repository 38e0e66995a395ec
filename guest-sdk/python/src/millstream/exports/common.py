"""The contract's types to the kit's and back, and what every plugin exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from componentize_py_types import Err
from wit_world.exports import catalog
from wit_world.imports import data
from wit_world.imports import host as imported

from .. import config as configs
from .. import host
from ..columns import Batch, Buffers, Clock
from ..errors import OperatorError, described
from ..registry import PLUGIN
from ..states import States
from ..types import Field, Schema, of_format

_LEVELS = {level.name.lower(): level for level in imported.Level}
_KINDS = {kind.name.lower(): kind for kind in catalog.Kind}


def whole(text: str) -> str:
    """Text with half characters (lone surrogates) written out: with them it cannot leave the component."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class _Host:
    def log(self, level: str, message: str) -> None:
        imported.log(_LEVELS[level], whole(message))

    def count(self, name: str, by: int) -> None:
        imported.count(whole(name), by)

    def observe(self, name: str, value: float) -> None:
        imported.observe(whole(name), value)


host.connect(_Host())


class Instance:
    """The operator of this instance: the host opens one, once."""

    operator: ClassVar[Any] = None
    schema: ClassVar[Schema]
    keys: ClassVar[Schema]


def told(call: Callable[..., Any]) -> Callable[..., Any]:
    """What the kit and operators say of an error becomes the error of the call."""

    def checked(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OperatorError as error:
            raise Err(whole(str(error))) from None
        except Exception as error:
            raise Err(whole(described(error))) from None

    return checked


def schema_of(fields: Any) -> Schema:
    """Fields of the contract as a schema."""
    return Schema(Field(field.name, of_format(field.name, field.data_type), field.nullable) for field in fields)


def promised(schema: Schema) -> list[Any]:
    """A schema as the contract has it."""
    return [data.Field(whole(field.name), field.type.format, bool(field.nullable)) for field in schema]


def to_batch(schema: Schema, batch: Any, clock: Any = None) -> Batch:
    """A batch of the contract with its schema."""
    columns = [(one.validity, one.offsets, one.values) for one in batch.columns]
    told_clock = clock and Clock(clock.batch_id, clock.now, clock.watermark)
    return Batch(schema, batch.rows, columns, told_clock)


def from_buffers(rows: int, columns: list[Buffers]) -> Any:
    """Rows and columns as the contract has them."""
    return data.Batch(rows, [data.Column(*buffers) for buffers in columns])


def rejections(rejected: list[tuple[int, str]]) -> list[Any]:
    """Rejected rows as the contract has them."""
    return [data.Rejection(row, whole(reason)) for row, reason in rejected]


def to_states(column: Any) -> States:
    """A column of states."""
    return States(max(len(column.offsets) // 4 - 1, 0), (column.validity, column.offsets, column.values))


class Catalog:
    """What the plugin holds."""

    def describe(self) -> Any:
        """Name, version and operators."""
        operators = [
            catalog.Operator(one.name, _KINDS[one.kind], one.summary, configs.schema(one.config), one.retracts)
            for one in PLUGIN.operators.values()
        ]
        return catalog.Description(PLUGIN.name, PLUGIN.version, PLUGIN.summary, operators)

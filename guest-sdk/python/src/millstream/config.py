"""Configs: a dataclass is what an operator wants to know; its JSON Schema and its reading follow from it."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any

from .errors import OperatorError, nearest

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string"}


def schema(config: type | None) -> str:
    """The JSON Schema of a config; of any object for an operator without one."""
    if config is None:
        return json.dumps({"type": "object", "additionalProperties": False})
    return json.dumps(_schema(config))


def read(config: type | None, text: str) -> Any:
    """The config as the operator's dataclass; None for an operator without one."""
    try:
        given = json.loads(text.strip() or "{}")
    except ValueError as error:
        raise OperatorError(f"config is not JSON: {error}") from None
    if config is None:
        if given:
            raise OperatorError(f"this operator has no config, but is given {json.dumps(given)}")
        return None
    return _read(config, given, "config")


def _schema(kind: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        document: dict[str, Any] = {
            "type": "object",
            "properties": {field.name: _property(field, hints[field.name]) for field in fields},
            "required": [field.name for field in fields if _is_needed(field)],
            "additionalProperties": False,
        }
        return {"description": str(kind.__doc__).strip(), **document} if _has_doc(kind) else document
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    if kind is Any:
        return {}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if one is type(None) else _schema(one) for one in arguments]}
    raise TypeError(f"a config cannot have a value of the type {kind}")


def _property(field: dataclasses.Field[Any], hint: Any) -> dict[str, Any]:
    document = _schema(hint)
    if "help" in field.metadata:
        document["description"] = field.metadata["help"]
    if field.default is not dataclasses.MISSING:
        document["default"] = field.default
    return document


def _has_doc(kind: Any) -> bool:
    # A dataclass without words of its own gets its signature as `__doc__`.
    return bool(kind.__doc__) and not str(kind.__doc__).startswith(f"{kind.__name__}(")


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read(kind: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _read_object(kind, value, path)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _read_any(arguments, value, path)
    if origin is list:
        _expect(isinstance(value, list), "a list", value, path)
        return [_read(arguments[0], one, f"{path}[{place}]") for place, one in enumerate(value)]
    if origin is dict:
        _expect(isinstance(value, dict), "an object", value, path)
        return {name: _read(arguments[1], one, f"{path}.{name}") for name, one in value.items()}
    if origin is typing.Literal:
        _expect(value in arguments, "one of " + ", ".join(map(repr, arguments)), value, path)
        return value
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    article = "an" if kind is int else "a"
    _expect(is_right, f"{article} {_SIMPLE[kind]}", value, path)
    return value


def _read_object(kind: Any, value: Any, path: str) -> Any:
    _expect(isinstance(value, dict), "an object", value, path)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise OperatorError(f"{path} has no key `{name}`; {nearest(name, fields)}")
    for name, field in fields.items():
        if _is_needed(field) and name not in value:
            raise OperatorError(f"{path}.{name}: missing")
    try:
        return kind(**{name: _read(hints[name], one, f"{path}.{name}") for name, one in value.items()})
    except ValueError as error:
        # What a dataclass finds wrong by itself, in `__post_init__`.
        raise OperatorError(f"{path}: {error}") from None


def _read_any(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return _read(kind, value, path)
        except OperatorError:
            continue
    return _read(others[-1], value, path)


def _expect(holds: bool, wanted: str, value: Any, path: str) -> None:
    if not holds:
        raise OperatorError(f"{path}: {wanted} is needed, not {json.dumps(value)}")

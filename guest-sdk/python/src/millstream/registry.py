"""What a plugin holds: its name, and its operators by the decorators that register them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .errors import OperatorError, nearest

KINDS = ("transform", "aggregate", "keyed")
Made = TypeVar("Made", bound=Callable[..., Any])


class Registered:
    """An operator: its function or class, and what is said of it."""

    def __init__(self, kind: str, name: str, make: Callable[..., Any], config: type | None, summary: str | None):
        self.kind, self.name, self.make, self.config = kind, name, make, config
        self.summary = (summary or make.__doc__ or "").strip().split("\n")[0]
        self.retracts = kind == "aggregate" and hasattr(make, "retract")


class Plugin:
    """What a plugin holds: made once, at the import of the plugin's module."""

    def __init__(self) -> None:
        self.name = ""
        self.version = ""
        self.summary = ""
        self.operators: dict[str, Registered] = {}

    def kinds(self) -> list[str]:
        """The kinds of operators that it has."""
        return [kind for kind in KINDS if any(one.kind == kind for one in self.operators.values())]

    def find(self, kind: str, name: str) -> Registered:
        """The operator of this name."""
        found = self.operators.get(name)
        if found is None or found.kind != kind:
            known = [one.name for one in self.operators.values() if one.kind == kind]
            raise OperatorError(f"this plugin has no {kind} of that name; {nearest(name, known)}")
        return found


PLUGIN = Plugin()


def describe(name: str, version: str, summary: str = "") -> None:
    """Says what the plugin is: pipelines say `name/operator@version`."""
    PLUGIN.name, PLUGIN.version, PLUGIN.summary = name, version, summary


def transform(name: str, config: type | None = None, summary: str | None = None) -> Callable[[Made], Made]:
    """Registers `open(config, input) -> (output, process)`; `process(batch, out)` is called for each batch.

    An operator without `config` gets `open(input)`. The first line of its docstring is its summary.
    """
    return _decorator("transform", name, config, summary)


def aggregate(name: str, config: type | None = None, summary: str | None = None) -> Callable[[Made], Made]:
    """Registers a class: `__init__(config, input)`, `output`, and `new`, `add`, `merge`, `finish`.

    Or, over columns: `accumulate`, `merge`, `finish`. `retract` undoes `merge` for sliding windows.
    """
    return _decorator("aggregate", name, config, summary)


def keyed(name: str, config: type | None = None, summary: str | None = None) -> Callable[[Made], Made]:
    """Registers a class: `__init__(config, keys, input)`, `output`, `on_row`, and `on_timer`, `migrate` if needed."""
    return _decorator("keyed", name, config, summary)


def _decorator(kind: str, name: str, config: type | None, summary: str | None) -> Callable[[Made], Made]:
    def register(make: Made) -> Made:
        if name in PLUGIN.operators:
            raise ValueError(f"the plugin has two operators `{name}`")
        PLUGIN.operators[name] = Registered(kind, name, make, config, summary)
        return make

    return register

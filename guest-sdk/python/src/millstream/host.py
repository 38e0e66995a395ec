"""What an operator can ask of the host: log lines, counters, observations. In a test they go to `testing`."""

from __future__ import annotations

from typing import Protocol


class Host(Protocol):
    """Who listens."""

    def log(self, level: str, message: str) -> None:
        """A line of the log."""

    def count(self, name: str, by: int) -> None:
        """More of a counter."""

    def observe(self, name: str, value: float) -> None:
        """A value of a distribution."""


_LEVELS = ("trace", "debug", "info", "warn", "error")
_listener: Host | None = None


def log(message: object, level: str = "info") -> None:
    """A line in the pipeline's log; level is trace, debug, info, warn or error."""
    if level not in _LEVELS:
        raise ValueError(f"the level {level!r} is none of {', '.join(_LEVELS)}")
    _host().log(level, str(message))


def count(name: str, by: int = 1) -> None:
    """Adds to a counter of this operator; counters never fall."""
    if not isinstance(by, int) or not 0 <= by < 1 << 64:
        raise ValueError(f"the counter {name!r} cannot count {by!r}")
    _host().count(str(name), by)


def observe(name: str, value: float) -> None:
    """Records one value of a distribution of this operator."""
    _host().observe(str(name), float(value))


def connect(listener: Host) -> None:
    """Where all of this goes; called by whoever runs operators."""
    global _listener
    _listener = listener


def _host() -> Host:
    if _listener is None:
        raise RuntimeError("operators run in Millstream or in `millstream.testing`: nobody listens here")
    return _listener

"""The module in C (native/columns.c) that components have. Elsewhere there is none, and Python does the same."""

__all__ = ["native"]

try:
    from . import _columns as native
except ImportError:
    native = None  # type: ignore[assignment]

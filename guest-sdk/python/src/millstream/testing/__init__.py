"""Runs operators in a test, natively: rows are dicts, as they come and go.

    from millstream import testing
    testing.transform("length", [{"text": "ab"}], config={"column": "text"}).rows

Values cross the same buffers as in the host, so what cannot leave an operator cannot leave it here, and errors
read as they do in the host. `Keeper` keeps states and timers between turns, as the host does.
"""

from .keeper import Keeper
from .running import Ran, aggregate, transform

__all__ = ["Keeper", "Ran", "aggregate", "transform"]

"""`sessions`, a keyed operator with timers: rows of a key with less than a gap between them."""

from bisect import insort
from dataclasses import dataclass, field

import millstream as ms


@dataclass
class Sessions:
    """Which rows belong together."""

    time: str = field(metadata={"help": "The timestamp column."})
    gap_ms: int = field(metadata={"help": "The gap, in milliseconds."})


@ms.keyed("sessions", config=Sessions)
class SessionsOfKeys:
    """One row for each session of a key, once the clock has passed its last row by the gap.

    The state is a list of open sessions by time, `[start, end, count]` each; more than one only while rows
    come out of order.
    """

    output = ms.Schema(
        ms.Field(name, kind, nullable=False)
        for name, kind in [("start", ms.timestamp), ("end", ms.timestamp), ("count", ms.int64)]
    )

    def __init__(self, config, keys, input):
        input.need(config.time, ms.timestamp)
        if config.gap_ms < 1:
            raise ms.OperatorError(f"config.gap_ms is {config.gap_ms}: every row would be a session")
        self.time, self.gap = config.time, config.gap_ms * 1000

    def on_row(self, key, row):
        """Opens a session, or joins those that are less than a gap away."""
        at = row[self.time]
        if at is None:
            raise ms.Reject(f"`{self.time}` is null")
        start, end, count = at, at, 1
        apart = []
        for session in key.state or []:
            if session[1] + self.gap <= start or end + self.gap <= session[0]:
                apart.append(session)
            else:
                start, end, count = min(start, session[0]), max(end, session[1]), count + session[2]
        insort(apart, [start, end, count])
        key.state = apart
        key.set_timer(apart[0][1] + self.gap)

    def on_timer(self, key, at):
        """Gives up what is over; the clock may be further than the timer."""
        now = max(at, key.clock.watermark) if key.clock.watermark is not None else at
        left = []
        for start, end, count in key.state or []:
            if end + self.gap <= now:
                key.emit(start=start, end=end, count=count)
            else:
                left.append([start, end, count])
        key.state = left or None
        if left:
            key.set_timer(left[0][1] + self.gap)

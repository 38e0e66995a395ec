"""Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets
them with the rows of the key, and again when the timer is due."""

from dataclasses import dataclass, field

import millstream as ms

ms.describe("{{name}}", "0.1.0", "Silence.")


@dataclass
class After:
    """How long is silent."""

    time: str = field(metadata={"help": "The timestamp column."})
    after_ms: int = field(metadata={"help": "How long, in milliseconds."})


@ms.keyed("silent", config=After)
class Silent:
    """Tells which keys have been silent for a while."""

    output = ms.Schema.of(since=ms.timestamp)

    def __init__(self, config, keys, input):
        input.need(config.time, ms.timestamp)
        self.time, self.after_us = config.time, config.after_ms * 1000

    def on_row(self, key, row):
        """A row of the key; the state is the time of the last one."""
        if row[self.time] is None:
            raise ms.Reject("it has no time")
        key.state = max(row[self.time], key.state if key.state is not None else row[self.time])
        key.set_timer(key.state + self.after_us)

    def on_timer(self, key, at):
        """The key was silent: it is told, and nothing is kept of it."""
        key.emit(since=key.state)
        key.state = None

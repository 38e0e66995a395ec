"""`split-words`, a flat map: one row in, any number of rows out."""

from dataclasses import dataclass, field

import millstream as ms


@dataclass
class SplitWords:
    """Which text, and what its words are called."""

    column: str = field(metadata={"help": "The text column."})
    output: str = field(default="word", metadata={"help": "The name of the output column."})


@ms.transform("split-words", config=SplitWords)
def split_words(config, input):
    """One row for each word of a text column; words are separated by spaces."""
    input.need(config.column, ms.utf8)
    output = ms.Schema([ms.Field(config.output, ms.utf8, nullable=False)])

    def process(batch, out):
        # One text of all rows: what is done once for a batch is cheap, what is done for each row is not.
        text = " ".join(filter(None, batch[config.column]))
        out.flat()
        # Between two spaces, and in no text at all, is an empty word.
        out[config.output] = list(filter(None, text.split(" ")))

    return output, process

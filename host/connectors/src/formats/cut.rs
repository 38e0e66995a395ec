//! Records told apart: where they are in some bytes, and what of the bytes is no record.

use millstream_engine::batch::BadRecord;

/// How records are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    /// A newline ends a record.
    Lines {
        /// What a line without content is.
        blank: Blank,
    },
    /// A newline outside quotes ends a record; blank lines are no records.
    Csv {
        /// Between fields.
        delimiter: u8,
        /// Around fields.
        quote: u8,
    },
}

/// What a line without content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blank {
    /// A record like any other.
    Record,
    /// Nothing, if it holds no byte at all.
    SkippedEmpty,
    /// Nothing, even with white space in it.
    Skipped,
}

/// What the end of the input means for a record that has no newline yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// It is whole.
    Record,
    /// The rest of it may still come: it is not looked at.
    Waits,
}

/// One record within a cut's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// Behind the last byte, without the line's end.
    pub(crate) end: usize,
    /// First byte of the record that follows.
    pub(crate) next: usize,
}

/// Something that is no record.
#[derive(Clone, Debug)]
pub(crate) struct BadSpan {
    /// First byte.
    pub(super) start: usize,
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    /// How many bytes it has.
    pub(super) bytes: u64,
    /// What is wrong.
    pub(super) fault: Fault,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// There are more than the format allows.
    TooLong,
    /// A quote is not closed, or closed in the wrong place.
    Quote,
}

impl BadSpan {
    /// As a chunk reports it; `at` is where the cut stands in its stream.
    pub(crate) fn record(&self, at: u64, max_record_bytes: usize, origin: &str) -> BadRecord {
        let reason = match self.fault {
            // A receiver that cuts a line keeps one byte more than allowed.
            Fault::TooLong if self.bytes == max_record_bytes as u64 + 1 => format!(
                "the record has at least {} bytes and max_record_bytes is {max_record_bytes}: raise it or send shorter records",
                self.bytes
            ),
            Fault::TooLong => format!(
                "the record has {} bytes and max_record_bytes is {max_record_bytes}: raise it or write shorter records",
                self.bytes
            ),
            Fault::Quote => {
                "a quote is opened and not closed before a delimiter or the end of a line: close it, \
                             and double quotes inside of quotes"
                    .to_owned()
            }
        };
        let position = format!("{origin}, byte {}", at + self.start as u64);
        BadRecord { position, bytes: self.head.clone(), reason }
    }
}

/// Some whole records that follow each other.
#[derive(Debug)]
pub(crate) struct Cut<'a> {
    /// Where `bytes` begins in the stream.
    pub(crate) at: u64,
    /// The records with their line ends.
    pub(crate) bytes: &'a [u8],
    /// Where the records are.
    pub(crate) spans: &'a [Span],
    /// What is no record; its bytes may be missing in `bytes`.
    pub(crate) bad: &'a [BadSpan],
    /// `bytes` is all of the stream between this cut and the next.
    pub(crate) complete: bool,
}

impl Cut<'_> {
    /// The first record, unless what comes first is none.
    pub(crate) fn first(&self) -> Option<Span> {
        let span = self.spans.first()?;
        self.bad.first().is_none_or(|bad| span.start < bad.start).then_some(*span)
    }
}

/// Single records put behind each other.
pub(crate) struct Joined {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// Puts records behind each other, as if they had been cut.
pub(crate) fn joined(records: &[&[u8]]) -> Joined {
    let mut bytes = Vec::with_capacity(records.iter().map(|record| record.len() + 1).sum());
    let mut spans = Vec::with_capacity(records.len());
    for record in records {
        let start = bytes.len();
        bytes.extend_from_slice(record);
        bytes.push(b'\n');
        spans.push(Span { start, end: bytes.len() - 1, next: bytes.len() });
    }
    Joined { bytes, spans }
}

impl Joined {
    /// The records as a cut.
    pub(crate) fn cut(&self) -> Cut<'_> {
        Cut { at: 0, bytes: &self.bytes, spans: &self.spans, bad: &[], complete: true }
    }
}

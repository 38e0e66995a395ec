//! Cuts a stream of bytes into records, a chunk's worth at a time, in memory that does not depend
//! on the length of a record. Knows where records end and nothing of what they mean.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memchr2};
use millstream_engine::batch::{BadRecord, Chunk};

use super::BAD_BYTES_MAX;

const BOM: &[u8] = b"\xEF\xBB\xBF";

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
    start: usize,
    head: Vec<u8>,
    bytes: u64,
    fault: Fault,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    TooLong,
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

/// Where a cutter begins and what it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutterConfig {
    /// How records are told apart.
    pub(crate) framing: Framing,
    /// Longer ones are bad.
    pub(crate) max_record_bytes: usize,
    /// What the end of the input means.
    pub(crate) tail: Tail,
    /// Where the input stands in its stream.
    pub(crate) at: u64,
    /// A byte order mark at the very start of the stream is skipped.
    pub(crate) skip_bom: bool,
}

/// Cuts a stream into records.
pub(crate) struct Cutter {
    input: Box<dyn Read + Send>,
    config: CutterConfig,
    block: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Stream offset of `buffer[start]`.
    at: u64,
    ended: bool,
    cut: Found,
}

#[derive(Default)]
struct Found {
    at: u64,
    from: usize,
    to: usize,
    spans: Vec<Span>,
    bad: Vec<BadSpan>,
    complete: bool,
}

impl Cutter {
    /// Cuts `input`.
    pub(crate) fn new(input: Box<dyn Read + Send>, config: CutterConfig) -> Self {
        let (buffer, at) = (Vec::new(), config.at);
        Self {
            input,
            config,
            block: Chunk::BYTES_TARGET,
            buffer,
            start: 0,
            end: 0,
            at,
            ended: false,
            cut: Found::default(),
        }
    }

    /// Looks at fewer bytes at once from now on; for planning small splits.
    pub(crate) fn set_block(&mut self, bytes: usize) {
        self.block = bytes.clamp(1, Chunk::BYTES_TARGET);
    }

    /// Everything before this offset has been cut.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// Whether nothing follows; reads on if it must to know.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        if self.start == self.end && !self.ended {
            self.fill(self.block)?;
        }
        Ok(self.ended && self.start == self.end)
    }

    /// The next records, at most `rows_max`; none at the end.
    pub(crate) fn next(&mut self, rows_max: usize) -> io::Result<Option<Cut<'_>>> {
        let begin = self.at;
        let mut wanted = self.block;
        let mut found_nothing = false;
        loop {
            // Half a block: copying the rest to the front stays cheaper than the lines it saves.
            if self.end - self.start < wanted.div_ceil(2) || found_nothing {
                self.fill(wanted)?;
            }
            self.skip_bom();
            self.find(rows_max);
            if !self.cut.spans.is_empty() || !self.cut.bad.is_empty() {
                return Ok(Some(self.take(begin)));
            }
            self.drop_found();
            let held = self.end - self.start;
            if self.ended {
                return Ok(None);
            }
            if held > self.config.max_record_bytes + 1 {
                return Ok(if self.skip_long_line()? { Some(self.take(begin)) } else { None });
            }
            found_nothing = true;
            wanted = (held * 2).clamp(self.block, (self.config.max_record_bytes + 2).max(self.block));
        }
    }

    fn take(&mut self, begin: u64) -> Cut<'_> {
        let (from, to) = (self.cut.from, self.cut.to);
        self.drop_found();
        let Found { at, spans, bad, complete, .. } = &self.cut;
        Cut { at: *at, bytes: &self.buffer[from..to], spans, bad, complete: *complete && *at == begin }
    }

    /// Moves behind what was found.
    fn drop_found(&mut self) {
        self.at += (self.cut.to - self.cut.from) as u64;
        self.start = self.cut.to;
        self.cut.from = self.cut.to;
    }

    /// Reads until `wanted` bytes are held or the input ends: short reads must not move cuts.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while !self.ended && self.end < wanted {
            match self.input.read(&mut self.buffer[self.end..wanted]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn skip_bom(&mut self) {
        if self.config.skip_bom && self.at == 0 && self.buffer[self.start..self.end].starts_with(BOM) {
            self.start += BOM.len();
            self.at += BOM.len() as u64;
        }
    }

    fn find(&mut self, rows_max: usize) {
        self.cut.spans.clear();
        self.cut.bad.clear();
        self.cut.at = self.at;
        self.cut.from = self.start;
        self.cut.complete = true;
        let held = &self.buffer[self.start..self.end];
        let last = self.ended && self.config.tail == Tail::Record;
        let mut finder = Finder { held, rows_max, max: self.config.max_record_bytes, found: &mut self.cut };
        let used = match self.config.framing {
            Framing::Lines { blank } => finder.lines(blank, last),
            Framing::Csv { delimiter, quote } => finder.csv(delimiter, quote, last),
        };
        self.cut.to = self.start + used;
    }

    /// Goes over a line that is too long for the buffer and keeps its head; false when the line is
    /// not finished and the rest of it may still come.
    fn skip_long_line(&mut self) -> io::Result<bool> {
        let head = self.buffer[self.start..self.end.min(self.start + BAD_BYTES_MAX)].to_vec();
        let at = self.at;
        let mut bytes = 0;
        loop {
            let held = &self.buffer[self.start..self.end];
            if let Some(newline) = memchr(b'\n', held) {
                bytes += newline as u64;
                self.start += newline + 1;
                self.at += newline as u64 + 1;
                break;
            }
            bytes += held.len() as u64;
            self.at += held.len() as u64;
            self.start = self.end;
            if self.ended && self.config.tail == Tail::Waits {
                self.at = at;
                return Ok(false);
            }
            if self.ended {
                break;
            }
            self.fill(self.block)?;
        }
        self.cut = Found { at, from: self.start, to: self.start, ..Found::default() };
        self.cut.bad.push(BadSpan { start: 0, head, bytes, fault: Fault::TooLong });
        Ok(true)
    }
}

/// Finds the records in a buffer.
struct Finder<'a> {
    held: &'a [u8],
    rows_max: usize,
    max: usize,
    found: &'a mut Found,
}

impl Finder<'_> {
    /// Answers how many bytes are used up.
    fn lines(&mut self, blank: Blank, last: bool) -> usize {
        let held = self.held;
        let mut from = 0;
        for newline in memchr_iter(b'\n', held) {
            self.push(from, newline, newline + 1, blank);
            from = newline + 1;
            if self.is_full() {
                return from;
            }
        }
        if last && from < held.len() {
            self.push(from, held.len(), held.len(), blank);
            from = held.len();
        }
        from
    }

    fn csv(&mut self, delimiter: u8, quote: u8, last: bool) -> usize {
        let held = self.held;
        let mut from = 0;
        while from < held.len() && !self.is_full() {
            let rest = &held[from..];
            match csv_record(rest, delimiter, quote, last, self.max) {
                CsvRecord::Whole { end, next } => {
                    self.push(from, from + end, from + next, Blank::SkippedEmpty);
                    from += next;
                }
                CsvRecord::Broken => {
                    let Some((end, next)) = line(rest, last) else { return from };
                    self.push_bad(from, from + end, Fault::Quote);
                    from += next;
                }
                CsvRecord::Unfinished => return from,
            }
        }
        from
    }

    fn is_full(&self) -> bool {
        self.found.spans.len() + self.found.bad.len() >= self.rows_max
    }

    fn push(&mut self, start: usize, end: usize, next: usize, blank: Blank) {
        let end = if end > start && self.held[end - 1] == b'\r' { end - 1 } else { end };
        let skipped = match blank {
            Blank::Record => false,
            Blank::SkippedEmpty => end == start,
            Blank::Skipped => end == start || is_blank(&self.held[start..end]),
        };
        if skipped {
            return;
        }
        if end - start > self.max {
            return self.push_bad(start, end, Fault::TooLong);
        }
        self.found.spans.push(Span { start, end, next });
    }

    fn push_bad(&mut self, start: usize, end: usize, fault: Fault) {
        let bytes = (end - start) as u64;
        let fault = if end - start > self.max { Fault::TooLong } else { fault };
        let head = self.held[start..end.min(start + BAD_BYTES_MAX)].to_vec();
        self.found.bad.push(BadSpan { start, head, bytes, fault });
    }
}

/// Only a line that begins with white space is looked at as a whole.
fn is_blank(line: &[u8]) -> bool {
    line[0].is_ascii_whitespace() && line.trim_ascii().is_empty()
}

/// Where the first line ends and the next begins.
fn line(bytes: &[u8], last: bool) -> Option<(usize, usize)> {
    match memchr(b'\n', bytes) {
        Some(newline) => Some((newline, newline + 1)),
        None => last.then_some((bytes.len(), bytes.len())),
    }
}

enum CsvRecord {
    Whole {
        end: usize,
        next: usize,
    },
    /// Quotes are wrong: its first line is bad and the line after it is looked at on its own.
    Broken,
    Unfinished,
}

/// One record, by RFC 4180: a closing quote is followed by a delimiter or the end of the line.
/// Being strict here is what keeps a forgotten quote from swallowing all lines up to the next one.
fn csv_record(bytes: &[u8], delimiter: u8, quote: u8, last: bool, max: usize) -> CsvRecord {
    match memchr2(quote, b'\n', bytes) {
        Some(found) if bytes[found] == b'\n' => return CsvRecord::Whole { end: found, next: found + 1 },
        None => {
            return match line(bytes, last) {
                Some((end, next)) => CsvRecord::Whole { end, next },
                None => CsvRecord::Unfinished,
            };
        }
        Some(_) => {}
    }
    match quoted_record(bytes, delimiter, quote, last) {
        // Too long or too long already: what the buffer happens to hold must make no difference.
        CsvRecord::Whole { end, .. } if end > max + 1 => CsvRecord::Broken,
        CsvRecord::Unfinished if bytes.len() > max + 1 => CsvRecord::Broken,
        found => found,
    }
}

fn quoted_record(bytes: &[u8], delimiter: u8, quote: u8, last: bool) -> CsvRecord {
    let cut_short = |closed: bool| match (last, closed) {
        (true, true) => CsvRecord::Whole { end: bytes.len(), next: bytes.len() },
        (true, false) => CsvRecord::Broken,
        (false, _) => CsvRecord::Unfinished,
    };
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&quote) {
            let Some(closed) = closing_quote(bytes, at + 1, quote) else { return cut_short(false) };
            at = closed;
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(byte), _) if *byte == delimiter => at += 1,
                (Some(b'\n'), _) => return CsvRecord::Whole { end: at, next: at + 1 },
                (Some(b'\r'), Some(b'\n')) => return CsvRecord::Whole { end: at, next: at + 2 },
                (None, _) | (Some(b'\r'), None) => return cut_short(true),
                (Some(_), _) => return CsvRecord::Broken,
            }
        } else {
            match memchr2(delimiter, b'\n', &bytes[at..]) {
                None => return cut_short(true),
                Some(found) if bytes[at + found] == b'\n' => {
                    return CsvRecord::Whole { end: at + found, next: at + found + 1 };
                }
                Some(found) => at += found + 1,
            }
        }
    }
}

/// Behind the quote that closes the field; a doubled quote does not. A quote at the very end may be
/// the first half of a doubled one, so it counts as closing only when nothing follows at all.
fn closing_quote(bytes: &[u8], mut at: usize, quote: u8) -> Option<usize> {
    loop {
        at += memchr(quote, bytes.get(at..)?)? + 1;
        if bytes.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
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

//! Cuts a stream of bytes into records, a chunk's worth at a time, in memory that does not depend
//! on the length of a record. Knows where records end and nothing of what they mean.

use std::io::{self, Read};

use memchr::memchr;
use millstream_engine::batch::Chunk;

use super::BAD_BYTES_MAX;
use super::cut::{BadSpan, Cut, Fault, Framing, Tail};
use super::find::{Finder, Records};

const BOM: &[u8] = b"\xEF\xBB\xBF";

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
    records: Records,
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
            if !self.cut.records.spans.is_empty() || !self.cut.records.bad.is_empty() {
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
        let Found { at, records: Records { spans, bad }, complete, .. } = &self.cut;
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
        self.cut.records.spans.clear();
        self.cut.records.bad.clear();
        self.cut.at = self.at;
        self.cut.from = self.start;
        self.cut.complete = true;
        let held = &self.buffer[self.start..self.end];
        let last = self.ended && self.config.tail == Tail::Record;
        let mut finder =
            Finder { held, rows_max, max: self.config.max_record_bytes, found: &mut self.cut.records };
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
        self.cut.records.bad.push(BadSpan { start: 0, head, bytes, fault: Fault::TooLong });
        Ok(true)
    }
}

//! Finds the ends of records in a buffer: of lines, and of CSV records with quotes.

use memchr::{memchr, memchr_iter, memchr2};

use super::BAD_BYTES_MAX;
use super::cut::{BadSpan, Blank, Fault, Span};

/// What was found in a buffer, in order.
#[derive(Default)]
pub(super) struct Records {
    /// Records.
    pub(super) spans: Vec<Span>,
    /// What is none.
    pub(super) bad: Vec<BadSpan>,
}

/// Finds the records in a buffer.
pub(super) struct Finder<'a> {
    /// The buffer.
    pub(super) held: &'a [u8],
    /// Records after which it stops.
    pub(super) rows_max: usize,
    /// Bytes a record may have.
    pub(super) max: usize,
    /// Where what is found goes.
    pub(super) found: &'a mut Records,
}

impl Finder<'_> {
    /// Finds lines; answers how many bytes are used up.
    pub(super) fn lines(&mut self, blank: Blank, last: bool) -> usize {
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

    /// Finds CSV records; answers how many bytes are used up.
    pub(super) fn csv(&mut self, delimiter: u8, quote: u8, last: bool) -> usize {
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
        // Too long or too long already: what the buffer happens to hold must make no difference. An
        // unfinished one may yet prove to end in a carriage return.
        CsvRecord::Whole { end, .. } if without_return(&bytes[..end]) > max => CsvRecord::Broken,
        CsvRecord::Unfinished if bytes.len() > max + 1 => CsvRecord::Broken,
        found => found,
    }
}

fn without_return(record: &[u8]) -> usize {
    record.strip_suffix(b"\r").unwrap_or(record).len()
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

//! What the word count is compared with: the same work without an engine. Reads the file in large
//! blocks, finds words with `memchr`, counts them in a fast hash map, and writes `word<TAB>count` lines at
//! the end. One thread, or several that each take a part of the file. The map's keys are boxed slices, or
//! words of a type of their own that are held in the table itself.
//!
//! The runner starts itself as `native-wordcount INPUT OUTPUT THREADS [inline]`: a process of its own, because
//! its processor time is counted, but no binary of its own, because cargo would not build it on `run`.

use std::borrow::Borrow;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::thread;

use hashbrown::HashMap;
use memchr::{memchr, memchr2_iter, memrchr2};

use crate::Outcome;

/// Fits the second-level cache; larger blocks were slower.
const BLOCK_BYTES: usize = 256 * 1024;

type Counts<K> = HashMap<K, u64>;

/// A key of the table.
trait Key: for<'a> From<&'a [u8]> + Borrow<[u8]> + Hash + Eq + Send {}

impl Key for Box<[u8]> {}
impl Key for Word {}

/// A word as the table holds it: a short one beside its count, so that comparing it follows no pointer.
enum Word {
    Short { bytes: [u8; SHORT], length: u8 },
    Long(Box<[u8]>),
}

/// An entry with its count is 32 bytes: two in a cache line.
const SHORT: usize = 22;

impl From<&[u8]> for Word {
    fn from(word: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..word.len()), u8::try_from(word.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(word);
                Self::Short { bytes, length }
            }
            _ => Self::Long(word.into()),
        }
    }
}

impl Borrow<[u8]> for Word {
    #[inline]
    fn borrow(&self) -> &[u8] {
        match self {
            Self::Short { bytes, length } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        Borrow::<[u8]>::borrow(self) == Borrow::<[u8]>::borrow(other)
    }
}

impl Eq for Word {}

/// The word that tells the runner to be this program.
pub(crate) const NAME: &str = "native-wordcount";

/// The word that asks for keys in the table.
pub(crate) const INLINE: &str = "inline";

/// Counts.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    match arguments {
        [input, output, threads] => count_with::<Box<[u8]>>(input, output, threads),
        [input, output, threads, keys] if keys == INLINE => count_with::<Word>(input, output, threads),
        _ => Err(format!("usage: {NAME} INPUT OUTPUT THREADS [{INLINE}]").into()),
    }
}

fn count_with<K: Key>(input: &str, output: &str, threads: &str) -> Outcome<()> {
    let parts = parts(Path::new(input), threads.parse()?)?;
    let counted: Vec<io::Result<Counts<K>>> = thread::scope(|scope| {
        let workers: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || count(input, part))).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.map(|counts| counts.unwrap_or_else(|_| Err(io::Error::other("a thread broke")))).collect()
    });
    let mut sum = Counts::<K>::new();
    for counts in counted {
        for (word, n) in counts? {
            *sum.entry(word).or_default() += n;
        }
    }
    write(Path::new(output), &sum)?;
    Ok(())
}

/// Cuts the file into `threads` parts of about the same size at line ends.
fn parts(input: &Path, threads: u64) -> io::Result<Vec<Range<u64>>> {
    let mut file = File::open(input)?;
    let bytes = file.metadata()?.len();
    let mut cuts = vec![0];
    for part in 1..threads {
        let mut at = bytes * part / threads;
        let mut block = vec![0; BLOCK_BYTES];
        file.seek(SeekFrom::Start(at))?;
        loop {
            let read = file.read(&mut block)?;
            if read == 0 {
                at = bytes;
                break;
            }
            if let Some(end) = memchr(b'\n', &block[..read]) {
                at += end as u64 + 1;
                break;
            }
            at += read as u64;
        }
        cuts.push(at);
    }
    cuts.push(bytes);
    Ok(cuts.windows(2).map(|cut| cut[0]..cut[1]).collect())
}

fn count<K: Key>(input: &str, part: Range<u64>) -> io::Result<Counts<K>> {
    let mut file = File::open(input)?;
    file.seek(SeekFrom::Start(part.start))?;
    let mut file = file.take(part.end - part.start);
    let mut counts = Counts::<K>::with_capacity(64 * 1024);
    let mut block = vec![0; BLOCK_BYTES];
    let mut kept = 0;
    loop {
        if kept == block.len() {
            // A word longer than the block.
            block.resize(block.len() * 2, 0);
        }
        let read = file.read(&mut block[kept..])?;
        let filled = kept + read;
        if read == 0 {
            add(&mut counts, &block[..filled]);
            return Ok(counts);
        }
        let whole = memrchr2(b' ', b'\n', &block[..filled]).map_or(0, |end| end + 1);
        let mut start = 0;
        for end in memchr2_iter(b' ', b'\n', &block[..whole]) {
            add(&mut counts, &block[start..end]);
            start = end + 1;
        }
        block.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}

#[inline]
fn add<K: Key>(counts: &mut Counts<K>, word: &[u8]) {
    if word.is_empty() {
        return;
    }
    match counts.get_mut(word) {
        Some(n) => *n += 1,
        None => {
            counts.insert(word.into(), 1);
        }
    }
}

fn write<K: Key>(output: &Path, counts: &Counts<K>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(output)?);
    for (word, n) in counts {
        file.write_all(word.borrow())?;
        writeln!(file, "\t{n}")?;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn words_are_counted_alike_by_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("in"), dir.path().join("out"));
        let long = "a-word-that-is-longer-than-the-table-holds";
        fs::write(&input, format!("a bb a\n\n  bb\nlast {long} a {long}")).unwrap();
        for run_number in 1..9 {
            let threads = run_number.to_string();
            let mut words =
                vec![input.to_str().unwrap().to_owned(), output.to_str().unwrap().to_owned(), threads];
            words.extend((run_number % 2 == 0).then(|| INLINE.to_owned()));
            run(&words).unwrap();
            let text = fs::read_to_string(&output).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, ["a\t3", &format!("{long}\t2"), "bb\t2", "last\t1"]);
        }
    }
}

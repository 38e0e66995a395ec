//! The text that words are counted in: made from a seed, the same on every machine. About 51 bytes
//! a line, 8 to 12 words, 50,000 distinct words of which the n-th is n times rarer than the first.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Distinct words.
pub(crate) const WORDS: usize = 50_000;
/// A draw takes a place of this table, so that it costs one look-up; the rarest word has one place.
const PLACES: usize = 1 << 20;

/// Writes lines until there are `bytes`; says how many lines.
pub(crate) fn write(path: &Path, bytes: u64) -> io::Result<u64> {
    let words: Vec<Vec<u8>> = (0..WORDS).map(word).collect();
    let places = places();
    let mut random = Random(1);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut written, mut lines, mut line) = (0, 0, Vec::new());
    while written < bytes {
        line.clear();
        for _ in 0..8 + random.next() % 5 {
            line.extend_from_slice(&words[usize::from(places[(random.next() >> 44) as usize])]);
            line.push(b' ');
        }
        line.pop();
        line.push(b'\n');
        file.write_all(&line)?;
        written += line.len() as u64;
        lines += 1;
    }
    file.flush()?;
    Ok(lines)
}

/// Two letters that spread words over the alphabet, and the rank in letters, which tells them apart.
fn word(rank: usize) -> Vec<u8> {
    let letter = |n: usize| b'a' + (n % 26) as u8;
    let mut word = vec![letter(rank * 7 + 3), letter(rank * 11 + 5)];
    let mut left = rank + 1;
    while left > 0 {
        word.push(letter(left - 1));
        left = (left - 1) / 26;
    }
    word
}

/// Word ranks, each as often as it is drawn in `PLACES` draws.
fn places() -> Vec<u16> {
    let weights = |to: usize| (1..=to).map(|rank| 1.0 / rank as f64).sum::<f64>();
    let all = weights(WORDS);
    let (mut places, mut reached) = (Vec::with_capacity(PLACES), 0.0);
    for rank in 0..WORDS {
        reached += 1.0 / (rank + 1) as f64 / all;
        let end = (reached * PLACES as f64).round() as usize;
        places.resize(end.max(places.len()), u16::try_from(rank).unwrap_or(u16::MAX));
    }
    places.resize(PLACES, 0);
    places
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_distinct_and_each_has_a_place() {
        assert_eq!((0..WORDS).map(word).collect::<HashSet<_>>().len(), WORDS);
        assert_eq!(places().into_iter().collect::<HashSet<_>>().len(), WORDS);
    }

    #[test]
    fn the_same_text_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let lines = write(&a, 10_000).unwrap();
        assert_eq!(lines, write(&b, 10_000).unwrap());
        let text = std::fs::read(&a).unwrap();
        assert_eq!(text, std::fs::read(&b).unwrap());
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count() as u64, lines);
    }
}

//! Strings that generated rows choose from.

/// Strings behind each other.
#[derive(Debug, Default)]
pub(super) struct Pool {
    text: String,
    ends: Vec<usize>,
}

impl Pool {
    /// All of these.
    pub(super) fn of(values: impl Iterator<Item = String>) -> Self {
        let mut pool = Self::default();
        for value in values {
            pool.text.push_str(&value);
            pool.ends.push(pool.text.len());
        }
        pool
    }

    /// How many there are; never 0.
    pub(super) fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// One of them.
    #[inline]
    pub(super) fn get(&self, index: u64) -> &str {
        let index = usize::try_from(index).unwrap_or(0).min(self.ends.len() - 1);
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// Bytes of one, about.
    pub(super) fn mean_bytes(&self) -> u64 {
        self.text.len() as u64 / self.len().max(1)
    }
}

/// A made-up word: its number in syllables.
pub(super) fn word(index: u64) -> String {
    const SYLLABLES: [&str; 16] =
        ["ka", "to", "mi", "ren", "sol", "va", "du", "pe", "lin", "go", "sha", "ber", "nu", "ti", "or", "fa"];
    let mut word = String::new();
    let mut rest = index;
    loop {
        word.push_str(SYLLABLES[usize::try_from(rest % 16).unwrap_or(0)]);
        rest /= 16;
        if rest == 0 {
            return word;
        }
    }
}

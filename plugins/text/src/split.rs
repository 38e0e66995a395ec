//! `split-words`: one row a word. The scan looks at 64 bytes at a time of the buffer of the whole
//! column, and the words are copied once, into the output buffer.

use std::ops::Range;

use millstream_plugin::columns::Texts;
use millstream_plugin::prelude::*;

/// Splits text at white space: one row a word.
///
/// White space is Unicode's (`White_Space`); text of ASCII alone takes a faster way to the same
/// words. A null has no words.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SplitWords {
    /// The text column.
    column: String,
    /// Whether words are made lower-case.
    #[serde(default)]
    lowercase: bool,
    /// The name of the output column.
    #[serde(default = "word")]
    output: String,
    /// Input columns whose values are repeated for each word, for example the event time.
    #[serde(default)]
    keep: Vec<String>,
}

fn word() -> String {
    "word".to_owned()
}

pub(crate) fn split_words(config: SplitWords, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    let kept = config.keep.iter().map(|name| input.field(name).cloned()).collect::<Result<Vec<_>>>()?;
    let output = Schema::of(kept)?.with(Field::new(&config.output, DataType::Utf8))?;
    Ok(Transform::new(output, move |batch, out| {
        let texts = batch.read(column)?;
        let mut words = Words::new(&texts, config.lowercase);
        if config.keep.is_empty() {
            words.split(&texts, |_| {});
            return out.set(&config.output, words.finish());
        }
        let mut rows = Vec::new();
        words.split(&texts, |row| rows.push(row));
        out.set(&config.output, words.finish())?;
        out.keep_rows(batch, rows);
        Ok(())
    }))
}

/// The output column while it grows.
struct Words {
    builder: Utf8Builder,
    ascii: bool,
    lowercase: bool,
}

impl Words {
    fn new(texts: &Texts<'_>, lowercase: bool) -> Self {
        let text = texts.text();
        // Words and blanks take turns: no more words than this, and counting them would be a second scan.
        let words_max = text.len() / 2 + texts.offsets().len();
        Self { builder: Utf8Builder::with_capacity(words_max, text.len()), ascii: text.is_ascii(), lowercase }
    }

    /// Adds the words of all rows; `each` is told the row of each word.
    fn split(&mut self, texts: &Texts<'_>, mut each: impl FnMut(u32)) {
        let (text, validity) = (texts.text(), texts.validity());
        for (row, ends) in (0_u32..).zip(texts.offsets().windows(2)) {
            if !validity.is_valid(row as usize) {
                continue;
            }
            between_blanks(text.as_bytes(), ends[0] as usize..ends[1] as usize, |word| {
                if self.ascii || text.as_bytes()[word.clone()].is_ascii() {
                    self.builder.push_part(text, word);
                    each(row);
                } else {
                    self.push_unicode(&text[word], || each(row));
                }
            });
        }
    }

    /// Words that may still hold white space beyond ASCII.
    #[cold]
    fn push_unicode(&mut self, words: &str, mut each: impl FnMut()) {
        for word in words.split_whitespace() {
            if self.lowercase {
                self.builder.push(&word.to_lowercase())
            } else {
                self.builder.push(word)
            }
            each();
        }
    }

    fn finish(mut self) -> Utf8Builder {
        if self.lowercase {
            self.builder.make_ascii_lowercase();
        }
        self.builder
    }
}

/// Calls `each` with the stretches of `within` that ASCII white space divides.
#[inline]
fn between_blanks(bytes: &[u8], within: Range<usize>, mut each: impl FnMut(Range<usize>)) {
    let (mut start, mut at) = (within.start, within.start);
    while at < within.end {
        let mut found = blanks(bytes, at);
        let left = within.end - at;
        if left < BLOCK {
            found &= (1 << left) - 1;
        }
        while found != 0 {
            let blank = at + found.trailing_zeros() as usize;
            found &= found - 1;
            if blank > start {
                each(start..blank);
            }
            start = blank + 1;
        }
        at += BLOCK;
    }
    if within.end > start {
        each(start..within.end);
    }
}

/// Bytes that are looked at together: most lines are one block.
const BLOCK: usize = 64;

/// Which of the 64 bytes from `at` on are ASCII white space, a bit a byte; none behind the end.
#[inline]
fn blanks(bytes: &[u8], at: usize) -> u64 {
    if let Some(block) = bytes.get(at..at + BLOCK).and_then(|block| block.first_chunk()) {
        return blanks_of(block);
    }
    let mut block = [b'x'; BLOCK];
    let rest = bytes.get(at..).unwrap_or_default();
    block[..rest.len()].copy_from_slice(rest);
    blanks_of(&block)
}

#[cfg(target_arch = "wasm32")]
#[inline]
fn blanks_of(block: &[u8; BLOCK]) -> u64 {
    use std::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u8x16_sub, u64x2, v128_or};
    let mut mask = 0;
    for (i, sixteen) in block.chunks_exact(16).enumerate() {
        let (mut low, mut high) = ([0; 8], [0; 8]);
        low.copy_from_slice(&sixteen[..8]);
        high.copy_from_slice(&sixteen[8..]);
        let sixteen = u64x2(u64::from_le_bytes(low), u64::from_le_bytes(high));
        let spaces = u8x16_eq(sixteen, u8x16_splat(b' '));
        let controls = u8x16_le(u8x16_sub(sixteen, u8x16_splat(b'\t')), u8x16_splat(b'\r' - b'\t'));
        mask |= u64::from(u8x16_bitmask(v128_or(spaces, controls))) << (16 * i);
    }
    mask
}

#[cfg(not(target_arch = "wasm32"))]
fn blanks_of(block: &[u8; BLOCK]) -> u64 {
    let blank = |byte: &u8| u64::from(matches!(byte, b' ' | b'\t'..=b'\r'));
    block.iter().rev().fold(0, |mask, byte| mask << 1 | blank(byte))
}

#[cfg(test)]
mod tests {
    use millstream_plugin::testing;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::plugin;

    fn split(config: Value, rows: Value) -> Value {
        testing::run(&plugin(), "split-words", config, testing::batch(rows).unwrap()).unwrap().rows()
    }

    #[test]
    fn a_row_a_word() {
        let rows = json!([{"line": "  To be,\tor not "}, {"line": ""}, {"line": "be"}, {"line": null}]);
        let words = json!([{"word": "To"}, {"word": "be,"}, {"word": "or"}, {"word": "not"}, {"word": "be"}]);
        assert_eq!(split(json!({"column": "line"}), rows), words);
    }

    #[test]
    fn lower_case_beyond_ascii() {
        let rows = json!([{"t": "ÄRGER Über\u{a0}ALLES"}]);
        assert_eq!(
            split(json!({"column": "t", "lowercase": true, "output": "w"}), rows),
            json!([{"w": "ärger"}, {"w": "über"}, {"w": "alles"}])
        );
    }

    #[test]
    fn kept_columns_are_repeated() {
        let rows = json!([{"t": "a b", "ts": 1}, {"t": "", "ts": 2}, {"t": "c", "ts": 3}]);
        assert_eq!(
            split(json!({"column": "t", "keep": ["ts"]}), rows),
            json!([{"ts": 1, "word": "a"}, {"ts": 1, "word": "b"}, {"ts": 3, "word": "c"}])
        );
    }

    #[test]
    fn a_wrong_column_is_refused_with_the_nearest() {
        let batch = testing::texts("line", &["a"]).unwrap();
        let error = testing::run(&plugin(), "split-words", json!({"column": "lines"}), batch).unwrap_err();
        assert_eq!(error.message(), "the input has no column `lines`; did you mean `line`?");
    }

    proptest! {
        #[test]
        fn words_are_those_of_split_whitespace(
            lines in prop::collection::vec("[a-c \t\n\u{b}\u{1c}\u{0}é\u{85}\u{a0}\u{2003}\u{3000}]{0,40}", 0..20)
        ) {
            let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
            let batch = testing::texts("t", &texts).unwrap();
            let ran = testing::run(&plugin(), "split-words", json!({"column": "t"}), batch).unwrap();
            let words = texts.iter().flat_map(|text| text.split_whitespace());
            prop_assert_eq!(ran.rows(), words.map(|word| json!({"word": word})).collect::<Value>());
        }
    }
}

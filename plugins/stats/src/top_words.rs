//! `top-words`: exact counts of a bounded number of words, kept whole in the state.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use millstream_plugin::prelude::*;

/// The most frequent words of a column.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TopWords {
    /// The text column, one word a row.
    column: String,
    /// How many words the result has.
    #[serde(default = "ten")]
    k: usize,
    /// Different words of one group; a row with one more is refused.
    #[serde(default = "ten_thousand")]
    words_max: usize,
}

fn ten() -> usize {
    10
}

fn ten_thousand() -> usize {
    10_000
}

pub(crate) fn top_words(config: TopWords, input: &Schema) -> Result<TopWords> {
    input.key::<Utf8>(&config.column)?;
    if config.k == 0 || config.k > config.words_max {
        bail!("config.k is {}; it must be 1 to words_max ({})", config.k, config.words_max);
    }
    Ok(config)
}

/// Ordered, so that a state has the same bytes whichever way it was made.
type Counts = BTreeMap<String, u64>;

impl Aggregate for TopWords {
    type State = Counts;
    const RETRACTS: bool = true;

    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("words", DataType::Utf8)])
    }

    fn accumulate(&self, counts: &mut Counts, row: Row<'_>) -> Result<()> {
        let Some(word) = row.text(&self.column)? else { return Ok(()) };
        if let Some(count) = counts.get_mut(word) {
            *count += 1;
        } else if counts.len() < self.words_max {
            counts.insert(word.to_owned(), 1);
        } else {
            bail!("a group has more than {} different words; raise config.words_max", self.words_max);
        }
        Ok(())
    }

    fn merge(&self, counts: &mut Counts, other: Counts) -> Result<()> {
        for (word, count) in other {
            *counts.entry(word).or_default() += count;
        }
        Ok(())
    }

    fn retract(&self, counts: &mut Counts, other: Counts) -> Result<()> {
        for (word, count) in other {
            match counts.get_mut(&word) {
                Some(left) if *left > count => *left -= count,
                _ => drop(counts.remove(&word)),
            }
        }
        Ok(())
    }

    fn finish(&self, counts: Counts, out: &mut Records) -> Result<()> {
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        // The map was in the order of the alphabet, and stays so among equals.
        words.sort_by_key(|(_, count)| Reverse(*count));
        words.truncate(self.k);
        out.push((serde_json::to_string(&words)?,))
    }
}

#[cfg(test)]
mod tests {
    use millstream_plugin::Result;
    use millstream_plugin::testing::{self, Ran};
    use serde_json::{Value, json};

    use crate::plugin;

    fn top(config: Value, batches: &[&[&str]]) -> Result<Ran> {
        let batch = |words: &&[&str]| {
            testing::batch(words.iter().map(|word| json!({"k": word.len(), "w": word})).collect())
        };
        let batches = batches.iter().map(batch).collect::<Result<Vec<_>>>()?;
        testing::aggregate(&plugin(), "top-words", config, &["k"], batches)
    }

    #[test]
    fn most_frequent_first_and_ties_by_the_alphabet() {
        let ran = top(json!({"column": "w", "k": 2}), &[&["b", "a", "c", "xy"], &["c", "ü", "xy"]]).unwrap();
        let expected = json!([
            {"k": 1, "words": r#"[["c",2],["a",1]]"#},
            {"k": 2, "words": r#"[["xy",2],["ü",1]]"#},
        ]);
        assert_eq!(ran.rows(), expected);
    }

    #[test]
    fn one_word_too_many_is_refused() {
        let config = json!({"column": "w", "k": 1, "words_max": 2});
        assert_eq!(top(config.clone(), &[&["a", "b", "a"]]).unwrap().rows()[0]["words"], r#"[["a",2]]"#);
        let error = top(config, &[&["a", "b", "c"]]).unwrap_err();
        assert!(error.message().contains("more than 2 different words"), "{error}");
    }

    #[test]
    fn words_taken_out_are_forgotten() {
        let batch =
            |words: &[&str]| testing::batch(words.iter().map(|w| json!({"k": 1, "w": w})).collect()).unwrap();
        let (all, out) = (batch(&["a"]), batch(&["a", "b"]));
        let config = json!({"column": "w"});
        let ran = testing::aggregate_and_retract(&plugin(), "top-words", config, &["k"], &all, &out).unwrap();
        assert_eq!(ran.rows()[0]["words"], r#"[["a",1]]"#);
    }

    #[test]
    fn the_config_is_checked() {
        let error = top(json!({"column": "w", "k": 0}), &[&["a"]]).unwrap_err();
        assert_eq!(error.message(), "config.k is 0; it must be 1 to words_max (10000)");
        assert!(top(json!({"column": "k"}), &[&["a"]]).unwrap_err().message().contains("must be utf8"));
    }
}

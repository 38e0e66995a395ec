//! `split-words`: a transform with several rows, or none, for a row.

use millstream_plugin::prelude::*;

/// One row for each word of a text column. Words are separated by spaces.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitWords {
    /// The text column.
    column: String,
    /// The name of the output column.
    #[serde(default = "word")]
    output: String,
}

fn word() -> String {
    "word".to_owned()
}

pub(crate) fn split_words(config: SplitWords, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    let output = Schema::of([Field::new(&config.output, DataType::Utf8)])?;
    Ok(Transform::new(output, move |batch, out| {
        let texts = batch.read(column)?;
        let text = texts.text();
        let mut words = Utf8Builder::with_capacity(text.len() / 4, text.len());
        for text in texts.iter().flatten() {
            let mut start = 0;
            for end in memchr::memchr_iter(b' ', text.as_bytes()).chain([text.len()]) {
                if end > start {
                    words.push_part(text, start..end);
                }
                start = end + 1;
            }
        }
        out.set(&config.output, words)
    }))
}

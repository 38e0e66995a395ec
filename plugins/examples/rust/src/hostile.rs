//! `hostile`: fails in every way that an operator can, so that hosts and kits can be held to what they promise.

use millstream_plugin::prelude::*;

/// Fails in the way it is told to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hostile {
    /// How.
    #[serde(rename = "do")]
    how: How,
    /// The text column that is looked at.
    column: String,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// It does not.
    Nothing,
    /// Panics at a row whose text is `bad`.
    Throw,
    /// Calls itself until the stack is full.
    Recurse,
    /// Ends the instance, with words on stderr.
    Fatal,
    /// Tells how many rows came: a log line, a counter and a distribution.
    Tell,
    /// Never comes back.
    Spin,
    /// Takes memory until there is no more.
    Grow,
    /// Answers with columns of unequal length.
    Uneven,
    /// Answers with null where it promised none.
    Null,
    /// Answers with a number that does not fit its column.
    Overflow,
    /// Answers with a column of another type than promised.
    WrongType,
}

pub(crate) fn hostile(config: Hostile, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    let one = |data_type| Schema::of([Field::new("out", data_type)]);
    let output = match config.how {
        How::Null => one(DataType::Utf8)?,
        How::Overflow | How::WrongType => one(DataType::Int64)?,
        _ => input.clone(),
    };
    Ok(Transform::new(output, move |batch, out| {
        let texts = batch.read(column)?;
        match config.how {
            How::Nothing => {}
            How::Throw => assert!(!texts.iter().any(|text| text == Some("bad")), "a bad row"),
            How::Recurse => {
                std::hint::black_box(deeper(std::hint::black_box(1)));
            }
            How::Fatal => die(),
            How::Tell => {
                log!(Level::Info, "{} rows", batch.len());
                counter("told").add(batch.len() as u64);
                observe("share", 0.5);
            }
            How::Spin => loop {
                std::hint::black_box(());
            },
            How::Grow => {
                let mut taken = Vec::new();
                loop {
                    taken.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            How::Uneven => {
                let few = batch.len().saturating_sub(1);
                out.set(&config.column, texts.iter().take(few).collect::<Utf8Builder>())?;
            }
            How::Null => {
                let last = batch.len().saturating_sub(1);
                let texts = (0..batch.len()).map(|row| (row < last).then_some(""));
                return out.set("out", texts.collect::<Utf8Builder>());
            }
            How::Overflow => {
                let mut numbers = Int64Builder::default();
                (1..batch.len()).for_each(|_| numbers.push(0));
                numbers.push_wide(1_u64 << 63);
                return out.set("out", numbers);
            }
            How::WrongType => return out.set("out", texts.iter().collect::<Utf8Builder>()),
        }
        out.keep(batch);
        Ok(())
    }))
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(depth) + deeper(depth + 1)
}

#[allow(clippy::print_stderr, reason = "the host shows it")]
fn die() -> ! {
    eprintln!("the end");
    std::process::abort()
}

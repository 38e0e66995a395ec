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
            How::Throw => {
                if let Some(row) = texts.iter().position(|text| text == Some("bad")) {
                    panic!("row {row} is bad");
                }
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
            How::Null => return out.set("out", batch.rows().map(|_| None::<&str>).collect::<Utf8Builder>()),
            How::Overflow => {
                let number = i64::try_from(1_u64 << 63)
                    .map_err(|_| Error::new("overflow: 2^63 does not fit `out`, which is int64"))?;
                return out.set("out", batch.rows().map(|_| Some(number)).collect::<Int64Builder>());
            }
            How::WrongType => return out.set("out", texts.iter().collect::<Utf8Builder>()),
        }
        out.keep(batch);
        Ok(())
    }))
}

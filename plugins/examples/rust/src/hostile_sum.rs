//! `hostile-sum`: an aggregate that fails in each of its functions.

use millstream_plugin::prelude::*;

/// Counts the rows of a group, or fails in the way it is told to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostileSum {
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
    /// Panics when a row is added whose text is `bad`.
    Throw,
    /// Panics when states are merged.
    ThrowMerge,
    /// Panics when a result is asked for.
    ThrowFinish,
    /// Answers with null where it promised none.
    Null,
    /// Answers with a number that does not fit its column.
    Overflow,
}

pub(crate) fn hostile_sum(config: HostileSum, input: &Schema) -> Result<HostileSum> {
    input.key::<Utf8>(&config.column)?;
    Ok(config)
}

impl Aggregate for HostileSum {
    /// Rows.
    type State = u64;

    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("n", DataType::Int64)])
    }

    fn accumulate(&self, rows: &mut u64, row: Row<'_>) -> Result<()> {
        let is_bad = row.text(&self.column)? == Some("bad");
        assert!(self.how != How::Throw || !is_bad, "a bad row");
        *rows += 1;
        Ok(())
    }

    fn merge(&self, rows: &mut u64, others: u64) -> Result<()> {
        assert!(self.how != How::ThrowMerge, "a bad merge");
        *rows += others;
        Ok(())
    }

    fn finish(&self, rows: u64, out: &mut Records) -> Result<()> {
        assert!(self.how != How::ThrowFinish, "a bad end");
        match self.how {
            How::Null => out.push((None::<u64>,)),
            How::Overflow => out.push((1_u64 << 63,)),
            _ => out.push((rows,)),
        }
    }
}

//! `hostile-keyed`: a keyed operator that fails at rows and at timers.

use millstream_plugin::prelude::*;

/// Counts the rows of a key, or fails in the way it is told to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostileKeyed {
    /// How.
    #[serde(rename = "do")]
    how: How,
    /// The text column that is looked at.
    column: String,
    /// The timestamp column.
    time: String,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// It does not.
    Nothing,
    /// Panics at a row whose text is `bad`.
    Throw,
    /// Panics at the timer that each row sets.
    ThrowTimer,
    /// Answers with null where it promised none.
    Null,
    /// Answers with a number that does not fit its column.
    Overflow,
}

pub(crate) fn hostile_keyed(config: HostileKeyed, _keys: &Schema, input: &Schema) -> Result<HostileKeyed> {
    input.key::<Utf8>(&config.column)?;
    input.key::<Timestamp>(&config.time)?;
    Ok(config)
}

impl Keyed for HostileKeyed {
    /// Rows.
    type State = u64;

    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("n", DataType::Int64)])
    }

    fn on_row(&self, key: &mut KeyView<'_, u64>, row: Row<'_>) -> Result<()> {
        let is_bad = row.text(&self.column)? == Some("bad");
        assert!(self.how != How::Throw || !is_bad, "a bad row");
        if let (How::ThrowTimer, Some(at)) = (self.how, row.timestamp(&self.time)?) {
            key.set_timer(at + 1_000);
        }
        let rows = key.state.unwrap_or_default() + 1;
        *key.state = Some(rows);
        match self.how {
            How::Null => key.emit((None::<u64>,)),
            How::Overflow => key.emit((1_u64 << 63,)),
            _ => key.emit((rows,)),
        }
    }

    fn on_timer(&self, _key: &mut KeyView<'_, u64>, _at: i64) -> Result<()> {
        assert!(self.how != How::ThrowTimer, "a bad timer");
        Ok(())
    }
}

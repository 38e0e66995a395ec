//! Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets
//! them with the rows of the key, and again when the timer is due.

use millstream_plugin::prelude::*;

/// Keys without rows for a while.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Silent {
    /// The timestamp column.
    time: String,
    /// How long, in milliseconds.
    after_ms: u32,
}

impl Keyed for Silent {
    /// The time of the last row.
    type State = i64;

    /// What comes behind the columns of the key.
    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("since", DataType::Timestamp)])
    }

    fn on_row(&self, key: &mut KeyView<'_, i64>, row: Row) -> Result<()> {
        let Some(at) = row.timestamp(&self.time)? else {
            key.reject(row, "it has no time");
            return Ok(());
        };
        let last = key.state.map_or(at, |last| last.max(at));
        *key.state = Some(last);
        key.set_timer(last + i64::from(self.after_ms) * 1_000);
        Ok(())
    }

    fn on_timer(&self, key: &mut KeyView<'_, i64>, _at: i64) -> Result<()> {
        // Taken: nothing is kept of a silent key.
        match key.state.take() {
            Some(last) => key.emit((last,)),
            None => Ok(()),
        }
    }
}

/// Called once for each instance: checks the config against the input's columns.
fn silent(config: Silent, _keys: &Schema, input: &Schema) -> Result<Silent> {
    input.key::<Timestamp>(&config.time)?;
    Ok(config)
}

plugin! { summary: "Silence.", operators: [keyed "silent" => silent] }

#[cfg(test)]
mod tests {
    use millstream_plugin::testing::{self, Keeper};
    use millstream_plugin::{DataType, Field, Schema};
    use serde_json::json;

    #[test]
    fn a_key_is_told_once_it_was_silent() {
        let schema = Schema::of([Field::new("user", DataType::Utf8), Field::new("at", DataType::Timestamp)]).unwrap();
        let config = json!({ "time": "at", "after_ms": 1 });
        let mut keeper = Keeper::open(&crate::plugin(), "silent", config, &["user"], &schema).unwrap();
        let rows = json!([{ "user": "ann", "at": 0 }, { "user": "bob", "at": 100 }, { "user": "ann", "at": 500 }]);
        keeper.turn(None, testing::batch_of(schema, rows).unwrap()).unwrap();
        assert_eq!(keeper.advance(1_200).unwrap().rows(), json!([{ "user": "bob", "since": 100 }]));
        assert_eq!(keeper.advance(1_500).unwrap().rows(), json!([{ "user": "ann", "since": 500 }]));
        assert_eq!(keeper.states(), 0);
    }
}

//! The next version of the plugin `tally`, with another type of state.

use millstream_plugin::keyed::read_state;
use millstream_plugin::prelude::*;
use serde::Serialize;

/// Counts rows by key, those of the version before a thousand times.
#[derive(Deserialize, JsonSchema)]
pub struct Tally {}

/// What is kept of a key.
#[derive(Default, Deserialize, Serialize)]
pub struct Counted {
    before: i64,
    now: i64,
}

/// What version 0.1.0 kept.
#[derive(Deserialize)]
struct Old {
    n: i64,
    _load: String,
    _fuse: bool,
}

impl Keyed for Tally {
    type State = Counted;

    fn output(&self) -> Result<Schema> {
        Schema::of([
            Field::new("at", DataType::Timestamp),
            Field::new("n", DataType::Int64),
            Field::new("why", DataType::Utf8),
        ])
    }

    fn on_row(&self, key: &mut KeyView<'_, Counted>, _: Row<'_>) -> Result<()> {
        let now = key.clock().now;
        let state = key.state.get_or_insert_default();
        state.now += 1;
        let n = state.before * 1_000 + state.now;
        key.emit((now, n, "row"))
    }

    fn migrate(&self, from_version: &str, state: &[u8]) -> Result<Option<Counted>> {
        if from_version != "0.1.0" {
            bail!("states of {from_version} are unknown");
        }
        let old: Old = read_state(state)?;
        if old.n == 13 {
            bail!("a count of 13 cannot be read");
        }
        Ok(Some(Counted { before: old.n, now: 0 }))
    }
}

fn tally(config: Tally, _keys: &Schema, _input: &Schema) -> Result<Tally> {
    Ok(config)
}

plugin! {
    name: "tally",
    version: "0.2.0",
    summary: "Counts by key, for tests of the host.",
    operators: [keyed "tally" => tally],
}

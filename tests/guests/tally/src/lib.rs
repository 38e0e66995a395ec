//! A keyed operator that shows what the host does with states and timers: it counts the rows of a key, and
//! a word in a row makes it misbehave.

use millstream_plugin::prelude::*;
use serde::Serialize;

/// Counts rows by key. Gives the count with each row and when a timer is due.
#[derive(Deserialize, JsonSchema)]
pub struct Tally {
    /// A timestamp column; the batch's clock when left out.
    time: Option<String>,
    /// Each row sets the key's timer so many milliseconds after its time.
    timer_ms: Option<i64>,
    /// A text column: `poison` panics, `loop` never returns, `reject` is rejected, `large` makes the state larger
    /// than it may be, `fuse` makes the key's next timer panic.
    word: Option<String>,
}

/// What is kept of a key.
#[derive(Default, Deserialize, Serialize)]
pub struct Counted {
    n: i64,
    load: String,
    fuse: bool,
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

    fn on_row(&self, key: &mut KeyView<'_, Counted>, row: Row<'_>) -> Result<()> {
        let at = match &self.time {
            Some(time) => row.timestamp(time)?.unwrap_or_default(),
            None => key.clock().now,
        };
        let word = match &self.word {
            Some(word) => row.text(word)?.unwrap_or_default(),
            None => "",
        };
        let state = key.state.get_or_insert_default();
        match word {
            "poison" => panic!("poison"),
            "loop" => loop {
                std::hint::black_box(());
            },
            "reject" => {
                key.reject(row, "it says so itself");
                return Ok(());
            }
            "large" => state.load = "x".repeat(2 << 20),
            "fuse" => state.fuse = true,
            _ => {}
        }
        state.n += 1;
        let n = state.n;
        if let Some(timer_ms) = self.timer_ms {
            key.set_timer(at + timer_ms * 1_000);
        }
        key.emit((at, n, "row"))
    }

    fn on_timer(&self, key: &mut KeyView<'_, Counted>, at: i64) -> Result<()> {
        if key.state.as_ref().is_some_and(|state| state.fuse) {
            panic!("the fuse is blown");
        }
        let n = key.state.as_ref().map_or(0, |state| state.n);
        key.emit((at, n, "timer"))
    }
}

fn tally(config: Tally, _keys: &Schema, input: &Schema) -> Result<Tally> {
    if let Some(time) = &config.time {
        input.key::<Timestamp>(time)?;
    }
    if let Some(word) = &config.word {
        input.key::<Utf8>(word)?;
    }
    Ok(config)
}

plugin! { version: "0.1.0", summary: "Counts by key, for tests of the host.", operators: [keyed "tally" => tally] }

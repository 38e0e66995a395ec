//! Keyed operators: `counter` behaves, `bad-keyed` does what its config says. A state is a count.

use crate::aggregates::numbers;
use crate::exports::millstream::plugin::keyed::{Clock, Field, Guest, Outcome, Timer, Turn};
use crate::millstream::plugin::data::{Batch, Column, Rejection};
use crate::{CONFIG, Plugin, field, forever, offsets};

fn read(states: &Column) -> Vec<Option<i64>> {
    let ends: Vec<usize> = numbers::<4>(&states.offsets).map(|end| u32::from_le_bytes(end) as usize).collect();
    ends.windows(2).map(|ends| Some(i64::from_le_bytes(*states.values[ends[0]..ends[1]].first_chunk()?))).collect()
}

fn write(states: &[Option<i64>]) -> Column {
    let mut column = Column { validity: vec![0; states.len().div_ceil(8)], offsets: vec![0; 4], values: vec![] };
    for (i, state) in states.iter().enumerate() {
        if let Some(state) = state {
            column.validity[i / 8] |= 1 << (i % 8);
            column.values.extend(state.to_le_bytes());
        }
        column.offsets.extend((column.values.len() as u32).to_le_bytes());
    }
    column
}

fn int64(values: &[i64]) -> Column {
    let values = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Column { validity: vec![], offsets: vec![], values }
}

impl Guest for Plugin {
    fn open(operator: String, config: String, keys: Vec<Field>, input: Vec<Field>) -> Result<Vec<Field>, String> {
        if keys.len() != 1 || input.len() != 2 {
            return Err(format!("{} key columns and {} of input", keys.len(), input.len()));
        }
        let config = if operator == "counter" { "" } else { config.trim_matches('"') };
        CONFIG.set(config.to_owned().leak());
        Ok(["key", "count", "at", "batch", "now", "watermark"].map(|name| field(name, "l", false)).into())
    }

    /// Counts the rows of each key, sets a timer behind them, and gives the count up when it is due.
    /// Rejects negative values.
    fn process(clock: Clock, turn: Turn) -> Result<Outcome, String> {
        let keys: Vec<i64> = numbers::<8>(&turn.keys.columns[0].values).map(i64::from_le_bytes).collect();
        let values: Vec<i64> = numbers::<8>(&turn.rows.columns[1].values).map(i64::from_le_bytes).collect();
        let mut states = read(&turn.states);
        let (mut timers, mut rejected, mut output) = (vec![], vec![], vec![vec![]; 6]);
        for due in &turn.due {
            let count = states[due.key as usize].take().unwrap_or(-1);
            let watermark = clock.watermark.unwrap_or(-1);
            let row = [keys[due.key as usize], count, due.at, clock.batch_id as i64, clock.now, watermark];
            output.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        for (row, (key, value)) in numbers::<4>(&turn.row_keys).map(u32::from_le_bytes).zip(&values).enumerate() {
            if *value < 0 {
                rejected.push(Rejection { row: row as u32, reason: "it is negative".into() });
                continue;
            }
            *states[key as usize].get_or_insert_default() += 1;
            timers.push(Timer { key, at: value + 1_000 });
        }
        let output = Batch { rows: output[0].len() as u32, columns: output.iter().map(|c| int64(c)).collect() };
        let mut outcome = Outcome { output, states: write(&states), timers, rejected };
        match CONFIG.get() {
            "few" => outcome.states.offsets.truncate(outcome.states.offsets.len() - 4),
            "fall" => outcome.states.offsets = offsets(&[0, 8, 0]),
            "huge" => {
                outcome.states.offsets = offsets(&[0, 8, 2_000]);
                outcome.states.values.resize(2_000, 0);
            }
            "timer" => outcome.timers.push(Timer { key: keys.len() as u32, at: 0 }),
            "timer-past" => outcome.timers.push(Timer { key: 0, at: i64::MIN }),
            "reject-far" => outcome.rejected.push(Rejection { row: turn.rows.rows, reason: "no".into() }),
            "output" => outcome.output.columns.truncate(2),
            "rows" => outcome.output.rows += 1,
            "answer" => return Err("this turn is refused".into()),
            "trap" => panic!("the keyed operator gives up on purpose"),
            "loop" => forever(),
            "poison" => assert!(!values.contains(&13), "thirteen"),
            _ => {}
        }
        Ok(outcome)
    }

    /// Adds 100 to states of version 0.x, drops those of 0, cannot read others.
    fn migrate(from_version: String, states: Column) -> Result<Column, String> {
        if CONFIG.get() == "few" {
            return Ok(write(&[]));
        }
        if !from_version.starts_with("0.") {
            return Err(format!("states of {from_version} are unknown"));
        }
        let moved = |state: Option<i64>| state.filter(|count| *count != 0).map(|count| count + 100);
        Ok(write(&read(&states).into_iter().map(moved).collect::<Vec<_>>()))
    }
}

//! Aggregates and keyed operators: all of them count rows in states of 8 bytes, and at the trigger
//! each but the first of its kind misbehaves once it has counted.

use std::cell::RefCell;

use millstream_plugin::bindings::aggregate::exports::millstream::plugin::aggregate;
use millstream_plugin::bindings::data::{Batch, Clock, Column, Field};
use millstream_plugin::bindings::keyed::exports::millstream::plugin::keyed;

use crate::{Config, Hostile, faults, holds};

/// Name and summary.
pub(crate) const AGGREGATES: &[(&str, &str)] = &[
    ("count", "Counts the rows of a group."),
    ("count-retracts", "Counts, and takes counts out again."),
    ("count-retracts-not", "Counts, and promises to take counts out again."),
    ("count-and-trap", "Counts, and panics."),
    ("count-and-loop", "Counts, and never returns."),
    ("count-and-answer-error", "Counts, and refuses the rows in words."),
    ("count-with-a-state-too-few", "Counts, and keeps the last state for itself."),
    ("count-with-falling-offsets", "Counts, and answers with offsets that fall."),
    ("count-with-a-large-state", "Counts, and makes the last state 2 MiB larger."),
    ("count-with-a-row-too-many", "Counts, and gives one result more than there are groups."),
];

/// Name and summary.
pub(crate) const KEYED: &[(&str, &str)] = &[
    ("count-by-key", "Counts the rows of a key, gives the count at its timer a second on."),
    ("key-and-trap", "Counts, and panics."),
    ("key-and-loop", "Counts, and never returns."),
    ("key-and-answer-error", "Counts, and refuses the turn in words."),
    ("key-with-a-state-too-few", "Counts, and keeps the last state for itself."),
    ("key-with-falling-offsets", "Counts, and answers with offsets that fall."),
    ("key-with-a-large-state", "Counts, and makes the last state 2 MiB larger."),
    ("key-with-a-foreign-timer", "Counts, and sets a timer for a key that is not there."),
    ("key-rejects-a-foreign-row", "Counts, and rejects a row that is not there."),
];

const LARGE_BYTES: usize = 2 << 20;
/// When a key's timer is due: microseconds after the batch's own time.
const TIMER_US: i64 = 1_000_000;

struct Opened {
    operator: String,
    when: Option<String>,
    input: Vec<Field>,
}

thread_local! {
    static OPENED: RefCell<Opened> =
        const { RefCell::new(Opened { operator: String::new(), when: None, input: Vec::new() }) };
}

fn open(operator: String, config: &str, input: Vec<Field>) -> Result<(), String> {
    let config: Config = serde_json::from_str(config).map_err(|error| error.to_string())?;
    OPENED.set(Opened { operator, when: config.when, input });
    Ok(())
}

/// The operator, if these rows hold its trigger; else nothing that misbehaves.
fn fault(rows: &Batch) -> String {
    OPENED.with_borrow(|opened| {
        let triggered = opened.when.as_deref().is_none_or(|when| holds(rows, &opened.input, when));
        if triggered { opened.operator.clone() } else { String::new() }
    })
}

fn count_field() -> Field {
    Field { name: "count".to_owned(), data_type: "l".to_owned(), nullable: false }
}

fn read(states: &Column) -> Vec<Option<i64>> {
    let ends: Vec<u32> = states.offsets.as_chunks().0.iter().map(|end| u32::from_le_bytes(*end)).collect();
    let state = |ends: &[u32]| states.values.get(ends[0] as usize..ends[1] as usize)?.first_chunk().copied();
    ends.windows(2).map(|ends| state(ends).map(i64::from_le_bytes)).collect()
}

fn write(states: &[Option<i64>]) -> Column {
    let mut column =
        Column { validity: vec![0; states.len().div_ceil(8)], offsets: vec![0; 4], values: vec![] };
    for (i, state) in states.iter().enumerate() {
        if let Some(state) = state {
            column.validity[i / 8] |= 1 << (i % 8);
            column.values.extend(state.to_le_bytes());
        }
        column.offsets.extend((column.values.len() as u32).to_le_bytes());
    }
    column
}

fn add(states: &mut [Option<i64>], groups: &[u8], by: i64) {
    for group in groups.as_chunks().0 {
        *states[u32::from_le_bytes(*group) as usize].get_or_insert_default() += by;
    }
}

/// What the operators of both kinds have in common.
fn misbehave(operator: &str, states: &mut Column) -> Result<(), String> {
    let what = operator.trim_start_matches("count-").trim_start_matches("key-");
    match what {
        "and-trap" => panic!("broke on purpose while counting"),
        "and-loop" => faults::spin(),
        "and-answer-error" => return Err("refused on purpose while counting".to_owned()),
        "with-a-state-too-few" => states.offsets.truncate(states.offsets.len().saturating_sub(4).max(4)),
        "with-falling-offsets" => {
            let end = (states.values.len() as u32).max(1);
            states.values.resize(end as usize, 0);
            let ends = 0..states.offsets.len() / 4;
            states.offsets = ends.flat_map(|i| (if i % 2 == 1 { end } else { 0 }).to_le_bytes()).collect();
        }
        "with-a-large-state" => {
            states.values.resize(states.values.len() + LARGE_BYTES, 7);
            if let Some(last) = states.offsets.last_chunk_mut() {
                *last = (states.values.len() as u32).to_le_bytes();
            }
        }
        _ => {}
    }
    Ok(())
}

impl aggregate::Guest for Hostile {
    fn open(operator: String, config: String, input: Vec<Field>) -> Result<Vec<Field>, String> {
        open(operator, &config, input)?;
        Ok(vec![count_field()])
    }

    fn accumulate(states: Column, groups: Vec<u8>, input: Batch) -> Result<Column, String> {
        let mut counts = read(&states);
        add(&mut counts, &groups, 1);
        let mut states = write(&counts);
        misbehave(&fault(&input), &mut states)?;
        Ok(states)
    }

    fn retract(left: Column, right: Column) -> Result<Column, String> {
        if OPENED.with_borrow(|opened| opened.operator != "count-retracts") {
            return Err("it does not retract".to_owned());
        }
        let rest = |(left, right): (Option<i64>, Option<i64>)| Some(left? - right.unwrap_or_default());
        Ok(write(&read(&left).into_iter().zip(read(&right)).map(rest).collect::<Vec<_>>()))
    }

    fn merge(left: Column, right: Column) -> Result<Column, String> {
        let sum = |(left, right): (Option<i64>, Option<i64>)| match (left, right) {
            (Some(left), Some(right)) => Some(left + right),
            (left, right) => left.or(right),
        };
        Ok(write(&read(&left).into_iter().zip(read(&right)).map(sum).collect::<Vec<_>>()))
    }

    fn finish(states: Column) -> Result<Batch, String> {
        let mut counts = read(&states);
        if OPENED.with_borrow(|opened| opened.operator == "count-with-a-row-too-many") {
            counts.push(None);
        }
        let values = counts.iter().flat_map(|count| count.unwrap_or_default().to_le_bytes()).collect();
        let column = Column { validity: Vec::new(), offsets: Vec::new(), values };
        Ok(Batch { rows: counts.len() as u32, columns: vec![column] })
    }
}

impl keyed::Guest for Hostile {
    fn open(
        operator: String,
        config: String,
        _: Vec<Field>,
        input: Vec<Field>,
    ) -> Result<Vec<Field>, String> {
        open(operator, &config, input)?;
        Ok(vec![count_field()])
    }

    fn process(clock: Clock, turn: keyed::Turn) -> Result<keyed::Outcome, String> {
        let mut counts = read(&turn.states);
        let due = turn.due.iter().map(|due| counts[due.key as usize].take().unwrap_or_default());
        let values: Vec<u8> = due.flat_map(i64::to_le_bytes).collect();
        let count = Column { validity: Vec::new(), offsets: Vec::new(), values };
        let output = Batch { rows: turn.due.len() as u32, columns: vec![count] };
        add(&mut counts, &turn.row_keys, 1);
        let set = (0..counts.len() as u32).filter(|key| counts[*key as usize].is_some());
        let mut timers: Vec<_> = set.map(|key| keyed::Timer { key, at: clock.now + TIMER_US }).collect();
        let (mut states, mut rejected) = (write(&counts), Vec::new());
        let operator = fault(&turn.rows);
        misbehave(&operator, &mut states)?;
        match &*operator {
            "key-with-a-foreign-timer" => timers.push(keyed::Timer { key: turn.keys.rows, at: clock.now }),
            "key-rejects-a-foreign-row" => {
                let reason = "it is not there".to_owned();
                rejected.push(keyed::Rejection { row: turn.rows.rows, reason });
            }
            _ => {}
        }
        Ok(keyed::Outcome { output, states, timers, rejected })
    }

    fn migrate(_: String, states: Column) -> Result<Column, String> {
        Ok(states)
    }
}

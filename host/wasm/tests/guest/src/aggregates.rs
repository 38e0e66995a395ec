//! Aggregates: `sum` behaves, `bad-aggregate` does what its config says. A state is a sum and a count.

use std::hint::black_box;

use crate::exports::millstream::plugin::aggregate::{Batch, Column, Field, Guest};
use crate::millstream::plugin::host;
use crate::{CONFIG, Plugin, field, forever, offsets};

/// The sum and the count of each state.
fn read(states: &Column) -> Vec<Option<[i64; 2]>> {
    let ends: Vec<usize> = numbers::<4>(&states.offsets).map(|end| u32::from_le_bytes(end) as usize).collect();
    let values = ends.windows(2).map(|ends| {
        let mut parts = numbers::<8>(&states.values[ends[0]..ends[1]]).map(i64::from_le_bytes);
        Some([parts.next()?, parts.next()?])
    });
    values.collect()
}

pub(crate) fn numbers<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

fn write(states: &[Option<[i64; 2]>]) -> Column {
    let mut column = Column { validity: vec![0; states.len().div_ceil(8)], offsets: vec![0; 4], values: vec![] };
    for (i, state) in states.iter().enumerate() {
        if let Some(state) = state {
            column.validity[i / 8] |= 1 << (i % 8);
            state.iter().for_each(|part| column.values.extend(part.to_le_bytes()));
        }
        column.offsets.extend((column.values.len() as u32).to_le_bytes());
    }
    column
}

fn add(states: Column, groups: &[u8], input: &Batch) -> Column {
    let mut states = read(&states);
    let rows = numbers::<8>(&input.columns[0].values).map(i64::from_le_bytes);
    for (group, value) in numbers::<4>(groups).map(u32::from_le_bytes).zip(rows) {
        let [sum, count] = states[group as usize].get_or_insert_default();
        (*sum, *count) = (*sum + value, *count + 1);
    }
    write(&states)
}

impl Guest for Plugin {
    fn open(operator: String, config: String, input: Vec<Field>) -> Result<Vec<Field>, String> {
        if input.first().is_none_or(|field| field.data_type != "l") {
            return Err("the first column must be int64".into());
        }
        let config = if operator == "sum" { "" } else { config.trim_matches('"') };
        CONFIG.set(config.to_owned().leak());
        Ok(vec![field("sum", "l", true), field("count", "l", false)])
    }

    fn accumulate(states: Column, groups: Vec<u8>, input: Batch) -> Result<Column, String> {
        let poison = numbers::<8>(&input.columns[0].values).any(|value| i64::from_le_bytes(value) == 13);
        let mut answer = add(states, &groups, &input);
        host::count("rows", u64::from(input.rows));
        match CONFIG.get() {
            "few" => answer.offsets.truncate(answer.offsets.len() - 4),
            "many" => answer.offsets.extend_from_within(answer.offsets.len() - 4..),
            "fall" => answer.offsets = offsets(&[0, 16, 0]),
            "beyond" => answer.offsets = offsets(&[0, 16, 64]),
            "start" => answer.offsets = offsets(&[4, 16, 32]),
            "validity" => answer.validity = vec![0; 3],
            "large" => {
                answer.offsets = offsets(&[0, 16, 2_000]);
                answer.values.resize(2_000, 0);
            }
            "huge" => {
                answer.offsets = offsets(&[0, 16, 8 << 20]);
                answer.values.resize(8 << 20, 0);
            }
            "loop" => forever(),
            "trap" => panic!("the aggregate gives up on purpose"),
            "answer" => return Err("these rows are refused".into()),
            "grow" => black_box(vec![1u8; 512 << 20]).truncate(1),
            "poison" if poison => panic!("thirteen"),
            "chance" => {
                let state = std::collections::hash_map::RandomState::new();
                let chance = std::hash::BuildHasher::hash_one(&state, 1u8) as i64;
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                return Ok(write(&[Some([chance, now.expect("after 1970").as_micros() as i64])]));
            }
            _ => {}
        }
        Ok(answer)
    }

    fn retract(left: Column, right: Column) -> Result<Column, String> {
        if CONFIG.get() != "" {
            return Err("it does not retract".into());
        }
        let pairs = read(&left).into_iter().zip(read(&right)).map(|pair| match pair {
            (Some(left), Some(right)) => Some([left[0] - right[0], left[1] - right[1]]),
            (left, _) => left,
        });
        Ok(write(&pairs.collect::<Vec<_>>()))
    }

    fn merge(left: Column, right: Column) -> Result<Column, String> {
        let pairs = read(&left).into_iter().zip(read(&right)).map(|pair| match pair {
            (Some(left), Some(right)) => Some([left[0] + right[0], left[1] + right[1]]),
            (left, right) => left.or(right),
        });
        let mut merged: Vec<_> = pairs.collect();
        if CONFIG.get() == "merge-few" {
            merged.pop();
        }
        Ok(write(&merged))
    }

    fn finish(states: Column) -> Result<Batch, String> {
        let states = read(&states);
        let column = |part: usize| Column {
            validity: vec![],
            offsets: vec![],
            values: states.iter().flat_map(|state| state.unwrap_or_default()[part].to_le_bytes()).collect(),
        };
        let (mut sum, mut rows) = (column(0), states.len() as u32);
        sum.validity = write(&states).validity;
        match CONFIG.get() {
            "finish-more" => rows += 1,
            "finish-values" => sum.values.truncate(7),
            "finish-columns" => return Ok(Batch { rows, columns: vec![sum] }),
            _ => {}
        }
        Ok(Batch { rows, columns: vec![sum, column(1)] })
    }
}

//! Operators that break, never end, or take too much.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millstream_plugin::bindings::data::{Batch, Clock, Column, Field};
use millstream_plugin::bindings::host;
use millstream_plugin::bindings::transform::exports::millstream::plugin::transform::Output;

const FLOOD: u64 = 100_000;
const HUGE_BYTES: usize = 8 << 20;
const OUTPUT_BYTES: usize = 64 << 20;

pub(crate) fn identity(_: Clock, batch: Batch, _: &[Field]) -> Result<Output, String> {
    Ok(Output { batch, rejected: Vec::new() })
}

/// Five int64 columns; the same batch must give the same bytes whenever it is run.
pub(crate) fn clock_and_random(clock: Clock, batch: Batch, _: &[Field]) -> Result<Output, String> {
    #[allow(clippy::disallowed_methods, reason = "it is to show which time a guest can see")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let (time, rows) = (since.as_micros() as i64, batch.rows as usize);
    let column = |value: &mut dyn FnMut(usize) -> i64| Column {
        validity: Vec::new(),
        offsets: Vec::new(),
        values: (0..rows).flat_map(|row| value(row).to_le_bytes()).collect(),
    };
    let random = RandomState::new();
    let mut watermark = column(&mut |_| clock.watermark.unwrap_or_default());
    if clock.watermark.is_none() {
        watermark.validity = vec![0; rows.div_ceil(8)];
    }
    let columns = vec![
        column(&mut |_| time),
        column(&mut |row| random.hash_one(row) as i64),
        column(&mut |_| clock.batch_id as i64),
        column(&mut |_| clock.now),
        watermark,
    ];
    identity(clock, Batch { rows: batch.rows, columns }, &[])
}

pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub(crate) fn endless_loop(_: Clock, _: Batch, _: &[Field]) -> Result<Output, String> {
    spin()
}

pub(crate) fn trap(_: Clock, batch: Batch, _: &[Field]) -> Result<Output, String> {
    panic!("broke on purpose in a batch of {} rows", batch.rows)
}

/// Nothing is kept in linear memory, so that it is the host's stack that ends.
pub(crate) fn overflow(clock: Clock, batch: Batch, fields: &[Field]) -> Result<Output, String> {
    #[inline(never)]
    #[allow(unconditional_recursion, reason = "that is the fault")]
    fn deeper(depth: u64) -> u64 {
        deeper(depth + 1).wrapping_mul(31) ^ depth
    }
    black_box(deeper(batch.rows.into()));
    identity(clock, batch, fields)
}

/// The guest's own stack in linear memory ends first.
pub(crate) fn overflow_in_memory(clock: Clock, batch: Batch, fields: &[Field]) -> Result<Output, String> {
    #[allow(unconditional_recursion, reason = "that is the fault")]
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        deeper(frame[63] + 1) + frame[0]
    }
    black_box(deeper(batch.rows.into()));
    identity(clock, batch, fields)
}

pub(crate) fn allocate(_: Clock, _: Batch, _: &[Field]) -> Result<Output, String> {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
        black_box(&kept);
    }
}

pub(crate) fn exit(_: Clock, _: Batch, _: &[Field]) -> Result<Output, String> {
    std::process::exit(0)
}

pub(crate) fn sleep(clock: Clock, batch: Batch, fields: &[Field]) -> Result<Output, String> {
    std::thread::sleep(Duration::from_secs(3600));
    identity(clock, batch, fields)
}

pub(crate) fn flood_log(clock: Clock, batch: Batch, fields: &[Field]) -> Result<Output, String> {
    (0..FLOOD).for_each(|line| {
        host::log(host::Level::Info, &format!("line {line} of a flood\nwith a second line"))
    });
    host::log(host::Level::Error, &"x".repeat(HUGE_BYTES));
    identity(clock, batch, fields)
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "that is the fault")]
pub(crate) fn flood_stdout(clock: Clock, batch: Batch, fields: &[Field]) -> Result<Output, String> {
    for line in 0..FLOOD {
        println!("line {line} of a flood on stdout");
        eprintln!("line {line} of a flood on stderr");
    }
    identity(clock, batch, fields)
}

pub(crate) fn flood_counters(clock: Clock, batch: Batch, fields: &[Field]) -> Result<Output, String> {
    for number in 0..FLOOD {
        host::count(&format!("counter_{number}"), u64::MAX);
        host::observe(&format!("distribution {number}\n{{}}"), f64::NAN);
    }
    identity(clock, batch, fields)
}

pub(crate) fn answer_error(_: Clock, batch: Batch, _: &[Field]) -> Result<Output, String> {
    Err(format!("refused on purpose: {} rows", batch.rows))
}

pub(crate) fn answer_huge_error(_: Clock, _: Batch, _: &[Field]) -> Result<Output, String> {
    Err("x".repeat(HUGE_BYTES))
}

/// The last text of the first text column grows by 64 MiB.
pub(crate) fn huge_output(clock: Clock, mut batch: Batch, fields: &[Field]) -> Result<Output, String> {
    if let Some(place) = fields.iter().position(|field| field.data_type == "u") {
        let column = &mut batch.columns[place];
        column.values.resize(column.values.len() + OUTPUT_BYTES, b'x');
        if let Some(last) = column.offsets.last_chunk_mut() {
            *last = (column.values.len() as u32).to_le_bytes();
        }
    }
    identity(clock, batch, fields)
}

//! The same call gives the same bytes, whatever the instance did before.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use millstream_wasm::{CallClock, Output};

use crate::support::{CLOCK, numbers, transform};

fn value(output: &Output, column: usize) -> i64 {
    output.rows.column(column).as_primitive::<Int64Type>().value(0)
}

fn told(clock: CallClock) -> Output {
    let input = numbers(&[1]);
    transform("clock", "", &input.schema()).process(&clock, &input).unwrap()
}

#[test]
fn guest_sees_the_clock_of_the_batch() {
    let output = told(CLOCK);
    assert_eq!(value(&output, 0), CLOCK.now_us);
    assert_eq!(value(&output, 5), 7);
    assert!(value(&output, 1) > 0);
    // It slept for a second, which took no time but is on its clock.
    assert!(value(&output, 2) >= 1_000_000_000);
}

#[test]
fn time_before_1970_is_1970_for_wasi() {
    assert_eq!(value(&told(CallClock { now_us: -5, ..CLOCK }), 0), 0);
}

#[test]
fn same_call_on_two_instances_is_the_same() {
    assert_eq!(told(CLOCK), told(CLOCK));
}

#[test]
fn chance_differs_by_seed_batch_and_chunk() {
    let outputs = [
        CLOCK,
        CallClock { seed: 43, ..CLOCK },
        CallClock { batch_id: 8, ..CLOCK },
        CallClock { chunk: 1, ..CLOCK },
    ]
    .map(|clock| value(&told(clock), 3));
    for (i, random) in outputs.iter().enumerate() {
        assert!(!outputs[..i].contains(random), "{outputs:?}");
    }
}

#[test]
fn fresh_instance_remembers_nothing() {
    let input = numbers(&[1]);
    let mut count = transform("count", "", &input.schema());
    let calls: Vec<i64> = (0..3).map(|_| value(&count.process(&CLOCK, &input).unwrap(), 0)).collect();
    // An instance is kept as long as it behaves.
    assert_eq!(calls, [1, 2, 3]);
}

//! Guests that break, and what comes after.

use std::sync::Arc;

use millstream_wasm::{CallError, Fault, Level, Limits};

use crate::support::{self, CLOCK, Ear, brief, numbers, transform};

fn break_with(operator: &str) -> CallError {
    let input = numbers(&[1]);
    let mut transform = transform(operator, "", &input.schema());
    let first = transform.process(&CLOCK, &input).unwrap_err();
    // The transform lives on: with a fresh instance it breaks the same way again.
    let second = transform.process(&CLOCK, &input).unwrap_err();
    assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&second), "{first} / {second}");
    first
}

#[test]
fn endless_loop_is_stopped_at_its_deadline() {
    let CallError::Broken(Fault::TimedOut { deadline_ms: 200, .. }) = break_with("loop") else { panic!() };
}

#[test]
fn endless_loop_in_open_is_stopped() {
    let limits = Limits { open_deadline_ms: 100, ..brief() };
    let error = support::open("open-loop", "", &numbers(&[]).schema(), Arc::default(), limits).err().unwrap();
    assert!(matches!(error, CallError::Broken(Fault::TimedOut { deadline_ms: 100, .. })), "{error}");
}

#[test]
fn panic_is_told_with_what_the_guest_wrote() {
    let CallError::Broken(Fault::Trapped { what, stdio }) = break_with("trap") else { panic!() };
    assert!(what.contains("unreachable"), "{what}");
    assert!(stdio.contains("the guest gives up on purpose"), "{stdio}");
}

#[test]
fn only_the_end_of_much_output_is_kept() {
    let CallError::Broken(Fault::Trapped { stdio, .. }) = break_with("print") else { panic!() };
    assert_eq!(stdio.len(), Limits::default().stdio_bytes_max);
    assert!(stdio.contains("step 4999") && stdio.contains("after much output"), "{stdio}");
}

#[test]
fn endless_recursion_is_a_stack_overflow() {
    // One fills the stack in the guest's memory first, the other the host's.
    for operator in ["recurse", "recurse-flat"] {
        let error = break_with(operator);
        assert!(matches!(error, CallError::Broken(Fault::StackOverflow { .. })), "{operator}: {error}");
    }
}

#[test]
fn memory_over_its_limit_is_refused() {
    let input = numbers(&[1]);
    let limits = Limits { memory_bytes_max: 32 << 20, ..Limits::default() };
    let mut grow = support::open("grow", "", &input.schema(), Arc::<Ear>::default(), limits).unwrap();
    let error = grow.process(&CLOCK, &input).unwrap_err();
    let CallError::Broken(Fault::OutOfMemory { limit_bytes, stdio }) = &error else { panic!("{error:?}") };
    assert_eq!((*limit_bytes, stdio.as_str()), (32 << 20, "more and more\n"));
    let words = error.to_string();
    assert!(words.contains("32 MiB") && words.ends_with("it wrote: more and more"), "{words}");
}

#[test]
fn exit_is_a_fault() {
    let CallError::Broken(Fault::Trapped { what, .. }) = break_with("exit") else { panic!() };
    assert!(what.contains("exit"), "{what}");
}

#[test]
fn answered_error_leaves_the_instance_alive() {
    let input = numbers(&[1]);
    let error = transform("answer", "", &input.schema()).process(&CLOCK, &input).unwrap_err();
    assert_eq!(error, CallError::Answered("this batch is refused".into()));
    let error = support::open("answer", "open", &input.schema(), Arc::default(), brief()).err().unwrap();
    assert_eq!(error, CallError::Answered("this config is refused".into()));
}

#[test]
fn rows_around_a_poison_row_pass_after_the_fault() {
    let schema = numbers(&[]).schema();
    let mut poison = transform("poison", "", &schema);
    let error = poison.process(&CLOCK, &numbers(&[1, 13, 2])).unwrap_err();
    assert!(matches!(error, CallError::Broken(Fault::Trapped { .. })), "{error}");
    assert_eq!(poison.process(&CLOCK, &numbers(&[1])).unwrap().rows, numbers(&[1]));
    assert!(poison.process(&CLOCK, &numbers(&[13])).is_err());
    assert_eq!(poison.process(&CLOCK, &numbers(&[2])).unwrap().rows, numbers(&[2]));
}

#[test]
fn sleeping_takes_no_time_of_the_host() {
    let input = numbers(&[1]);
    // An hour of the guest's within 200 ms of ours.
    assert_eq!(transform("sleep", "", &input.schema()).process(&CLOCK, &input).unwrap().rows, input);
}

#[test]
fn bloated_instance_is_replaced_before_it_meets_its_limit() {
    let input = numbers(&[1]);
    let limits = Limits { memory_bytes_max: 64 << 20, memory_bytes_recycle: 32 << 20, ..brief() };
    let mut bloat = support::open("bloat", "", &input.schema(), Arc::<Ear>::default(), limits).unwrap();
    for _ in 0..50 {
        bloat.process(&CLOCK, &input).unwrap();
    }
}

#[test]
fn log_flood_is_cut_and_counted() {
    let input = numbers(&[1]);
    let ear = Arc::new(Ear::default());
    let limits =
        Limits { log_lines_max: 10, log_line_bytes_max: 101, deadline_ms: 20_000, ..Limits::default() };
    let mut flood = support::open("flood", "", &input.schema(), Arc::clone(&ear), limits).unwrap();
    flood.process(&CLOCK, &input).unwrap();
    let lines = ear.lines.lock().unwrap();
    assert_eq!(lines.len(), 10);
    assert!(lines.iter().all(|(level, line)| *level == Level::Info && (100..=101).contains(&line.len())));
    assert_eq!(*ear.dropped.lock().unwrap(), (4_990, 0));
}

#[test]
fn metrics_are_bounded_in_number_and_names() {
    let input = numbers(&[1]);
    let ear = Arc::new(Ear::default());
    let mut metrics = support::open("metrics", "", &input.schema(), Arc::clone(&ear), brief()).unwrap();
    metrics.process(&CLOCK, &input).unwrap();
    assert_eq!(ear.counts.lock().unwrap()[0], ("good".into(), 2));
    assert_eq!(*ear.values.lock().unwrap(), [("size".to_owned(), 1.5)]);
    let names = Limits::default().metric_names_max;
    assert_eq!(ear.counts.lock().unwrap().len(), names - 1);
    assert_eq!(*ear.dropped.lock().unwrap(), (0, 2_001 - (names as u64 - 2)));
}

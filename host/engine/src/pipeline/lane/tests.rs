//! Lanes over sources and steps that a test controls.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use arrow_array::Int64Array;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use crossbeam_channel::unbounded;
use serde_json::json;

use super::*;
use crate::checkpoint::TimedOut;
use crate::clock::SystemClock;
use crate::pipeline::lanes::{Lanes, answer_queue};
use crate::source::{ChunkStream, Split};
use crate::steps::{Applied, RejectedRow, StepError};

const PATIENCE: Duration = Duration::from_secs(60);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

fn rows(numbers: &[i64]) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers.to_vec()))]).unwrap()
}

/// A split is a list of numbers, read as one chunk. Which splits were opened can be waited for.
#[derive(Default)]
struct Numbers {
    opened: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

impl Numbers {
    fn wait_for(&self, split: &str) -> bool {
        let opened = self.opened.lock().unwrap();
        let waited = self.changed.wait_timeout_while(opened, PATIENCE, |opened| !opened.contains(split));
        !waited.unwrap().1.timed_out()
    }
}

struct OneChunk {
    numbers: Option<Vec<i64>>,
}

impl SplitReader for Numbers {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    /// A split whose text names another one is opened only after that one.
    fn open(&self, split: &Split) -> Result<Box<dyn ChunkStream>, SourceError> {
        let name = split.0["name"].as_str().unwrap_or_default().to_owned();
        self.opened.lock().unwrap().insert(name);
        self.changed.notify_all();
        if let Some(other) = split.0["after"].as_str()
            && !self.wait_for(other)
        {
            return Err(SourceError::Permanent(format!("nobody opened {other}")));
        }
        let numbers = split.0["numbers"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
        Ok(Box::new(OneChunk { numbers: Some(numbers) }))
    }

    fn partition(&self, split: &Split) -> Option<String> {
        split.0["partition"].as_str().map(str::to_owned)
    }

    fn decode(&self, _: &[&[u8]]) -> Result<Chunk, SourceError> {
        unreachable!("nothing is replayed here")
    }
}

impl ChunkStream for OneChunk {
    fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        Ok(self.numbers.take().map(|numbers| Chunk { rows: rows(&numbers), bad: Vec::new() }))
    }
}

/// Says of one number that it took too long.
struct Slow(Option<i64>);

impl Step for Slow {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn apply(&mut self, _: &BatchCtx, input: &RecordBatch) -> Result<Applied, StepError> {
        let numbers = input.column(0).as_primitive::<Int64Type>();
        let slow = numbers.values().iter().position(|n| Some(*n) == self.0);
        let kept: Vec<i64> = numbers.values().iter().copied().filter(|n| Some(*n) != self.0).collect();
        let rejected = slow.map(|row| RejectedRow {
            row: u32::try_from(row).unwrap(),
            kind: DeadLetterKind::TimedOut,
            reason: "took longer than 1 s".to_owned(),
        });
        Ok(Applied { rows: rows(&kept), rejected: rejected.into_iter().collect() })
    }
}

/// Source, a step that finds `slow` too slow, sink.
fn lane(number: u32, lanes: u32, reader: &Arc<Numbers>, slow: Option<i64>, answers: Sender<Answer>) -> Lane {
    let entry = |name: &str, outputs: &[usize], what: LaneWhat| LaneEntry {
        name: name.into(),
        outputs: vec![outputs.iter().map(|output| (*output, 0)).collect()],
        inputs: vec![schema()],
        on_fault: FaultPolicy::DeadLetter,
        late: LateRows::DeadLetters,
        what,
    };
    let reader: Arc<dyn SplitReader> = Arc::<Numbers>::clone(reader);
    Lane {
        number,
        lanes,
        entries: vec![
            entry("in", &[1], LaneWhat::Source { reader, time: None }),
            entry("slow", &[2], LaneWhat::Step(Box::new(Slow(slow)))),
            entry("out", &[], LaneWhat::Sink),
        ],
        taps: Arc::new(Taps::new(3)),
        clock: SystemClock::shared(),
        answers,
        report: Report::default(),
        run: None,
        ahead: None,
    }
}

fn run(batch: u64, splits: &[serde_json::Value], next: Option<&[serde_json::Value]>) -> Run {
    let splits_of = |splits: &[serde_json::Value]| splits.iter().map(|s| (0, Split(s.clone()))).collect();
    Run {
        ctx: BatchCtx { batch: BatchId(batch), now_us: 0, watermark_us: None, seed: 1, order: 0 },
        watermarks_us: vec![None; 3],
        splits: splits_of(splits),
        next_splits: next.map(splits_of),
        replays: Vec::new(),
        verdicts: HashMap::new(),
        settled: false,
    }
}

/// What one lane answers to one run and a question for its report.
fn answers_to(run: Run, slow: Option<i64>) -> Vec<Answer> {
    let (sender, answers) = answer_queue();
    let (jobs, job_receiver) = unbounded();
    jobs.send(Job::Run(Arc::new(run))).unwrap();
    jobs.send(Job::Report).unwrap();
    drop(jobs);
    lane(0, 1, &Arc::default(), slow, sender).work(&job_receiver);
    answers.iter().collect()
}

#[test]
fn the_greatest_time_of_each_partition_is_reported() {
    let times = |times: &[i64]| {
        let times = arrow_array::TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        let field = Field::new("at", times.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(times)]).unwrap()
    };
    let (sender, _answers) = answer_queue();
    let mut lane = lane(0, 1, &Arc::default(), None, sender);
    lane.report.counts = vec![Counts::default(); 3];
    lane.entries[0].outputs = vec![Vec::new()];
    if let LaneWhat::Source { time, .. } = &mut lane.entries[0].what {
        *time = Some(SourceTime { column: 0, max_future_us: None });
    }
    let split = |partition: &str| json!({ "name": "", "numbers": [], "partition": partition });
    let run = run(1, &[split("a"), split("b"), split("a"), json!({ "name": "", "numbers": [] })], None);
    for (number, seen) in [[5, 7], [3, 1], [6, 2], [90, 80]].iter().enumerate() {
        let partition = lane.partition(&run, 0, number);
        let chunk = Chunk { rows: times(seen), bad: Vec::new() };
        assert!(lane.take_chunk(&run.ctx, &run, 0, partition, chunk).is_ok());
    }
    let expected = [((0, "a".to_owned()), 7), ((0, "b".to_owned()), 3)];
    assert_eq!(lane.report.partitions_us.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(lane.report.counts[0].max_time_us, Some(90));
}

fn sunk(answers: &[Answer]) -> Vec<i64> {
    let rows = answers.iter().filter_map(|answer| match answer {
        Answer::Rows { rows, .. } => Some(rows.column(0).as_primitive::<Int64Type>().values().to_vec()),
        _ => None,
    });
    rows.flatten().collect()
}

fn report(answers: &[Answer]) -> &Report {
    let found = answers.iter().find_map(|answer| match answer {
        Answer::Report(report) => Some(report),
        _ => None,
    });
    found.expect("a report")
}

const SPLIT: &str = r#"{ "name": "a", "numbers": [12, 13, 14] }"#;

fn verdict() -> TimedOut {
    TimedOut { step: "slow".into(), row: r#"{"n":13}"#.into(), reason: "took longer than 1 s".into() }
}

#[test]
fn a_row_that_exceeds_its_time_is_a_dead_letter_and_a_verdict() {
    let answers = answers_to(run(1, &[serde_json::from_str(SPLIT).unwrap()], None), Some(13));
    assert_eq!(sunk(&answers), [12, 14]);
    assert_eq!(report(&answers).timed_out, [verdict()]);
    assert_eq!(report(&answers).letters.len(), 1);
}

#[test]
fn a_row_that_exceeded_its_time_is_left_out_when_the_batch_is_run_again() {
    let mut again = run(1, &[serde_json::from_str(SPLIT).unwrap()], None);
    again.settled = true;
    again.verdicts.entry(1).or_default().add(&verdict());
    // The machine is faster now: the row would pass.
    let answers = answers_to(again, None);
    assert_eq!(sunk(&answers), [12, 14]);
    let report = report(&answers);
    assert_eq!(report.timed_out, [], "nothing new");
    assert_eq!((report.letters.len(), report.letters[0].kind), (1, DeadLetterKind::TimedOut));
    assert_eq!((report.letters[0].reason.as_str(), report.counts[1].rows_in), ("took longer than 1 s", 3));
}

#[test]
fn a_row_that_passed_has_to_pass_again() {
    let mut again = run(7, &[serde_json::from_str(SPLIT).unwrap()], None);
    again.settled = true;
    let answers = answers_to(again, Some(13));
    let Some(Answer::Failed(failure)) = answers.last() else { panic!("the batch cannot go on") };
    assert!(
        failure.persistence == Persistence::Passing && failure.message.contains("batch 7 was run before"),
        "{}",
        failure.message
    );
}

#[test]
fn a_lane_that_waits_reads_what_the_next_batch_begins_with() {
    let reader = Arc::new(Numbers::default());
    let lanes = (0..2).map(|number| {
        let (sender, answers) = answer_queue();
        (lane(number, 2, &reader, None, sender), answers)
    });
    let lanes = Lanes::start("p", lanes.collect()).unwrap();
    // The first lane is done with the first batch only when the second one has begun with the next.
    let first =
        [json!({ "name": "a", "numbers": [1], "after": "d" }), json!({ "name": "b", "numbers": [2] })];
    let second = [json!({ "name": "c", "numbers": [3] }), json!({ "name": "d", "numbers": [4] })];
    let mut sunk = Vec::new();
    let mut take = |_: usize, rows: RecordBatch| -> Result<(), LaneFailure> {
        sunk.extend_from_slice(rows.column(0).as_primitive::<Int64Type>().values());
        Ok(())
    };
    lanes.run(&Arc::new(run(1, &first, Some(&second))), &mut take).unwrap();
    lanes.run(&Arc::new(run(2, &second, None)), &mut take).unwrap();
    // And one that nobody had planned while the one before ran.
    lanes.run(&Arc::new(run(3, &[json!({ "name": "e", "numbers": [5] })], None)), &mut take).unwrap();
    assert_eq!(sunk, [1, 2, 3, 4, 5]);
}

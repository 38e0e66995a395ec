//! A plugin whose operators do one thing each: behave, answer errors, break in every way the
//! runtime must survive, or return what no host may believe.

mod aggregates;
mod keyeds;

use std::cell::Cell;
use std::hint::black_box;

wit_bindgen::generate!({ path: "../../../../wit", world: "plugin" });

use exports::millstream::plugin::catalog::{self, Description, Kind, Operator};
use exports::millstream::plugin::transform::{self, Batch, Clock, Field, Output, Rejection};
use millstream::plugin::data::Column;
use millstream::plugin::host;

const OPERATORS: &[&str] = &[
    "identity",
    "invalid",
    "loop",
    "trap",
    "recurse",
    "grow",
    "flood",
    "clock",
    "exit",
    "print",
    "reject",
    "answer",
    "sleep",
    "recurse-flat",
    "huge",
    "bloat",
    "count",
    "open-loop",
    "open-differs",
    "metrics",
    "poison",
];

struct Plugin;
export!(Plugin);

impl catalog::Guest for Plugin {
    fn describe() -> Description {
        let operator = |(name, kind): (&str, Kind)| Operator {
            name: name.into(),
            kind,
            summary: format!("does {name}"),
            config_schema: "{\"type\":\"string\"}".into(),
            // For transforms too, which no host may believe.
            retracts: name != "bad-aggregate",
        };
        let transforms = OPERATORS.iter().map(|name| (*name, Kind::Transform));
        let aggregates = ["sum", "bad-aggregate"].map(|name| (name, Kind::Aggregate));
        let keyeds = ["counter", "bad-keyed"].map(|name| (name, Kind::Keyed));
        Description {
            name: "boundary-guest".into(),
            version: "1.2.3".into(),
            summary: "for tests".into(),
            operators: transforms.chain(aggregates).chain(keyeds).map(operator).collect(),
        }
    }
}

thread_local! {
    static OPERATOR: Cell<&'static str> = const { Cell::new("") };
    static CONFIG: Cell<&'static str> = const { Cell::new("") };
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static KEPT: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn field(name: &str, data_type: &str, nullable: bool) -> Field {
    Field { name: name.into(), data_type: data_type.into(), nullable }
}

impl transform::Guest for Plugin {
    fn open(operator: String, config: String, input: Vec<Field>) -> Result<Vec<Field>, String> {
        let config = config.trim_matches('"').to_string();
        OPERATOR.set(operator.clone().leak());
        CONFIG.set(config.clone().leak());
        match operator.as_str() {
            "invalid" => invalid_schema(&config),
            "clock" => Ok(["wall", "monotonic", "again", "random", "insecure", "batch"]
                .map(|name| field(name, "l", false))
                .into()),
            "count" => Ok(vec![field("calls", "l", false)]),
            "open-loop" => forever(),
            "answer" if config == "open" => Err("this config is refused".into()),
            _ => Ok(input),
        }
    }

    fn process(clock: Clock, input: Batch) -> Result<Output, String> {
        CALLS.set(CALLS.get() + 1);
        match OPERATOR.get() {
            "invalid" => return Ok(invalid(CONFIG.get())),
            "loop" => forever(),
            "trap" => panic!("the guest gives up on purpose"),
            "recurse" => {
                black_box(deeper(black_box(1)));
            }
            "recurse-flat" => {
                black_box(deeper_flat(black_box(1)));
            }
            "grow" => {
                eprintln!("more and more");
                let mut all = Vec::new();
                loop {
                    all.push(black_box(vec![1u8; 1 << 20]));
                }
            }
            "flood" => (0..5_000)
                .for_each(|i| host::log(host::Level::Info, &format!("line {i} {}", "é".repeat(5_000)))),
            "clock" => return Ok(told(&clock)),
            "exit" => std::process::exit(3),
            "print" => {
                (0..5_000).for_each(|i| eprintln!("step {i}"));
                panic!("after much output");
            }
            "reject" => {
                let rows: Vec<u32> = CONFIG.get().split(',').map(|row| row.parse().expect("a row")).collect();
                let rejected = rows.iter().map(|&row| Rejection { row, reason: "x".repeat(5_000) }).collect();
                return Ok(Output { batch: input, rejected });
            }
            "answer" => return Err("this batch is refused".into()),
            "sleep" => std::thread::sleep(std::time::Duration::from_secs(3_600)),
            "huge" => {
                let column = Column { validity: vec![], offsets: vec![], values: vec![7; 4 << 20] };
                return Ok(Output {
                    batch: Batch { rows: 1 << 19, columns: vec![column] },
                    rejected: vec![],
                });
            }
            "bloat" => {
                let kept = vec![1u8; 8 << 20].leak();
                KEPT.set(KEPT.get() + kept.len());
            }
            "count" => {
                let values = CALLS.get().to_le_bytes().into();
                let column = Column { validity: vec![], offsets: vec![], values };
                return Ok(Output { batch: Batch { rows: 1, columns: vec![column] }, rejected: vec![] });
            }
            "metrics" => {
                host::count("good", 2);
                host::observe("size", 1.5);
                host::count("not a name", 1);
                (0..2_000).for_each(|i| host::count(&format!("name-{i}"), 1));
            }
            // Traps when a row of the first column, int64, is 13.
            "poison" => {
                let bad = input.columns[0].values.chunks_exact(8).any(|value| value == 13i64.to_le_bytes());
                assert!(!bad, "thirteen");
            }
            _ => {}
        }
        Ok(Output { batch: input, rejected: vec![] })
    }
}

pub(crate) fn forever() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n + 1);
    }
}

#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    let frame = black_box([n; 64]);
    black_box(deeper(n + 1)) + frame[(n % 64) as usize]
}

/// Without a frame in linear memory: fills the host's stack and not the guest's own.
#[allow(unconditional_recursion)]
#[inline(never)]
fn deeper_flat(n: u64) -> u64 {
    if n == 0 { 0 } else { (deeper_flat(n.wrapping_mul(3) | 1) >> 1).wrapping_add(n) }
}

fn told(clock: &Clock) -> Output {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as i64;
    let start = Instant::now();
    let first = start.elapsed().as_nanos() as i64;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let again = start.elapsed().as_nanos() as i64;
    let mut random = [0; 8];
    // The standard library seeds its hash maps with chance: the only door to it without a crate.
    let state = std::collections::hash_map::RandomState::new();
    random.copy_from_slice(&std::hash::BuildHasher::hash_one(&state, 1u8).to_le_bytes());
    let insecure = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 2u8);
    let values = [wall, first, again, i64::from_le_bytes(random), insecure as i64, clock.batch_id as i64];
    let columns =
        values.map(|value| Column { validity: vec![], offsets: vec![], values: value.to_le_bytes().into() });
    Output { batch: Batch { rows: 1, columns: columns.into() }, rejected: vec![] }
}

fn invalid_schema(config: &str) -> Result<Vec<Field>, String> {
    Ok(match config {
        "schema-type" => vec![field("a", "+l", true)],
        "schema-twice" => vec![field("a", "l", true), field("a", "l", true)],
        "schema-unnamed" => vec![field("", "l", true)],
        _ => vec![field("n", "l", false), field("s", "u", true), field("b", "b", true)],
    })
}

pub(crate) fn offsets(offsets: &[i32]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect()
}

/// Three good rows of (int64, utf8, boolean) with one thing wrong.
fn invalid(config: &str) -> Output {
    let mut rows = 3;
    let mut n = Column { validity: vec![], offsets: vec![], values: vec![0; 24] };
    let mut s = Column { validity: vec![], offsets: offsets(&[0, 1, 3, 6]), values: b"abcdef".into() };
    let mut b = Column { validity: vec![], offsets: vec![], values: vec![0b101] };
    let mut extra = vec![];
    match config {
        "values-short" => n.values.truncate(23),
        "values-long" => n.values.push(0),
        "offsets-of-fixed" => n.offsets = offsets(&[0, 8, 16, 24]),
        "null-in-non-nullable" => n.validity = vec![0b101],
        "validity-short" => (rows, n.values, s.validity) = (9, vec![0; 72], vec![0b1]),
        "validity-long" => s.validity = vec![0b111, 0],
        "bits-short" => b.values = vec![],
        "bits-long" => b.values = vec![0, 0],
        "offsets-short" => s.offsets.truncate(12),
        "offsets-long" => s.offsets.extend([0; 4]),
        "offsets-odd" => s.offsets.truncate(15),
        "offsets-empty" => s.offsets.clear(),
        "offsets-start" => s.offsets = offsets(&[1, 2, 3, 6]),
        "offsets-fall" => s.offsets = offsets(&[0, 3, 1, 6]),
        "offsets-negative" => s.offsets = offsets(&[0, -1, 3, 6]),
        "offsets-beyond" => s.offsets = offsets(&[0, 1, 3, 7]),
        "offsets-far" => s.offsets = offsets(&[0, 1, 3, i32::MAX]),
        "utf8" => s.values = b"ab\xffdef".into(),
        "utf8-cut" => s.values = "ééab".into(),
        "columns-more" => extra.push(Column { validity: vec![], offsets: vec![], values: vec![] }),
        "rows-more" => rows = 4,
        "rows-fewer" => rows = 2,
        "rows-max" => rows = u32::MAX,
        // Not wrong: bytes that no offset reaches are not kept.
        "values-beyond" => s.values.extend(b"\xff\xff"),
        _ => {}
    }
    let mut columns = vec![n, s, b];
    columns.extend(extra);
    if config == "columns-fewer" {
        columns.pop();
    }
    Output { batch: Batch { rows, columns }, rejected: vec![] }
}

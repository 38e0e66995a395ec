//! A plugin of operators that misbehave, one a fault, for tests of the host. It speaks the contract's
//! own types, since the kit would not let it lie. Natively it is empty.

#![cfg(target_family = "wasm")]

mod faults;
mod lies;
mod stateful;

use std::cell::RefCell;

use millstream_plugin::bindings;
use millstream_plugin::bindings::catalog;
use millstream_plugin::bindings::data::{Batch, Clock, Field};
use millstream_plugin::bindings::transform::exports::millstream::plugin::transform;
use serde::Deserialize;

/// What an operator does to a batch that holds the trigger.
type Misbehave = fn(Clock, Batch, &[Field]) -> Result<transform::Output, String>;

/// Name, summary, deed. `open` gives the input schema unless [`output_schema`] says otherwise.
const OPERATORS: &[(&str, &str, Misbehave)] = &[
    ("identity", "Returns its input.", faults::identity),
    (
        "clock-and-random",
        "Shows what it can see of time and chance, whatever the trigger.",
        faults::clock_and_random,
    ),
    ("loop", "Never returns.", faults::endless_loop),
    ("trap", "Panics.", faults::trap),
    ("overflow", "Recurses without end.", faults::overflow),
    ("overflow-in-memory", "Recurses without end, with large frames.", faults::overflow_in_memory),
    ("allocate", "Allocates without end.", faults::allocate),
    ("exit", "Leaves the process.", faults::exit),
    ("sleep", "Sleeps for an hour inside the host.", faults::sleep),
    ("flood-log", "Logs 100,000 lines, then one of 8 MiB.", faults::flood_log),
    ("flood-stdout", "Prints 100,000 lines to stdout and to stderr.", faults::flood_stdout),
    ("flood-counters", "Counts under 100,000 names.", faults::flood_counters),
    ("answer-error", "Refuses the batch, in words.", faults::answer_error),
    ("answer-huge-error", "Refuses the batch, in 8 MiB.", faults::answer_huge_error),
    ("huge-output", "Makes one text 64 MiB longer.", faults::huge_output),
    ("open-error", "Refuses to be opened.", faults::identity),
    ("open-trap", "Panics when opened.", faults::identity),
    ("open-loop", "Never finishes opening.", faults::identity),
    ("open-unknown-type", "Declares a column of no known type.", faults::identity),
    ("open-duplicate-column", "Declares its columns twice.", faults::identity),
    ("falling-offsets", "Answers with offsets that fall.", lies::falling_offsets),
    ("offsets-past-end", "Answers with an offset behind the values.", lies::offsets_past_end),
    ("short-offsets", "Answers with one offset too few.", lies::short_offsets),
    ("invalid-utf8", "Answers with bytes that are no text.", lies::invalid_utf8),
    ("cut-character", "Answers with text cut within a character.", lies::cut_character),
    ("short-values", "Answers with half a value too few.", lies::short_values),
    ("short-validity", "Answers with 9 rows and 8 bits of validity.", lies::short_validity),
    ("null-in-required", "Answers with nulls where it declared none.", lies::null_in_required),
    ("wrong-row-count", "Answers with one row more than its columns have.", lies::wrong_row_count),
    ("wrong-schema", "Answers with one column too few.", lies::wrong_schema),
    ("reject-row-out-of-range", "Rejects a row that is not there.", lies::reject_row_out_of_range),
    ("reject-twice", "Rejects its first row twice.", lies::reject_twice),
];

const CONFIG_SCHEMA: &str = r#"{
    "type": "object",
    "properties": { "when": { "type": "string", "description": "Misbehave only when a row's first text column is this." } },
    "additionalProperties": false
}"#;

#[derive(Deserialize)]
struct Config {
    when: Option<String>,
}

struct Opened {
    misbehave: Misbehave,
    when: Option<String>,
    input: Vec<Field>,
}

thread_local! {
    static OPENED: RefCell<Option<Opened>> = const { RefCell::new(None) };
}

struct Hostile;

impl catalog::Guest for Hostile {
    fn describe() -> catalog::Description {
        let transforms = OPERATORS.iter().map(|(name, summary, _)| (name, summary, catalog::Kind::Transform));
        let aggregates =
            stateful::AGGREGATES.iter().map(|(name, summary)| (name, summary, catalog::Kind::Aggregate));
        let keyed = stateful::KEYED.iter().map(|(name, summary)| (name, summary, catalog::Kind::Keyed));
        let operators =
            transforms.chain(aggregates).chain(keyed).map(|(name, summary, kind)| catalog::Operator {
                name: (*name).to_owned(),
                kind,
                summary: (*summary).to_owned(),
                config_schema: CONFIG_SCHEMA.to_owned(),
                retracts: name.starts_with("count-retracts"),
            });
        catalog::Description {
            name: "hostile".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Misbehaves, for tests of the host.".to_owned(),
            operators: operators.collect(),
        }
    }
}

impl transform::Guest for Hostile {
    fn open(operator: String, config: String, input: Vec<Field>) -> Result<Vec<Field>, String> {
        let (_, _, misbehave) =
            OPERATORS.iter().find(|(name, _, _)| *name == operator).ok_or("there is no such operator")?;
        let config: Config = serde_json::from_str(&config).map_err(|error| error.to_string())?;
        let output = output_schema(&operator, &input)?;
        // Its schema is not the input's, so that it cannot be an identity without its trigger.
        let when = config.when.filter(|_| operator != "clock-and-random");
        OPENED.set(Some(Opened { misbehave: *misbehave, when, input }));
        Ok(output)
    }

    fn process(clock: Clock, input: Batch) -> Result<transform::Output, String> {
        OPENED.with_borrow(|opened| {
            let opened = opened.as_ref().ok_or("`process` was called before `open`")?;
            let triggered = opened.when.as_deref().is_none_or(|when| holds(&input, &opened.input, when));
            let act = if triggered { opened.misbehave } else { faults::identity };
            act(clock, input, &opened.input)
        })
    }
}

/// What `open` answers, or does instead.
fn output_schema(operator: &str, input: &[Field]) -> Result<Vec<Field>, String> {
    let field = |name: &str, data_type: &str| Field {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        nullable: name == "watermark",
    };
    Ok(match operator {
        "clock-and-random" => {
            ["system_time", "random", "batch_id", "now", "watermark"].map(|name| field(name, "l")).to_vec()
        }
        "null-in-required" => input.iter().map(|one| Field { nullable: false, ..one.clone() }).collect(),
        "open-error" => return Err("config.when: this operator refuses every config".to_owned()),
        "open-trap" => panic!("opening failed on purpose"),
        "open-loop" => faults::spin(),
        "open-unknown-type" => vec![field("x", "vendor:quaternion")],
        "open-duplicate-column" => [input, input].concat(),
        _ => input.to_vec(),
    })
}

/// Whether the first text column has a row that is `when`.
fn holds(batch: &Batch, fields: &[Field], when: &str) -> bool {
    let Some(place) = fields.iter().position(|field| field.data_type == "u") else { return false };
    let column = &batch.columns[place];
    let offsets: Vec<usize> =
        column.offsets.as_chunks::<4>().0.iter().map(|offset| u32::from_le_bytes(*offset) as usize).collect();
    offsets.windows(2).any(|ends| &column.values[ends[0]..ends[1]] == when.as_bytes())
}

#[allow(unsafe_code, reason = "generated entry points lift and lower by pointers")]
const _: () = {
    bindings::described::export_described_plugin!(Hostile with_types_in bindings::described);
    bindings::transform::export_transform_operators!(Hostile with_types_in bindings::transform);
    bindings::aggregate::export_aggregate_operators!(Hostile with_types_in bindings::aggregate);
    bindings::keyed::export_keyed_operators!(Hostile with_types_in bindings::keyed);
};

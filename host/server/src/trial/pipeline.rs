//! The pipeline that tries an operator: the spec that the engine gets.

use millstream_engine::pipeline::{PipelineSpec, SpecError, WindowSpec};
use millstream_wasm::{Kind, Operator};
use serde_json::{Map, Value, json};

use super::closing;
use super::spec::TrialSpec;

/// The step with the operator.
pub(super) const STEP: &str = "operator";
/// The source.
pub(super) const SOURCE: &str = "input";
/// The type of the source and the sink.
pub(super) const TYPE: &str = "trial";

/// Rows of a batch, where it is not said.
const BATCH_ROWS: u64 = 10_000;

/// A trial, decided in all its parts.
pub(super) struct Plan {
    pub(super) spec: PipelineSpec,
    /// At the end of the input comes the end of time: what waits for it comes out.
    pub(super) closes: bool,
}

/// The pipeline for an operator over rows with these columns.
///
/// # Errors
/// When the parts do not go together.
pub(super) fn plan(
    trial: &TrialSpec,
    operator: &Operator,
    schema: &Map<String, Value>,
) -> Result<Plan, Vec<SpecError>> {
    check(trial, operator).map_err(|error| vec![error])?;
    let waits = match operator.kind {
        Kind::Transform => false,
        Kind::Aggregate => trial.window.is_some(),
        Kind::Keyed => true,
    };
    let closes = waits && trial.time.is_some();
    let mut steps = Map::new();
    let mut from = SOURCE;
    if let Some(time) = trial.time.as_deref().filter(|_| closes) {
        from = "rows";
        steps.insert(from.to_owned(), json!({ "from": SOURCE, "filter": closing::filter(time) }));
    }
    steps.insert(STEP.to_owned(), step(trial, operator, from, schema));
    let mut source = json!({ "type": TYPE, "schema": schema });
    if let Some(time) = &trial.time {
        source["event_time"] = json!({ "column": time, "delay": trial.delay.unwrap_or_default() });
    }
    let document = json!({
        "name": "trial",
        // Nothing is kept, so nothing needs to be durable.
        "delivery": "at-most-once",
        "trigger": { "available-now": true, "max_rows": batch_rows(trial, operator) },
        "parallelism": 1,
        "sources": { SOURCE: source },
        "steps": steps,
        "sinks": { "output": { "from": STEP, "type": TYPE } },
    });
    let spec = PipelineSpec::from_json(document).map_err(|error| vec![error])?;
    Ok(Plan { spec, closes })
}

/// What a pipeline's spec has no words for, because there the step has a kind.
fn check(trial: &TrialSpec, operator: &Operator) -> Result<(), SpecError> {
    let (name, kind) = (&operator.name, operator.kind);
    if kind == Kind::Transform && !trial.key.is_empty() {
        return Err(SpecError::new("key", format!("`{name}` is a transform: it sees rows and no keys")));
    }
    let Some(window) = &trial.window else { return Ok(()) };
    if kind != Kind::Aggregate {
        return Err(SpecError::new(
            "window",
            format!("`{name}` is of kind {kind}: only aggregates have windows"),
        ));
    }
    if trial.time.is_none() && window.on.is_none() && window.count.is_none() {
        return Err(SpecError::new("time", "a window needs the column that says when a row happened"));
    }
    Ok(())
}

fn step(trial: &TrialSpec, operator: &Operator, from: &str, schema: &Map<String, Value>) -> Value {
    let reference = format!("plugin/{}", operator.name);
    let config = trial.config.clone().unwrap_or_else(|| json!({}));
    let mut called = Map::new();
    if let Some(deadline) = trial.deadline {
        called.insert("deadline".to_owned(), json!(deadline));
    }
    if let Some(memory) = trial.memory {
        called.insert("memory".to_owned(), json!(memory));
    }
    called.insert("config".to_owned(), config);
    match operator.kind {
        Kind::Transform => {
            called.extend([("from".to_owned(), json!(from)), ("wasm".to_owned(), json!(reference))]);
            Value::Object(called)
        }
        Kind::Keyed => {
            called.extend([
                ("from".to_owned(), json!(from)),
                ("state".to_owned(), json!(reference)),
                ("by".to_owned(), json!(trial.key)),
            ]);
            Value::Object(called)
        }
        Kind::Aggregate => {
            let columns: Vec<&String> = schema.keys().collect();
            called.extend([("wasm".to_owned(), json!(reference)), ("of".to_owned(), json!(columns))]);
            let mut body = json!({ "by": trial.key, "compute": { &operator.name: called } });
            let mut step = json!({ "from": from });
            if let Some(window) = &trial.window {
                body["window"] = json!(window);
                if window.count.is_none() {
                    step["emit"] = json!("final");
                }
            }
            step["aggregate"] = body;
            step
        }
    }
}

/// An aggregate over all rows tells each group's value after each batch; it is the last one that is asked for, so
/// there is one batch unless somebody wants to see more.
fn batch_rows(trial: &TrialSpec, operator: &Operator) -> u64 {
    let is_whole = operator.kind == Kind::Aggregate
        && trial.window.as_ref().is_none_or(|window: &WindowSpec| window.count.is_some());
    trial.batch_rows.unwrap_or(if is_whole { i64::MAX.cast_unsigned() } else { BATCH_ROWS })
}

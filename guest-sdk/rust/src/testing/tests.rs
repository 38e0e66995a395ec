//! A plugin from config to output, natively, and batches of every type there and back.

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::operator::Transform;
use crate::{host, log};

/// Says what it sees.
///
/// This is not part of the summary.
#[derive(Deserialize, schemars::JsonSchema)]
struct Watch {
    /// The most that is normal.
    bound: i64,
}

fn watch(config: Watch, input: &Schema) -> Result<Transform> {
    Ok(Transform::new(input.clone(), move |batch, out| {
        for row in batch.rows() {
            match row.integer("n")? {
                Some(n) if n > config.bound => {
                    out.reject(row.index(), format!("{n} is above {}", config.bound))
                }
                Some(n) => host::observe("n", n as f64),
                None => log!(Level::Warn, "row {} is null in batch {}", row.index(), batch.clock().batch_id),
            }
        }
        host::counter("rows").add(batch.len() as u64);
        out.keep(batch);
        Ok(())
    }))
}

crate::plugin! {
    name: "watcher",
    version: "2.3.4",
    summary: "Watches.",
    operators: [transform "watch" => watch],
}

#[test]
fn an_operator_runs_natively() {
    let input = batch(json!([{"n": 1}, {"n": 9}, {"n": null}])).unwrap();
    let ran = run(&plugin(), "watch", json!({"bound": 5}), input).unwrap();
    assert_eq!(ran.rows(), json!([{"n": 1}, {"n": null}]));
    assert_eq!(ran.reasons(), [(1, "9 is above 5")]);
    assert_eq!(ran.calls.logs, [(Level::Warn, "row 2 is null in batch 0".to_owned())]);
    assert_eq!(ran.calls.counters["rows"], 3);
    assert_eq!(ran.calls.observed, [("n".to_owned(), 1.0)]);
}

#[test]
fn a_plugin_describes_itself() {
    let plugin = plugin();
    assert_eq!((plugin.name, plugin.version), ("watcher", "2.3.4"));
    let operator = &plugin.operators[0];
    assert_eq!((operator.name(), operator.summary().as_str()), ("watch", "Says what it sees."));
    assert_eq!(operator.config_schema()["properties"]["bound"]["description"], "The most that is normal.");
    let error = plugin.open("wach", "{}", &Schema::default()).unwrap_err();
    assert_eq!(error.message(), "the plugin `watcher` has no operator `wach`; did you mean `watch`?");
}

#[test]
fn name_and_version_default_to_the_crate() {
    mod other {
        crate::plugin! { summary: "Watches.", operators: [transform "watch" => super::watch] }
    }
    let plugin = other::plugin();
    assert_eq!((plugin.name, plugin.version), ("millstream-plugin", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_type_goes_there_and_back() {
    let types = [
        ("boolean", DataType::Boolean, json!(true)),
        ("int32", DataType::Int32, json!(i32::MIN)),
        ("int64", DataType::Int64, json!(i64::MAX)),
        ("float32", DataType::Float32, json!(0.5)),
        ("float64", DataType::Float64, json!(-1e300)),
        ("date", DataType::Date, json!(-1)),
        ("timestamp", DataType::Timestamp, json!(1_700_000_000_000_000_i64)),
        ("local", DataType::LocalTimestamp, json!(0)),
        ("utf8", DataType::Utf8, json!("größe")),
        ("binary", DataType::Binary, json!("00ff")),
    ];
    let schema = Schema::of(types.iter().map(|(name, kind, _)| Field::new(*name, *kind).nullable())).unwrap();
    let full: Map<_, _> = types.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())).collect();
    let empty: Map<_, _> = types.iter().map(|(name, _, _)| ((*name).to_owned(), Value::Null)).collect();
    let there = json!([full, empty, full]);
    assert_eq!(rows(&batch_of(schema, there.clone()).unwrap()).unwrap(), there);
}

#[test]
fn rows_refuse_the_wrong_type() {
    let batch = batch(json!([{"n": 1, "t": "x"}])).unwrap();
    let row = batch.rows().next().unwrap();
    assert_eq!(row.text("n").unwrap_err().message(), "the column `n` is int64, not text");
    assert_eq!(row.integer("t").unwrap_err().message(), "the column `t` is utf8, not an integer");
    assert_eq!(row.number("n").unwrap(), Some(1.0));
    assert!(row.boolean("m").unwrap_err().message().contains("no column `m`"));
}

#[test]
fn batches_of_mixed_types_are_refused() {
    assert!(batch(json!([{"n": 1}, {"n": "x"}])).unwrap_err().message().contains("mixes types"));
    assert!(batch(json!([{"n": null}])).unwrap_err().message().contains("always null"));
    assert!(batch(json!({})).is_err());
}

//! Picking against what serde_json finds itself, and every way a row can be wrong.

use millstream_plugin::testing::{self, Ran};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::plugin;
use crate::pointers::{Found, Pointers};

fn pick(fields: Value, texts: &[&str]) -> millstream_plugin::Result<Ran> {
    let config = json!({"column": "body", "fields": fields, "keep_input": false});
    testing::run(&plugin(), "pick", config, testing::texts("body", texts)?)
}

#[test]
fn values_become_typed_columns() {
    let fields = json!([
        {"name": "id", "pointer": "/user/id", "type": "int64"},
        {"name": "first", "pointer": "/tags/0", "type": "utf8", "nullable": true},
        {"name": "ok", "type": "boolean"},
        {"name": "a/b~c", "type": "float64", "nullable": true},
    ]);
    let texts = [
        r#"{"user": {"id": 7, "x": [1]}, "tags": ["a\"", "b"], "ok": true, "a/b~c": 1}"#,
        r#"{"user": {"id": 8.0}, "tags": [], "ok": false, "a/b~c": null}"#,
    ];
    assert_eq!(
        pick(fields, &texts).unwrap().rows(),
        json!([
            {"id": 7, "first": "a\"", "ok": true, "a/b~c": 1.0},
            {"id": 8, "first": null, "ok": false, "a/b~c": null},
        ])
    );
}

#[test]
fn the_input_is_kept_without_rejected_rows() {
    let config = json!({"column": "body", "fields": [{"name": "n", "type": "int32"}]});
    let input = testing::batch(json!([
        {"body": "{\"n\": 1}", "at": 10}, {"body": "{}", "at": 11}, {"body": null, "at": 12}, {"body": "{\"n\": 4}", "at": 13}
    ]));
    let ran = testing::run(&plugin(), "pick", config, input.unwrap()).unwrap();
    let rows = json!([{"at": 10, "body": "{\"n\": 1}", "n": 1}, {"at": 13, "body": "{\"n\": 4}", "n": 4}]);
    assert_eq!(ran.rows(), rows);
    assert_eq!(ran.reasons(), [(1, "/n is missing"), (2, "`body` is null")]);
}

#[test]
fn a_reason_names_the_pointer() {
    let reason = |cell_type: &str, text: &str| {
        let ran = pick(json!([{"name": "v", "pointer": "/a/v", "type": cell_type}]), &[text]).unwrap();
        assert_eq!(ran.output.len(), 0);
        ran.rejected[0].reason.clone()
    };
    assert_eq!(reason("int64", r#"{"a": {"v": "7"}}"#), "/a/v is a string that is no int64");
    assert_eq!(reason("int64", r#"{"a": {"v": 7.5}}"#), "/a/v is a number that is no int64");
    assert_eq!(reason("int32", r#"{"a": {"v": 3000000000}}"#), "/a/v is a number that is no int32");
    assert_eq!(reason("int64", r#"{"a": {"v": 18446744073709551615}}"#), "/a/v is a number that is no int64");
    assert_eq!(reason("utf8", r#"{"a": {"v": [1]}}"#), "/a/v is an array that is no utf8");
    assert_eq!(reason("boolean", r#"{"a": {"v": {}}}"#), "/a/v is an object that is no boolean");
    assert_eq!(reason("utf8", r#"{"a": {"v": null}}"#), "/a/v is null");
    assert_eq!(reason("utf8", r#"{"a": 1}"#), "/a/v is missing");
    assert!(reason("utf8", "{").starts_with("`body` is not JSON: EOF"));
    assert!(reason("utf8", "{} x").starts_with("`body` is not JSON: trailing characters"));
    assert!(reason("utf8", &"[".repeat(100_000)).starts_with("`body` is not JSON"));
}

#[test]
fn the_last_of_equal_keys_counts() {
    let fields = json!([{"name": "v", "pointer": "/a/v", "type": "int64", "nullable": true}]);
    let rows = pick(fields, &[r#"{"a": {"v": 1}, "a": {}}"#, r#"{"a": {"v": 1, "v": 2}}"#]).unwrap().rows();
    assert_eq!(rows, json!([{"v": null}, {"v": 2}]));
}

#[test]
fn the_config_is_checked() {
    let refused = |fields| pick(fields, &["{}"]).unwrap_err().to_string();
    assert!(refused(json!([])).contains("config.fields is empty"));
    assert!(refused(json!([{"name": "a", "pointer": "a", "type": "utf8"}])).contains("not a JSON pointer"));
    assert!(refused(json!([{"name": "a", "pointer": "/~2", "type": "utf8"}])).contains("write ~0"));
    assert!(
        refused(json!([{"name": "a", "pointr": "/a", "type": "utf8"}])).contains("did you mean `pointer`?")
    );
    assert!(
        refused(json!([{"name": "a", "type": "int"}]))
            .contains("config.fields[0].type: unknown variant `int`")
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z\"\\\\é]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab~/01]{0,2}", inner, 0..4)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn pointers_lead_where_serde_json_says(
        document in any_json(),
        pointers in prop::collection::vec("(/([ab01]|~0|~1){0,2}){0,3}", 1..5),
    ) {
        let text = document.to_string();
        let mut found = Vec::new();
        Pointers::new(&pointers).unwrap().find(&text, &mut found).unwrap();
        for (pointer, found) in pointers.iter().zip(found) {
            let expected = document.pointer(pointer);
            match found {
                Found::Missing => prop_assert_eq!(expected, None),
                Found::Array => prop_assert!(expected.is_some_and(Value::is_array)),
                Found::Object => prop_assert!(expected.is_some_and(Value::is_object)),
                Found::Null => prop_assert_eq!(expected, Some(&Value::Null)),
                Found::Boolean(value) => prop_assert_eq!(expected, Some(&Value::from(value))),
                Found::Integer(value) => prop_assert_eq!(expected.and_then(Value::as_i64), Some(value)),
                Found::Unsigned(value) => prop_assert_eq!(expected.and_then(Value::as_u64), Some(value)),
                Found::Number(value) => prop_assert!(
                    expected.and_then(Value::as_f64).is_some_and(|expected| (expected - value).abs() <= value.abs() * 1e-15)
                ),
                Found::Text(value) => prop_assert_eq!(expected.and_then(Value::as_str), Some(&*value)),
            }
        }
    }
}

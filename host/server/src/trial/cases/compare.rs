//! Whether rows are the same: by value and not by how they are written, with whole numbers of 64 bits exact.

use serde_json::{Number, Value};

/// The same value. `1` and `1.0` are, `9007199254740993` and `9007199254740992.0` are not; members of an
/// object may stand in any order.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

/// The number, if it is whole and exactly so.
fn whole(number: &Number) -> Option<i128> {
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    exact.or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e19)?;
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and below 2^64")]
        Some(float as i128)
    })
}

/// All that `expected` says is so; it may leave members of the outer object out.
pub(super) fn says(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, a)| found.get(key).is_some_and(|b| same(a, b)))
        }
        _ => same(expected, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(a: &str, b: &str) -> bool {
        same(&serde_json::from_str(a).unwrap(), &serde_json::from_str(b).unwrap())
    }

    #[test]
    fn values_count_and_not_how_they_are_written() {
        for (a, b, expected) in [
            ("1", "1.0", true),
            ("1e2", "100", true),
            ("-0.0", "0", true),
            ("9007199254740993", "9007199254740992", false),
            ("9007199254740993", "9007199254740992.0", false),
            ("9223372036854775807", "9223372036854775808", false),
            ("0.1", "0.10", true),
            ("0.1", "0.2", false),
            ("1", "\"1\"", false),
            ("1", "true", false),
            ("null", "0", false),
            ("{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true),
            ("{\"a\":1}", "{\"a\":1,\"b\":null}", false),
            ("[1,2]", "[2,1]", false),
        ] {
            assert_eq!(is_same(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_asked_for() {
        let found = serde_json::json!({ "row": { "a": 1 }, "kind": "rejected", "reason": "no" });
        assert!(says(&serde_json::json!({ "reason": "no" }), &found));
        assert!(!says(&serde_json::json!({ "row": {} }), &found));
    }
}

//! Rows that are made up: odd ones, and many. Every language must make of them what the Rust operators make.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::component::Component;

/// An operator and how it is called.
struct Call {
    operator: &'static str,
    arguments: &'static [&'static str],
}

const SCHEMA: &str = "{ id: int64, text: utf8, price: float64, body: utf8, at: timestamp_ms }";

const CALLS: [Call; 6] = [
    Call { operator: "split-words", arguments: &["--config", "column: text"] },
    Call { operator: "currency", arguments: &["--config", "{ column: price, rate: 0.1 }"] },
    Call {
        operator: "json-pick",
        arguments: &[
            "--config",
            "{ column: body, fields: [{ name: n, type: int64 }, { name: x, pointer: /a/1, type: float64 }, \
             { name: s, type: utf8 }, { name: b, pointer: /o/b, type: boolean }] }",
        ],
    },
    Call { operator: "mean", arguments: &["--config", "column: price", "--key", "text"] },
    Call { operator: "mean", arguments: &["--config", "column: id", "--key", "price"] },
    Call {
        operator: "sessions",
        arguments: &[
            "--config",
            "{ time: at, gap_ms: 50 }",
            "--key",
            "text",
            "--time",
            "at",
            "--delay",
            "1s",
        ],
    },
];

/// Numbers that look like chance, the same each time: xorshift64, Marsaglia 2003.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[(self.next() % all.len() as u64) as usize]
    }
}

const TEXTS: [&str; 12] = [
    "",
    " ",
    "one",
    " two  three ",
    "tab\tand\nline",
    "naïve façade",
    "日本語 の 文",
    "🦀 🐍 👩‍👩‍👧",
    "\u{a0}no break",
    "a\u{301}ccent",
    "nul \u{0} byte",
    "\u{feff}mark",
];

const BODIES: [&str; 16] = [
    "{}",
    "null",
    "[]",
    "",
    "{\"n\":9007199254740993}",
    "{\"n\":-9223372036854775808,\"s\":\"日本\\u00e9\"}",
    "{\"n\":9223372036854775808}",
    "{\"n\":1.5}",
    "{\"n\":1e3,\"a\":[1,2.5]}",
    "{\"a\":[0,-0.0],\"o\":{\"b\":true}}",
    "{\"o\":{\"b\":null},\"s\":\"\"}",
    "{\"s\":7}",
    "{\"n\":1,\"n\":2}",
    "{\"n\":1} x",
    "{\"a\":{\"1\":3}}",
    "{n:1}",
];

fn row(chance: &mut Chance, number: i64) -> Value {
    let id = match chance.next() % 4 {
        0 => json!(number),
        1 => json!(chance.next() as i64),
        2 => json!(9_007_199_254_740_993_i64 + number),
        _ => Value::Null,
    };
    let price = match chance.next() % 8 {
        0 => Value::Null,
        1 => json!(-0.0),
        2 => json!(1.797e308),
        3 => json!(5e-324),
        _ => json!((chance.next() % 1_000) as f64 / 8.0),
    };
    let text = if chance.next().is_multiple_of(9) { Value::Null } else { json!(chance.of(&TEXTS)) };
    let body = if chance.next().is_multiple_of(17) { Value::Null } else { json!(chance.of(&BODIES)) };
    let at = 1_700_000_000_000 + number * 7 - (chance.next() % 100) as i64;
    json!({ "id": id, "text": text, "price": price, "body": body, "at": at })
}

fn rows(count: i64) -> String {
    let mut chance = Chance(42);
    let mut all = String::new();
    for number in 0..count {
        writeln!(all, "{}", row(&mut chance, number)).unwrap();
    }
    all
}

pub(crate) fn none(component: &Component) {
    for Call { operator, arguments } in CALLS {
        let said = component.run(operator, &[arguments, &["--schema", SCHEMA]].concat(), "");
        assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (Some(0), "", ""), "{operator}");
    }
}

pub(crate) fn alike(component: &Component, count: i64) {
    let (input, rust) = (rows(count), Component::of("rust"));
    for Call { operator, arguments } in CALLS {
        let arguments = [arguments, &["--schema", SCHEMA, "--batch-rows", "700"]].concat();
        let (found, expected) =
            (component.run(operator, &arguments, &input), rust.run(operator, &arguments, &input));
        same(operator, &expected.out, &found.out);
        same(operator, &expected.err, &found.err);
        assert_eq!(found.status, expected.status, "{operator}");
    }
}

/// A batch that is larger than any buffer somebody might have thought of.
pub(crate) fn large(component: &Component) {
    let (input, rust) = (rows(100_000), Component::of("rust"));
    for Call { operator, arguments } in CALLS {
        let own = ["--schema", SCHEMA, "--batch-rows", "100000", "--deadline", "60s"];
        let arguments = [arguments, &own].concat();
        let (found, expected) =
            (component.run(operator, &arguments, &input), rust.run(operator, &arguments, &input));
        same(operator, &expected.out, &found.out);
        same(operator, &expected.err, &found.err);
        assert_eq!(found.status, expected.status, "{operator}");
    }
}

/// Says where texts differ: they are too long to be shown.
fn same(operator: &str, expected: &str, found: &str) {
    if expected == found {
        return;
    }
    let lines = expected.lines().zip(found.lines()).enumerate();
    for (number, (expected, found)) in lines {
        assert_eq!(found, expected, "{operator}: line {} of the output", number + 1);
    }
    panic!("{operator}: {} lines, expected {}", found.lines().count(), expected.lines().count());
}

//! Everything that can go wrong in an operator: it costs the rows it is about, and is told in words.

use millstream_tests::command;
use serde_json::Value;

use crate::component::Component;

const LINES: &str = "{\"line\":\"one\",\"n\":1}\n{\"line\":\"bad\",\"n\":2}\n{\"line\":\"three\",\"n\":3}\n";
const SCHEMA: &str = "{ line: utf8, n: int64 }";
const TIMED_SCHEMA: &str = "{ line: utf8, n: int64, at: timestamp_ms }";

/// What came of three rows.
#[derive(Debug)]
struct Told {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    /// The rows that could not be used, each with kind and reason.
    fn dead(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line);
        self.err
            .lines()
            .map(|line| read(line).unwrap_or_else(|_| panic!("rows alone, but: {self:?}")))
            .collect()
    }
}

fn tried(component: &Component, operator: &str, how: &str, more: &[&str]) -> Told {
    let time = if operator == "hostile-keyed" { ", time: at" } else { "" };
    let config = format!("{{ do: \"{how}\", column: line{time} }}");
    let arguments = [&["--config", &config][..], more].concat();
    let input = if more.contains(&"--time") { timed() } else { LINES.to_owned() };
    let said = component.run(operator, &arguments, &input);
    Told { status: said.status, out: said.out, err: said.err }
}

fn hostile(component: &Component, how: &str, more: &[&str]) -> Told {
    tried(component, "hostile", how, &[&["--schema", SCHEMA], more].concat())
}

/// The rows, a second apart.
fn timed() -> String {
    let lines = LINES.lines().enumerate();
    lines.map(|(second, line)| line.replace('}', &format!(",\"at\":{}}}\n", 1_000 * second))).collect()
}

fn reason(row: &Value) -> &str {
    row["reason"].as_str().unwrap_or_default()
}

/// The row with `bad`, and it alone, is told with the operator and with the place where it was reading.
fn bad_alone(operator: &str, told: &Told) {
    let dead = told.dead();
    assert_eq!((told.status, dead.len()), (Some(3), 1), "{told:?}");
    assert_eq!(dead[0]["row"]["line"], "bad", "{told:?}");
    let reason = reason(&dead[0]);
    // Rows that are objects of the language do not tell which of their columns was read.
    let column = if operator == "hostile-keyed" { "" } else { "`line`" };
    for words in [operator, column, "row 0"] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

pub(crate) fn thrown(component: &Component) {
    let told = hostile(component, "nothing", &[]);
    assert_eq!((told.status, told.out.as_str(), told.err.as_str()), (Some(0), LINES, ""));
    let told = hostile(component, "throw", &[]);
    bad_alone("hostile", &told);
    assert_eq!(told.out, LINES.replace("{\"line\":\"bad\",\"n\":2}\n", ""), "{told:?}");
}

pub(crate) fn wrong_answers(component: &Component) {
    for (how, column) in
        [("uneven", "`line`"), ("null", "`out`"), ("overflow", "`out`"), ("wrong-type", "`out`")]
    {
        let told = hostile(component, how, &[]);
        let dead = told.dead();
        assert_eq!((told.status, told.out.as_str(), dead.len()), (Some(3), "", 3), "{how}: {told:?}");
        for row in &dead {
            let reason = reason(row);
            assert!(reason.contains("`hostile`") && reason.contains(column), "{how}: {reason}");
            assert!(!reason.contains("wasm trap"), "{how} should be told in words: {reason}");
            // A column of another type is wrong as a whole where types are known before.
            assert!(how == "wrong-type" || reason.contains("row 0"), "{how}: {reason}");
        }
    }
}

/// Rows stand alone in the end, so the number of a row shows only where one call is all.
pub(crate) fn wrong_rows(component: &Component) {
    let dir = tempfile::tempdir().unwrap();
    let rows = dir.path().join("rows.ndjson");
    std::fs::write(&rows, LINES).unwrap();
    let operator = format!("{}#hostile", component.path.display());
    let config = "{ do: \"null\", column: line }";
    let rows = rows.display().to_string();
    let said = command(&["plugin", "bench", &operator, "--config", config, "--input", &rows, "--rows", "3"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    for word in ["`hostile`", "`out`", "row 2"] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
}

/// The other kinds of operators: what breaks at a row costs the row, what breaks at a result ends it.
pub(crate) fn aggregates(component: &Component) {
    let sum = |how: &str, more: &[&str]| {
        let own = ["--schema", TIMED_SCHEMA, "--key", "line"];
        tried(component, "hostile-sum", how, &[&own[..], more].concat())
    };
    let told = sum("nothing", &[]);
    assert_eq!((told.status, told.out.lines().count()), (Some(0), 3), "{told:?}");
    bad_alone("hostile-sum", &sum("throw", &[]));
    for (how, words) in [("throw-finish", ""), ("null", "`n`"), ("overflow", "`n`")] {
        let told = sum(how, &[]);
        assert_eq!(told.status, Some(1), "{how}: {told:?}");
        assert!(told.err.contains("hostile-sum") && told.err.contains(words), "{how}: {}", told.err);
        assert!(how == "throw-finish" || told.err.contains("row 0"), "{how}: {}", told.err);
    }
    // Panes of windows that overlap are merged where a group is in several: here all rows are one.
    let window = ["--schema", TIMED_SCHEMA, "--time", "at", "--window", "{ sliding: 4s, slide: 1s }"];
    let told = tried(component, "hostile-sum", "throw-merge", &window);
    assert_eq!(told.status, Some(1), "{told:?}");
    assert!(told.err.contains("hostile-sum") && told.err.contains("merge"), "{told:?}");
}

pub(crate) fn keyed(component: &Component) {
    let keyed = |how: &str| {
        let own = ["--schema", TIMED_SCHEMA, "--key", "line", "--time", "at"];
        tried(component, "hostile-keyed", how, &own)
    };
    let told = keyed("nothing");
    assert_eq!((told.status, told.out.lines().count(), told.err.as_str()), (Some(0), 3, ""), "{told:?}");
    bad_alone("hostile-keyed", &keyed("throw"));
    for (how, words) in [("throw-timer", "timer"), ("null", "`n`"), ("overflow", "`n`")] {
        let told = keyed(how);
        let dead = told.dead();
        assert_eq!((told.status, dead.len()), (Some(3), 3), "{how}: {told:?}");
        for row in &dead {
            assert!(reason(row).contains("hostile-keyed") && reason(row).contains(words), "{how}: {row}");
        }
    }
}

pub(crate) fn endless(component: &Component) {
    let told = hostile(component, "spin", &["--deadline", "300ms"]);
    assert_eq!((told.status, told.out.as_str()), (Some(3), ""), "{told:?}");
    assert!(told.dead().iter().all(|row| row["kind"] == "timed-out"), "{told:?}");
    let told = hostile(component, "grow", &["--deadline", "60s", "--memory", "128MiB"]);
    assert_eq!((told.status, told.out.as_str(), told.dead().len()), (Some(3), "", 3), "{told:?}");
    for row in told.dead() {
        assert_eq!(row["kind"], "out-of-memory", "{row}");
        assert!(reason(&row).contains("hostile") && reason(&row).contains("128 MiB"), "{row}");
    }
}

/// What no kit can catch is told with what stood on stderr.
pub(crate) fn fatal(component: &Component) {
    for (how, words) in [("fatal", "the end"), ("recurse", "")] {
        let told = hostile(component, how, &["--deadline", "60s"]);
        assert_eq!((told.status, told.out.as_str(), told.dead().len()), (Some(3), "", 3), "{how}: {told:?}");
        for row in told.dead() {
            assert!(reason(&row).contains("hostile") && reason(&row).contains(words), "{how}: {row}");
            assert_ne!(row["kind"], "timed-out", "{how}: {row}");
        }
    }
}

pub(crate) fn tells(component: &Component) {
    let told = hostile(component, "tell", &["--logs"]);
    assert_eq!((told.status, told.out.as_str()), (Some(0), LINES), "{told:?}");
    let expected = "{\"log\":\"3 rows\",\"level\":\"info\"}\n{\"number\":\"share\",\"count\":1,\"mean\":0.5,\"last\":0.5}\n\
                    {\"number\":\"told\",\"count\":3}\n";
    assert_eq!(told.err, expected);
}

/// What an operator of this kind is given besides.
fn grouped(operator: &str) -> &'static [&'static str] {
    match operator {
        "mean" => &["--key", "id"],
        "sessions" => &["--key", "id", "--time", "at"],
        _ => &[],
    }
}

/// The operator does not open with this config, and its error has these words.
fn refused(component: &Component, operator: &str, config: &str, words: &[&str]) {
    let schema = "{ line: utf8, price: float64, id: int64, at: timestamp_ms }";
    let arguments = [&["--config", config, "--schema", schema], grouped(operator)].concat();
    let said = component.run(operator, &arguments, "");
    assert_eq!(said.status, Some(1), "{operator} {config}: {said:?}");
    for word in words {
        assert!(said.err.contains(word), "{operator} {config} should name {word}: {}", said.err);
    }
}

pub(crate) fn configs(component: &Component) {
    let refused = |operator: &str, config: &str, key: &str| refused(component, operator, config, &[key]);
    refused("split-words", "{}", "column");
    refused("split-words", "{ column: 7 }", "column");
    refused("split-words", "{ column: line, colour: red }", "colour");
    refused("currency", "{ column: price, rate: cheap }", "rate");
    refused("json-pick", "{ column: line, fields: [{ name: n, type: int65 }] }", "type");
    refused("mean", "{ column: price, colour: red }", "colour");
    refused("sessions", "{ time: at, gap_ms: 0 }", "gap_ms");
    refused("sessions", "{ time: at, gap_ms: soon }", "gap_ms");
    refused("hostile", "{ do: well, column: line }", "do");
}

pub(crate) fn columns(component: &Component) {
    let refused = |operator: &str, config: &str, words: &[&str]| refused(component, operator, config, words);
    refused("split-words", "{ column: lines }", &["lines"]);
    refused("split-words", "{ column: price }", &["price", "float64", "utf8"]);
    refused("currency", "{ column: id, rate: 2 }", &["id", "int64", "float64"]);
    refused("json-pick", "{ column: at, fields: [{ name: n, type: int64 }] }", &["at", "timestamp", "utf8"]);
    refused("mean", "{ column: line }", &["line", "utf8"]);
    refused("sessions", "{ time: line, gap_ms: 1 }", &["line", "utf8", "timestamp"]);
}

/// Batch after batch of garbage: a collector has to run many times, and it may not be at work while the host hands a
/// batch over.
pub(crate) fn garbage(component: &Component) {
    let operator = format!("{}#json-pick", component.path.display());
    let config = "{ column: body, fields: [{ name: n, type: int64 }] }";
    let said = command(&["plugin", "bench", &operator, "--config", config, "--schema", "{ body: utf8 }"]);
    assert!(said.ok, "{}", said.err);
}

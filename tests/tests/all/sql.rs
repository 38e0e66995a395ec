//! The `sql` step: what a spec may say of it, and how a pipeline fails at a statement.

use serde_json::{Value, json};

use crate::specs::errors;
use crate::support::{lines_file, server_with, table_sink, text};

fn spec(source: &Value, out: &Value, step: &Value) -> Value {
    let mut step = step.clone();
    step["from"] = json!("lines");
    json!({
        "name": "sql",
        "trigger": "available-now",
        "sources": { "lines": source },
        "tables": { "t": { "type": "file", "path": "/nowhere/t.csv", "format": "csv", "schema": { "k": "utf8", "n": "int64" } } },
        "steps": { "s": step, "known": { "join": { "left": "lines", "right": "t", "on": { "value": "k" }, "kind": "semi" } } },
        "sinks": { "out": out, "other": { "from": "known", "type": "file", "path": "/nowhere/known" } },
    })
}

#[test]
fn what_is_wrong_with_a_statement_is_said_with_its_path() {
    let (dir, server) = server_with(&[]);
    let (source, out) = (lines_file(dir.path(), "lines", "a\n"), table_sink(dir.path(), "out", "s"));
    let sound = json!({ "sql": "SELECT value, n FROM input JOIN t ON k = value", "tables": ["t"] });
    let answer = server.post("/v1/pipelines/validate", &spec(&source, &out, &sound));
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut wrong = Vec::new();
    for (step, expected) in [
        (json!({ "sql": "SELECT vlue FROM input" }), "steps.s.sql: no such column: vlue"),
        (
            json!({ "sql": "SELECT n FROM t" }),
            "steps.s.sql: no such table: t; the rows of the batch are called `input`",
        ),
        (
            json!({ "sql": "SELECT n FROM t", "tables": ["tt"] }),
            "steps.s.tables[0]: unknown table `tt`: did you mean `t`?",
        ),
        (
            json!({ "sql": "SELECT n FROM t", "tables": ["lines"] }),
            "steps.s.tables[0]: `lines` is a source, and this takes a table",
        ),
        (
            json!({ "sql": "SELECT n FROM t", "tables": { "t": ["m"] } }),
            "steps.s.tables.t: the table has no column `m`",
        ),
        (json!({ "sql": "SELECT n FROM t", "tables": "t" }), "steps.s: tables: `tables` is a list of names"),
        (
            json!({ "sql": "SELECT max(value) AS m FROM input" }),
            "steps.s.sql: SQLite does not say of what type column `m` is",
        ),
        (
            json!({ "sql": "SELECT max(value) AS m FROM input", "schema": { "m": "txt" } }),
            "steps.s.schema.m: no type is called `txt`",
        ),
        (json!({ "sql": "SELECT random() AS m FROM input" }), "steps.s.sql: random() gives something else"),
        (json!({ "sql": "DROP TABLE input" }), "steps.s.sql: it is to be a SELECT"),
        (
            json!({ "sql": "SELECT value FROM input", "late": "drop" }),
            "steps.s: unknown key of a `sql` step `late`",
        ),
    ] {
        let found = errors(&server, &spec(&source, &out, &step));
        if !found.iter().any(|error| error.starts_with(expected)) {
            wrong.push(format!("{step} should say {expected}\nbut says {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_statement_that_fails_fails_the_pipeline_with_the_reason() {
    let (dir, server) = server_with(&[]);
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT CAST(count(*) AS INTEGER) AS n FROM c, input";
    for (name, step, expected) in [
        (
            "misfit",
            json!({ "sql": "SELECT value || '!' AS n FROM input", "schema": { "n": "int64" } }),
            "s: column `n` of the statement's row 1 is the text 'a!', expected a whole number (int64): CAST it",
        ),
        (
            "endless",
            json!({ "sql": endless, "deadline": "50ms", "schema": { "n": "int64" } }),
            "s: the statement ran longer than its `deadline` of 50ms",
        ),
    ] {
        let mut step = step;
        step["from"] = json!("lines");
        server.deploy(&json!({
            "name": name,
            "trigger": "available-now",
            "sources": { "lines": lines_file(dir.path(), name, "a\n") },
            "steps": { "s": step },
            "sinks": { "out": table_sink(dir.path(), name, "s") },
        }));
        let document = server.wait_for(name, &["failed"]);
        let reason = text(&document, "reason");
        assert!(reason.starts_with(expected), "{reason}");
    }
}

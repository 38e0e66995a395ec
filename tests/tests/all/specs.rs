//! Specs that are wrong: what is said, word for word, and where.

use millstream_tests::Server;
use serde_json::{Value, json};

use crate::support::{server_with, spec_errors, text};

/// A sound spec, to be spoiled.
pub(crate) fn sound() -> Value {
    json!({
        "name": "clicks",
        "sources": { "clicks": { "type": "file", "path": "/nowhere/clicks.csv", "format": "csv",
            "schema": { "at": "timestamp", "page": "utf8", "n": "int64" }, "event_time": { "column": "at", "delay": "5s" } } },
        "steps": {
            "known": { "from": "clicks", "filter": "page IS NOT NULL" },
            "counts": { "from": "known", "aggregate": { "by": ["page"], "window": { "tumbling": "10s" }, "compute": { "n": "count()" } } },
        },
        "sinks": { "out": { "from": "counts", "type": "sqlite", "path": "/nowhere/out.db", "table": "out", "key": ["window_start", "page"] } },
    })
}

/// The sound spec with one value replaced, by JSON pointer; null removes it.
fn spoiled(pointer: &str, value: Value) -> Value {
    let mut spec = sound();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = spec.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is a map");
    if value.is_null() {
        parent.shift_remove(key)
    } else {
        parent.insert(key.to_owned(), value)
    };
    spec
}

pub(crate) fn errors(server: &Server, spec: &Value) -> Vec<String> {
    let errors = spec_errors(&server.post("/v1/pipelines/validate", spec));
    assert_eq!(
        errors,
        spec_errors(&server.post("/v1/pipelines", spec)),
        "deploying says the same as validating"
    );
    errors
}

#[test]
fn each_mistake_is_named_with_its_path_and_a_way_out() {
    let (_dir, server) = server_with(&[]);
    assert_eq!(server.post("/v1/pipelines/validate", &sound()).status, 200);
    let filter = |expression: &str| json!({ "from": "clicks", "filter": expression });
    let mut wrong = Vec::new();
    let aggregate = |rest: Value| json!({ "from": "known", "aggregate": rest });
    for (pointer, value, expected) in [
        (
            "/sinkss",
            json!({}),
            "unknown key `sinkss`: did you mean `sinks`? (known: name, delivery, trigger, parallelism, checkpoint, memory, watermark, sources, tables, steps, sinks)",
        ),
        (
            "/name",
            json!("two words"),
            "name: `two words` is no name: use lower-case letters, digits and hyphens, at most 63",
        ),
        ("/name", Value::Null, "missing field `name`"),
        (
            "/delivery",
            json!("exactly-onec"),
            "delivery: unknown value `exactly-onec`: did you mean `exactly-once`? (known: at-most-once, at-least-once, exactly-once)",
        ),
        (
            "/trigger",
            json!("now"),
            "trigger: a trigger is `available-now` or a map such as `{ every: 200ms, max_rows: 100000 }`",
        ),
        (
            "/trigger",
            json!({ "evry": "1s" }),
            "trigger: unknown key `evry`: did you mean `every`? (known: available-now, every, max_rows, max_bytes)",
        ),
        (
            "/trigger",
            json!({ "every": "soon" }),
            "trigger: every: `soon` is no span of time: write a whole number and a unit, as in 200ms, 5s, 10min, 1h, 7d",
        ),
        ("/parallelism", json!(0), "parallelism: at least 1"),
        ("/parallelism", json!(257), "parallelism: at most 256, the number of key groups"),
        ("/parallelism", json!("two"), "parallelism: invalid type: string \"two\", expected u32"),
        ("/sources", json!({}), "sources: a pipeline needs at least one source"),
        (
            "/sources/clicks/type",
            json!("flie"),
            "sources.clicks.type: unknown value `flie`: did you mean `file`? (known: file, tcp, http, generate)",
        ),
        ("/sources/clicks/pth", json!("x"), "sources.clicks: unknown key `pth`: did you mean `path`?"),
        ("/sources/clicks/schema/n", json!("int"), "sources.clicks.schema.n: "),
        (
            "/sources/clicks/event_time/column",
            json!("ad"),
            "sources.clicks.event_time.column: unknown column `ad`: did you mean `at`? (known: at, page, n)",
        ),
        (
            "/sources/clicks/event_time/column",
            json!("n"),
            "sources.clicks.event_time.column: `n` is int64, event time needs a timestamp: declare it as `timestamp`, or as `timestamp_ms` where the data has milliseconds since 1970",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "fliter": "true" }),
            "steps.known: unknown kind of step `fliter`: did you mean `filter`? (known: wasm, filter, select, union, split, aggregate, dedup, join, top, state, sql)",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "filter": "true", "emit": "final" }),
            "steps.known: unknown key of a `filter` step `emit` (known: from, filter)",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "filter": "true", "select": {} }),
            "steps.known: a step has one kind, this one has filter and select",
        ),
        (
            "/steps/known",
            json!({ "filter": "true" }),
            "steps.known: from: missing: name the entry whose rows this step takes",
        ),
        (
            "/steps/known/from",
            json!("click"),
            "steps.known.from: unknown entry `click`: did you mean `clicks`? (known: clicks, counts, known)",
        ),
        (
            "/steps/known/from",
            json!("counts"),
            "steps.counts: rows would go in a circle: known -> counts -> known; one of these must take its rows elsewhere",
        ),
        (
            "/steps/known/from",
            json!("known"),
            "steps.known: rows would go in a circle: known -> known; one of these must take its rows elsewhere",
        ),
        ("/steps/known", filter("pgae = 'x'"), "steps.known.filter: "),
        ("/steps/known", filter("page ="), "steps.known.filter: "),
        ("/steps/known", filter("n"), "steps.known.filter: "),
        ("/steps/known", filter("page > 3"), "steps.known.filter: "),
        ("/steps/known", filter("lenght(page) > 3"), "steps.known.filter: "),
        ("/steps/known", filter("1 / 0 > 1"), "steps.known.filter: "),
        (
            "/steps/unused",
            filter("true"),
            "steps.unused: nothing takes its rows: name it in a `from` as `unused`, or remove it",
        ),
        (
            "/steps/counts",
            aggregate(json!({ "by": ["pgae"], "compute": { "n": "count()" } })),
            "steps.counts.aggregate.by.pgae: ",
        ),
        (
            "/steps/counts",
            aggregate(json!({ "compute": { "n": "cuont()" } })),
            "steps.counts.aggregate: no aggregate function is called `cuont`; there are count, count distinct, sum, avg, min, max",
        ),
        ("/steps/counts", aggregate(json!({ "compute": { "n": "sum(page)" } })), "steps.counts.aggregate: "),
        (
            "/steps/counts/aggregate/window/tumbling",
            json!("0s"),
            "steps.counts.aggregate.window.tumbling: a window's size must be positive, but is 0 us",
        ),
        (
            "/sources/clicks/event_time",
            Value::Null,
            "steps.counts.aggregate.window: no event time reaches this step: give the source an `event_time`, keep that column on the way, or name a timestamp column with `on`",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "select": { "page": "page" } }),
            "steps.counts.aggregate.window: no event time reaches this step",
        ),
        (
            "/steps/counts/aggregate/window",
            json!({ "sliding": "10s", "slide": "11s" }),
            "steps.counts.aggregate.window.sliding: windows of 10000000 us every 11000000 us leave gaps",
        ),
        (
            "/steps/counts/aggregate/window",
            json!({ "sliding": "10s" }),
            "steps.counts.aggregate.window.slide: missing: how often a window begins",
        ),
        (
            "/steps/counts/aggregate/window",
            json!({ "tumbling": "10s", "session": "10s" }),
            "steps.counts.aggregate.window: a window is one of",
        ),
        (
            "/steps/counts/aggregate/window",
            json!({ "session": "10s" }),
            "steps.counts.aggregate: sessions need emit: final",
        ),
        (
            "/steps/counts",
            json!({ "from": "known", "emit": "final", "aggregate": { "by": ["page"], "window": { "session": "0" }, "compute": { "n": "count()" } } }),
            "steps.counts.aggregate: a session's gap must be positive",
        ),
        (
            "/steps/counts",
            json!({ "from": "known", "emit": "final", "aggregate": { "by": ["page"], "window": { "session": "page" }, "compute": { "n": "count()" } } }),
            "steps.counts.aggregate.window.session: ",
        ),
        (
            "/steps/counts",
            json!({ "from": "known", "late": "side", "aggregate": { "by": ["page"], "window": { "tumbling": "10s" }, "compute": { "n": "count()" } } }),
            "steps.counts: nothing takes its rows: name it in a `from` as `counts.late`, or remove it",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "dedup": { "by": ["page"], "within": "0" } }),
            "steps.known.dedup: `within` must be longer than nothing",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "dedup": { "by": ["pge"], "within": "1h" } }),
            "steps.known.dedup.by.pge: ",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "top": { "by": ["page"], "order": "n desc", "n": 0 } }),
            "steps.known.top.n: a `top` of no rows",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "top": { "by": ["page"], "order": "m desc", "n": 3 } }),
            "steps.known.top.order: no column is called `m`; there are ",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "top": { "by": ["page"], "order": "n down", "n": 3 } }),
            "steps.known.top.order: `n down`: after the column comes `asc`",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "emit": "final", "top": { "by": ["page"], "order": "n", "n": 3 } }),
            "steps.known.emit: final needs ",
        ),
        (
            "/steps/counts/aggregate/compute",
            json!({ "n": "first(page)" }),
            "steps.counts.aggregate.compute.n: `first(page)` has 1, but first takes two arguments: `first(x, at)`",
        ),
        (
            "/steps/counts/aggregate/compute",
            json!({ "n": "approx_percentile(n, n)" }),
            "steps.counts.aggregate.compute.n: the last argument of approx_percentile is a number",
        ),
        (
            "/steps/counts/aggregate/compute",
            json!({ "n": "approx_percentile(n, 99)" }),
            "steps.counts.aggregate: the second argument of approx_percentile is a share between 0 and 1",
        ),
        (
            "/steps/counts/aggregate/compute",
            json!({ "n": "stddev(page)" }),
            "steps.counts.aggregate: stddev takes int32, int64, float32 or float64, not utf8",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "split": { "a": "n > 1" } }),
            "steps.counts.from: `known` has several ways out: say which, `known.a` or `known.rest`",
        ),
        (
            "/steps/counts/from",
            json!("known.lat"),
            "steps.counts.from: unknown way out of `known`: `lat`: there are none here",
        ),
        (
            "/steps/known",
            json!({ "from": "clicks", "split": {} }),
            "steps.known.split: name at least one branch",
        ),
        (
            "/steps/counts/aggregate/window",
            json!({ "tumbling": "10s", "on": "page" }),
            "steps.counts.aggregate.window.on: `page` is utf8, event time needs a timestamp",
        ),
        (
            "/steps/counts/emit",
            json!("last"),
            "steps.counts: emit: unknown value `last` (known: update, final)",
        ),
        (
            "/sinks/out/type",
            json!("sqllite"),
            "sinks.out.type: unknown sink type `sqllite`: did you mean `sqlite`? (known: sqlite, file, stdout)",
        ),
        (
            "/sinks/out/from",
            json!("out"),
            "sinks.out.from: `out` is a sink: rows end there; take them from where the sink takes them",
        ),
        ("/sinks/out/key", json!(["pgae"]), "sinks.out.key: "),
        (
            "/sinks/clicks",
            json!({ "from": "clicks", "type": "file", "path": "/nowhere" }),
            "sinks.clicks: the name is taken by sources.clicks: each entry needs a name of its own",
        ),
    ] {
        let found = errors(&server, &spoiled(pointer, value.clone()));
        // Without a path the error is about the whole spec.
        if !found.iter().any(|error| error.trim_start_matches(": ").starts_with(expected)) {
            wrong.push(format!("{pointer} = {value}\nshould say {expected}\nbut says {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn rows_of_a_union_must_be_alike() {
    let (_dir, server) = server_with(&[]);
    let mut spec = sound();
    spec["sources"]["more"] = json!({ "type": "file", "path": "/nowhere/more", "format": "text" });
    spec["steps"]["known"] = json!({ "union": ["clicks", "more"] });
    assert_eq!(
        errors(&server, &spec),
        [
            "steps.known.union[1]: its rows are not like those of the first input: 1 columns here, 3 there; a `select` before can make them alike"
        ]
    );
    spec["sources"]["more"] = json!({ "type": "file", "path": "/nowhere/more", "format": "csv", "schema": { "at": "timestamp", "page": "utf8", "n": "float64" } });
    assert_eq!(
        errors(&server, &spec),
        [
            "steps.known.union[1]: its rows are not like those of the first input: `n` float64 here, `n` int64 there; a `select` before can make them alike"
        ]
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let (_dir, server) = server_with(&[]);
    let mut spec = spoiled("/sinks/out/from", json!("count"));
    spec["sources"]["extra"] = spec["sources"]["clicks"].clone();
    spec["sources"]["extra!"] = spec["sources"]["clicks"].clone();
    spec["steps"]["known"]["from"] = json!("clik");
    let found = errors(&server, &spec);
    assert_eq!(found.len(), 3, "{found:?}");
    let answer = server.post("/v1/pipelines", &spec);
    assert_eq!(text(&answer.body, "detail"), "the spec has 3 errors");
}

#[test]
fn one_round_tells_mistakes_of_every_kind_and_nothing_that_follows_from_them() {
    let (_dir, server) = server_with(&[]);
    let mut spec = sound();
    spec["name"] = json!("Two Words");
    spec["trigger"] = json!({ "evry": "1s" });
    spec["parallelism"] = json!(0);
    spec["sources"]["clicks"]["pth"] = json!("x");
    spec["sources"]["more"] = json!({ "type": "file", "path": "/nowhere", "format": "text" });
    spec["steps"]["typo"] = json!({ "from": "more", "filter": "valeu = 'x'" });
    spec["steps"]["odd"] = json!({ "from": "more", "fliter": "true" });
    spec["sinks"]["a"] = json!({ "from": "typo", "type": "file", "pth": "/nowhere" });
    spec["sinks"]["b"] = json!({ "from": "odd", "type": "file", "path": "/nowhere" });
    spec["sinks"]["c"] = json!({ "from": "moer", "type": "sqllite" });
    let mut found = errors(&server, &spec);
    found.sort();
    let expected = [
        "name: `Two Words` is no name",
        "parallelism: at least 1",
        "sinks.a: unknown key `pth`: did you mean `path`?",
        "sinks.c.from: unknown entry `moer`: did you mean `more`?",
        "sinks.c.type: unknown sink type `sqllite`",
        "sources.clicks: unknown key `pth`: did you mean `path`?",
        "steps.odd: unknown kind of step `fliter`",
        "steps.typo.filter: ",
        "trigger: unknown key `evry`: did you mean `every`?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[test]
fn documents_that_cannot_be_read_are_answered_with_line_and_column() {
    let (_dir, server) = server_with(&[]);
    let json =
        server.send("/v1/pipelines", &[("content-type", "application/json")], b"{\n  \"name\": \"p\",\n}");
    assert_eq!((json.status, text(&json.body, "type")), (400, "/problems/bad-request"));
    assert!(text(&json.body, "detail").starts_with("line 3, column 1: "), "{json:?}");
    let yaml = server.post_yaml("/v1/pipelines", "name: p\nname: q\n");
    assert_eq!(yaml.status, 400);
    assert!(text(&yaml.body, "detail").starts_with("line 2, column 1: "), "{yaml:?}");
    let other = server.send("/v1/pipelines", &[("content-type", "text/html")], b"<p>");
    assert_eq!((other.status, text(&other.body, "type")), (415, "/problems/content-type"), "{other:?}");
    let list = server.send("/v1/pipelines", &[("content-type", "application/json")], b"[]");
    assert!(list.status == 422 || list.status == 400, "{list:?}");
    let large = server.announce("/v1/pipelines", "application/yaml", (1 << 20) + 1);
    assert_eq!((large.status, text(&large.body, "type")), (413, "/problems/too-large"), "{large:?}");
}

#[test]
fn the_guarantee_of_each_sink_is_told_with_reasons() {
    let (_dir, server) = server_with(&[]);
    let answer = server.post("/v1/pipelines/validate", &sound());
    let guarantee = &answer.body["guarantees"][0];
    assert_eq!((text(guarantee, "sink"), text(guarantee, "delivery")), ("out", "exactly-once"), "{answer:?}");
    let reasons = guarantee["reasons"].to_string();
    assert!(reasons.contains("clicks: replayable (its data stays where it is)"), "{reasons}");
    assert!(
        reasons.contains("out: transactional (sqlite: the rows and the number of their batch"),
        "{reasons}"
    );
    let counts = answer.body["entries"]
        .as_array()
        .and_then(|entries| entries.iter().find(|entry| entry["name"] == "counts"));
    let columns: Vec<&str> = counts
        .and_then(|entry| entry["columns"].as_array())
        .expect("columns")
        .iter()
        .map(|column| text(column, "name"))
        .collect();
    assert_eq!(columns, ["window_start", "window_end", "page", "n"]);

    let pushed = json!({ "type": "tcp", "listen": "127.0.0.1:0", "format": "text" });
    let spec = json!({ "name": "p", "sources": { "tcp": pushed }, "sinks": { "out": { "from": "tcp", "type": "file", "path": "/nowhere" } } });
    let reasons = server.post("/v1/pipelines/validate", &spec).body["guarantees"][0]["reasons"].to_string();
    assert!(reasons.contains("tcp: journaled on arrival; TCP has no acknowledgement"), "{reasons}");
    let mut at_most_once = spec.clone();
    at_most_once["delivery"] = json!("at-most-once");
    let reasons =
        server.post("/v1/pipelines/validate", &at_most_once).body["guarantees"][0]["reasons"].to_string();
    assert!(reasons.contains("tcp: not journaled under at-most-once"), "{reasons}");
}

#[test]
fn exactly_once_to_standard_output_is_refused_with_the_way_out() {
    let (_dir, server) = server_with(&[]);
    let mut spec = spoiled("/sinks/out", json!({ "from": "counts", "type": "stdout" }));
    assert_eq!(
        errors(&server, &spec),
        [
            "sinks.out: exactly-once was asked for, but this sink can have at-least-once at most: out: plain, a batch written again is there twice (stdout: lines that were written cannot be recognised or taken back). Set `delivery: at-least-once`, use a transactional or idempotent sink (sqlite, file), or watch the rows with a tap instead of this sink"
        ]
    );
    spec["delivery"] = json!("at-least-once");
    let answer = server.post("/v1/pipelines/validate", &spec);
    assert_eq!((answer.status, &answer.body["guarantees"][0]["delivery"]), (200, &json!("at-least-once")));
}

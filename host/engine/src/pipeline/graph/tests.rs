use serde_json::json;

use super::*;

fn build(document: serde_json::Value) -> Result<Graph, Vec<SpecError>> {
    let sketch = Graph::sketch(&PipelineSpec::from_json(document).unwrap(), &Unread::new());
    if sketch.errors.is_empty() { Ok(sketch.graph) } else { Err(sketch.errors) }
}

fn errors(document: serde_json::Value) -> Vec<String> {
    build(document).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn entries_come_after_their_inputs() {
    let graph = build(json!({
        "name": "p", "sources": { "z": { "type": "file" } },
        "steps": { "a": { "from": "b", "filter": "x" }, "b": { "from": "z", "filter": "x" } },
        "sinks": { "c": { "from": "a", "type": "stdout" } }
    }))
    .unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|node| &*node.name).collect();
    assert_eq!(names, ["z", "b", "a", "c"]);
    assert_eq!(graph.ancestors()[3], vec![0]);
}

#[test]
fn a_circle_is_named() {
    let found = errors(json!({
        "name": "p", "sources": { "s": { "type": "file" } },
        "steps": { "a": { "union": ["s", "b"] }, "b": { "from": "a", "filter": "x" } },
        "sinks": { "o": { "from": "b", "type": "stdout" } }
    }));
    assert!(found[0].contains("b -> a -> b") || found[0].contains("a -> b -> a"), "{found:?}");
}

#[test]
fn an_unknown_entry_is_answered_with_the_nearest() {
    let found = errors(json!({
        "name": "p", "sources": { "lines": { "type": "file" } },
        "sinks": { "o": { "from": "line", "type": "stdout" } }
    }));
    assert_eq!(found, ["sinks.o.from: unknown entry `line`: did you mean `lines`? (known: lines)"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let found = errors(json!({
        "name": "no/name", "sources": { "s": { "type": "file" }, "o": { "type": "file" } },
        "sinks": { "o": { "from": "s", "type": "stdout" }, "q": { "from": "o2", "type": "stdout" } }
    }));
    assert!(found[0].starts_with("name: `no/name` is no name"), "{found:?}");
    assert!(found[1].starts_with("sinks.o: the name is taken by sources.o"), "{found:?}");
    assert!(found[2].starts_with("sinks.q.from: unknown entry `o2`"), "{found:?}");
}

#[test]
fn rows_that_nobody_takes_and_rows_from_a_sink_are_refused() {
    let found = errors(json!({
        "name": "p", "sources": { "s": { "type": "file" }, "t": { "type": "file" } },
        "sinks": { "o": { "from": "s", "type": "stdout" } }
    }));
    assert!(found[0].starts_with("sources.t: nothing takes its rows"), "{found:?}");
    let found = errors(json!({
        "name": "p", "sources": { "s": { "type": "file" } },
        "sinks": { "o": { "from": "s", "type": "stdout" }, "q": { "from": "o", "type": "stdout" } }
    }));
    assert!(found[0].contains("`o` is a sink"), "{found:?}");
}

#[test]
fn what_only_follows_from_another_mistake_is_not_told() {
    // The circle a-b feeds c, `t` may be what `q` meant, and `u` could not be read.
    let spec = PipelineSpec::from_json(json!({
        "name": "p", "sources": { "s": { "type": "file" }, "t": { "type": "file" } },
        "steps": { "a": { "union": ["s", "b"] }, "b": { "from": "a", "filter": "x" },
            "c": { "from": "b", "filter": "x" }, "d": { "from": "u", "filter": "x" } },
        "sinks": { "o": { "from": "c", "type": "stdout" }, "q": { "from": "tt", "type": "stdout" },
            "r": { "from": "d", "type": "stdout" } }
    }))
    .unwrap();
    let unread = Unread::from([("u".to_owned(), Role::Source)]);
    let sketch = Graph::sketch(&spec, &unread);
    let errors: Vec<String> = sketch.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("sinks.q.from: unknown entry `tt`: did you mean `t`?"), "{errors:?}");
    assert!(errors[1].contains("rows would go in a circle"), "{errors:?}");
    let broken: Vec<&str> = sketch
        .graph
        .nodes
        .iter()
        .zip(&sketch.broken)
        .filter(|(_, broken)| **broken)
        .map(|(node, _)| &*node.name)
        .collect();
    assert_eq!(sketch.graph.nodes.len(), 9);
    for name in ["a", "b", "d", "q"] {
        assert!(broken.contains(&name), "{broken:?}");
    }
}

#[test]
fn a_table_feeds_only_who_takes_tables() {
    let spec = |left: &str, right: &str| {
        json!({
            "name": "p", "sources": { "s": { "type": "file" } }, "tables": { "t": { "type": "file" } },
            "steps": { "j": { "join": { "left": left, "right": right, "on": ["k"] } } },
            "sinks": { "o": { "from": "j", "type": "stdout" } }
        })
    };
    let graph = build(spec("s", "t")).unwrap();
    assert_eq!(graph.nodes[graph.find("j").unwrap()].inputs.len(), 2);
    assert_eq!(graph.ancestors()[graph.find("o").unwrap()], [graph.find("s").unwrap()]);
    let found = errors(spec("t", "s"));
    assert!(
        found[0].starts_with("steps.j.join.left: `t` is a table, and this takes rows of a stream"),
        "{found:?}"
    );
    assert!(found[0].contains("with the stream as `left`"), "{found:?}");
    let found = errors(spec("s", "tt"));
    assert!(found[0].starts_with("steps.j.join.right: unknown entry `tt`: did you mean `t`?"), "{found:?}");
}

#[test]
fn a_table_that_nothing_uses_is_refused() {
    let found = errors(json!({
        "name": "p", "sources": { "s": { "type": "file" } }, "tables": { "t": { "type": "file" } },
        "sinks": { "o": { "from": "s", "type": "stdout" } }
    }));
    assert!(found[0].starts_with("tables.t: nothing uses it"), "{found:?}");
}

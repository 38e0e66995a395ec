//! A spec that cannot be read as a whole: the parts that can, and what is wrong with the others, so
//! that one answer tells everything.

use serde_json::{Map, Value, json};

use super::error::{SpecError, read};
use super::graph::{Role, Unread};
use super::spec::{Delivery, PipelineSpec};

/// As much of a spec as can be read.
#[derive(Debug)]
pub struct Draft {
    /// None when it cannot be told which entries there are.
    spec: Option<PipelineSpec>,
    unread: Unread,
    errors: Vec<SpecError>,
}

const SECTIONS: [Role; 4] = [Role::Source, Role::Table, Role::Step, Role::Sink];

impl Draft {
    /// Reads a document part by part.
    #[must_use]
    pub fn read(document: &Value) -> Self {
        let Some(keys) = document.as_object() else {
            let errors = read::<PipelineSpec>(document.clone()).err().into_iter().collect();
            return Self { spec: None, unread: Unread::new(), errors };
        };
        let mut reader = Reader { good: blank(), unread: Unread::new(), errors: Vec::new(), lost: false };
        for key in ["name", "sources", "sinks"].into_iter().filter(|key| !keys.contains_key(*key)) {
            reader.missing(key);
        }
        for (key, value) in keys {
            match SECTIONS.into_iter().find(|role| role.section() == key) {
                Some(role) => reader.section(role, value),
                None => reader.key(key, value),
            }
        }
        let Reader { good, unread, errors, lost } = reader;
        let spec = read(Value::Object(good)).ok().filter(|_| !lost);
        Self { spec, unread, errors }
    }

    /// The spec without what could not be read; none when it is not even clear which entries it has.
    #[must_use]
    pub fn spec(&self) -> Option<&PipelineSpec> {
        self.spec.as_ref()
    }

    /// What could not be read, and why.
    #[must_use]
    pub fn errors(&self) -> &[SpecError] {
        &self.errors
    }

    pub(crate) fn unread(&self) -> &Unread {
        &self.unread
    }
}

struct Reader {
    good: Map<String, Value>,
    unread: Unread,
    errors: Vec<SpecError>,
    /// Entries may stand where nobody can find them: what is said of the others would be guesses.
    lost: bool,
}

/// A spec that says as little as it can.
fn blank() -> Map<String, Value> {
    let blank = json!({ "name": "draft", "sources": {}, "sinks": {} });
    blank.as_object().cloned().unwrap_or_default()
}

/// Why a spec with this part alone cannot be read: its errors have the words and paths of the whole.
fn fault(key: &str, value: &Value) -> Option<SpecError> {
    let mut spec = blank();
    spec.insert(key.to_owned(), value.clone());
    read::<PipelineSpec>(Value::Object(spec)).err()
}

impl Reader {
    fn missing(&mut self, key: &str) {
        let mut spec = blank();
        spec.shift_remove(key);
        self.errors.extend(read::<PipelineSpec>(Value::Object(spec)).err());
        self.lost |= key != "name";
    }

    fn section(&mut self, role: Role, value: &Value) {
        let key = role.section();
        let Some(entries) = value.as_object() else {
            self.errors.extend(fault(key, value));
            self.lost = true;
            return;
        };
        let mut good = Map::new();
        for (name, entry) in entries {
            match fault(key, &json!({ name: entry })) {
                None => drop(good.insert(name.clone(), entry.clone())),
                Some(error) => {
                    self.errors.push(error);
                    self.unread.insert(name.clone(), role);
                }
            }
        }
        self.good.insert(key.to_owned(), Value::Object(good));
    }

    fn key(&mut self, key: &str, value: &Value) {
        let Some(error) = fault(key, value) else {
            self.good.insert(key.to_owned(), value.clone());
            return;
        };
        self.errors.push(error);
        match key {
            // The least promise: what was asked for is not known, so it cannot be too much.
            "delivery" => drop(self.good.insert(key.to_owned(), json!(Delivery::AtMostOnce))),
            "name" | "trigger" | "parallelism" | "checkpoint" | "watermark" => {}
            // A misspelt section.
            _ => self.lost |= value.as_object().is_some_and(|map| !map.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(draft: &Draft) -> Vec<String> {
        draft.errors().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_part_that_cannot_be_read_is_told_in_its_own_words() {
        let document = json!({
            "name": "p", "delivery": "once", "trigger": { "evry": "1s" }, "owner": "me",
            "sources": { "a": { "type": "file" }, "b": { "path": "x" } },
            "steps": { "c": { "from": "a", "fliter": "true" }, "d": { "from": "a", "filter": "true" } },
            "sinks": { "o": { "from": "c", "type": "stdout" } }
        });
        let draft = Draft::read(&document);
        let mut expected: Vec<String> = Vec::new();
        for pointer in ["/delivery", "/trigger", "/owner", "/sources/b", "/steps/c"] {
            // One at a time, as a whole spec says it.
            let mut alone = json!({ "name": "p", "sources": {}, "steps": {}, "sinks": {} });
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            alone.pointer_mut(parent).unwrap()[key] = document.pointer(pointer).unwrap().clone();
            expected.push(PipelineSpec::from_json(alone).unwrap_err().to_string());
        }
        assert_eq!(errors(&draft), expected);
        let spec = draft.spec().unwrap();
        assert_eq!((spec.sources.len(), spec.steps.len(), spec.sinks.len()), (1, 1, 1));
        assert_eq!(spec.delivery, Delivery::AtMostOnce);
        let unread: Vec<&str> = draft.unread().keys().map(String::as_str).collect();
        assert_eq!(unread, ["b", "c"]);
    }

    #[test]
    fn nothing_is_said_of_entries_when_some_cannot_be_found() {
        for (document, expected) in [
            (json!([]), 1),
            (json!({}), 3),
            (json!({ "name": "p", "sources": [], "sinks": {} }), 1),
            (json!({ "name": "p", "sorces": { "a": {} }, "sinks": { "o": {} } }), 3),
        ] {
            let draft = Draft::read(&document);
            assert_eq!(errors(&draft).len(), expected, "{:?}", errors(&draft));
            assert!(draft.spec().is_none(), "{document}");
        }
    }
}

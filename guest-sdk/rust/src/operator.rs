//! What a plugin is made of: operators, each opened with a config and an input schema.

use std::fmt;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::config;
use crate::error::{Error, Result, nearest};
use crate::output::{Finished, Output};
use crate::schema::Schema;

/// A plugin's name, version and operators; [`crate::plugin!`] makes it.
#[derive(Debug)]
pub struct Plugin {
    /// Lower-case letters, digits and hyphens.
    pub name: &'static str,
    /// Semantic version.
    pub version: &'static str,
    /// What it is for, in a sentence.
    pub summary: &'static str,
    /// What it offers.
    pub operators: Vec<Operator>,
}

impl Plugin {
    /// Opens one of the operators, as the host does once an instance.
    ///
    /// # Errors
    /// When there is no such operator, or it refuses its config or the input schema.
    pub fn open(&self, operator: &str, config: &str, input: &Schema) -> Result<Transform> {
        let found = self.operators.iter().find(|known| known.name == operator).ok_or_else(|| {
            let known = self.operators.iter().map(|operator| operator.name);
            Error::new(format!(
                "the plugin `{}` has no operator `{operator}`; {}",
                self.name,
                nearest(operator, known)
            ))
        })?;
        (found.open)(config, input)
    }
}

/// One operator: how it is described and how it is opened. There is a constructor for each kind.
pub struct Operator {
    pub(crate) name: &'static str,
    pub(crate) config_schema: fn() -> serde_json::Value,
    open: Open,
}

type Open = Box<dyn Fn(&str, &Schema) -> Result<Transform>>;

impl Operator {
    /// An operator of the kind `transform`. `open` is called once an instance with the config, read
    /// from JSON, and the input schema; the first line of the config type's documentation is the
    /// operator's summary.
    pub fn transform<C, F>(name: &'static str, open: F) -> Self
    where
        C: DeserializeOwned + JsonSchema,
        F: Fn(C, &Schema) -> Result<Transform> + 'static,
    {
        let open = Box::new(move |json: &str, input: &Schema| open(config::parse(json)?, input));
        Self { name, config_schema: config::schema::<C>, open }
    }

    /// Its name in pipelines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The JSON Schema of its config.
    #[must_use]
    pub fn config_schema(&self) -> serde_json::Value {
        (self.config_schema)()
    }

    /// What it does: the first paragraph of its config type's documentation.
    #[must_use]
    pub fn summary(&self) -> String {
        let schema = self.config_schema();
        let description = schema.get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
        let paragraph = description.split("\n\n").next().unwrap_or_default();
        paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An opened transform: rows in, rows out, nothing remembered, so that any batch can be run again
/// on another instance with the same result.
pub struct Transform {
    output: Rc<Schema>,
    process: Process,
}

type Process = Box<dyn Fn(Batch, &mut Output) -> Result<()>>;

impl Transform {
    /// A transform with this output schema. `process` is called once a batch; an error of it refuses
    /// the whole batch.
    pub fn new(output: Schema, process: impl Fn(Batch, &mut Output) -> Result<()> + 'static) -> Self {
        Self { output: Rc::new(output), process: Box::new(process) }
    }

    /// The columns it gives.
    #[must_use]
    pub fn output(&self) -> &Schema {
        &self.output
    }

    /// Runs a batch.
    ///
    /// # Errors
    /// When the operator refuses the batch, or its columns do not agree with each other.
    pub fn process(&self, input: Batch) -> Result<Finished> {
        let mut output = Output::new(Rc::clone(&self.output));
        (self.process)(input, &mut output)?;
        output.finish()
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform").field("output", &self.output).finish_non_exhaustive()
    }
}

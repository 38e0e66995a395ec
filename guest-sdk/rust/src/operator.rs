//! What a plugin is made of: operators, each opened with a config and an input schema.

use std::fmt;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::aggregate::{ColumnAggregate, OpenedAggregate};
use crate::batch::Batch;
use crate::config;
use crate::error::{Error, Result, nearest};
use crate::keyed::{Keyed, OpenedKeyed};
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
    /// Opens a transform, as the host does once an instance.
    ///
    /// # Errors
    /// When there is no such transform, or it refuses its config or the input schema.
    pub fn open(&self, operator: &str, config: &str, input: &Schema) -> Result<Transform> {
        match &self.find(operator)?.open {
            Open::Transform(open) => open(config, input),
            other => Err(other.is_not("transform", operator)),
        }
    }

    /// Opens an aggregate, as the host does once an instance.
    ///
    /// # Errors
    /// When there is no such aggregate, or it refuses its config or the input schema.
    pub fn open_aggregate(&self, operator: &str, config: &str, input: &Schema) -> Result<OpenedAggregate> {
        match &self.find(operator)?.open {
            Open::Aggregate { open, .. } => open(config, input),
            other => Err(other.is_not("aggregate", operator)),
        }
    }

    /// Opens a keyed operator, as the host does once an instance.
    ///
    /// # Errors
    /// When there is no such keyed operator, or it refuses its config or a schema.
    pub fn open_keyed(
        &self,
        operator: &str,
        config: &str,
        keys: &Schema,
        input: &Schema,
    ) -> Result<OpenedKeyed> {
        match &self.find(operator)?.open {
            Open::Keyed(open) => open(config, keys, input),
            other => Err(other.is_not("keyed", operator)),
        }
    }

    fn find(&self, operator: &str) -> Result<&Operator> {
        self.operators.iter().find(|known| known.name == operator).ok_or_else(|| {
            let known = self.operators.iter().map(|operator| operator.name);
            Error::new(format!(
                "the plugin `{}` has no operator `{operator}`; {}",
                self.name,
                nearest(operator, known)
            ))
        })
    }
}

/// One operator: how it is described and how it is opened. There is a constructor for each kind.
pub struct Operator {
    pub(crate) name: &'static str,
    pub(crate) config_schema: fn() -> serde_json::Value,
    pub(crate) open: Open,
}

/// How an operator of each kind is opened.
pub(crate) enum Open {
    Transform(OpenWith<Transform>),
    Aggregate { open: OpenWith<OpenedAggregate>, retracts: bool },
    Keyed(OpenKeyed),
}

type OpenWith<T> = Box<dyn Fn(&str, &Schema) -> Result<T>>;
type OpenKeyed = Box<dyn Fn(&str, &Schema, &Schema) -> Result<OpenedKeyed>>;

impl Open {
    fn kind(&self) -> &'static str {
        match self {
            Self::Transform(_) => "transform",
            Self::Aggregate { .. } => "aggregate",
            Self::Keyed(_) => "keyed",
        }
    }

    fn is_not(&self, wanted: &str, operator: &str) -> Error {
        Error::new(format!("the operator `{operator}` is of the kind {}, not {wanted}", self.kind()))
    }
}

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
        Self { name, config_schema: config::schema::<C>, open: Open::Transform(open) }
    }

    /// An operator of the kind `aggregate`: an [`Aggregate`](crate::Aggregate) or a
    /// [`ColumnAggregate`]. `open` is called as for a transform.
    pub fn aggregate<C, A, F>(name: &'static str, open: F) -> Self
    where
        C: DeserializeOwned + JsonSchema,
        A: ColumnAggregate,
        F: Fn(C, &Schema) -> Result<A> + 'static,
    {
        let open = Box::new(move |json: &str, input: &Schema| {
            OpenedAggregate::new(open(config::parse(json)?, input)?)
        });
        let open = Open::Aggregate { open, retracts: A::RETRACTS };
        Self { name, config_schema: config::schema::<C>, open }
    }

    /// An operator of the kind `keyed`. `open` is called as for a transform, with the schema of the
    /// keys and that of the input.
    pub fn keyed<C, K, F>(name: &'static str, open: F) -> Self
    where
        C: DeserializeOwned + JsonSchema,
        K: Keyed,
        F: Fn(C, &Schema, &Schema) -> Result<K> + 'static,
    {
        let open = Box::new(move |json: &str, keys: &Schema, input: &Schema| {
            OpenedKeyed::new(keys, open(config::parse(json)?, keys, input)?)
        });
        Self { name, config_schema: config::schema::<C>, open: Open::Keyed(open) }
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

    /// Whether it is an aggregate that can undo a merge.
    #[must_use]
    pub fn retracts(&self) -> bool {
        matches!(self.open, Open::Aggregate { retracts: true, .. })
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

//! `sql`: one statement of SQLite over the rows of a batch and over tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Kind, LatePolicy, Takes};
use crate::batch::{EventTime, data_type};
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet};
use crate::pipeline::error::SpecError;
use crate::pipeline::units::Span;
use crate::steps::KeyedPlan;
use crate::steps::sql::{SqlParts, SqlPlan, SqlTable};

/// A `sql` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlSpec {
    /// Input entry; the statement calls its rows `input`.
    pub from: String,
    /// A SELECT.
    pub sql: String,
    /// The tables that it reads.
    #[serde(default, skip_serializing_if = "SqlTables::is_empty")]
    pub tables: SqlTables,
    /// Types of result columns for which SQLite has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schema: BTreeMap<String, String>,
    /// How long the statement may run over one batch; 10s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
}

/// Tables that a statement reads: a list of names, or a map of names to the columns that rows are looked
/// up by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SqlTables {
    /// No table.
    #[default]
    #[schemars(skip)]
    None,
    /// Names.
    Names(Vec<String>),
    /// Names, and the columns of an index.
    Indexed(BTreeMap<String, Vec<String>>),
}

impl<'de> Deserialize<'de> for SqlTables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = match &value {
            Value::Object(_) => serde_json::from_value(value).map(Self::Indexed),
            _ => serde_json::from_value(value).map(Self::Names),
        };
        read.map_err(|_| {
            let message = "`tables` is a list of names, `[cities]`, or a map of names to the columns that rows are \
                           looked up by, `{ cities: [id] }`";
            serde::de::Error::custom(message)
        })
    }
}

impl SqlTables {
    fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Names(names) => names.is_empty(),
            Self::Indexed(tables) => tables.is_empty(),
        }
    }

    /// Where each is named, its name, and the columns of its index.
    fn all(&self) -> Vec<(String, &str, &[String])> {
        match self {
            Self::None => Vec::new(),
            Self::Names(names) => {
                let named = names.iter().enumerate();
                named.map(|(i, name)| (format!("tables[{i}]"), name.as_str(), &[][..])).collect()
            }
            Self::Indexed(tables) => {
                let named = tables.iter();
                named
                    .map(|(name, index)| (format!("tables.{name}"), name.as_str(), index.as_slice()))
                    .collect()
            }
        }
    }
}

/// Long for a statement over one batch, short for whoever waits for it.
const DEADLINE: Span = Span::from_ms(10_000);

impl SqlSpec {
    fn types(&self) -> Result<BTreeMap<String, DataType>, SpecError> {
        let types = self.schema.iter().map(|(name, text)| {
            let found = data_type(text);
            let found = found.map_err(|error| SpecError::new(format!("schema.{name}"), error.to_string()))?;
            Ok((name.clone(), found))
        });
        types.collect()
    }
}

impl Kind for SqlSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        let tables = self.tables.all().into_iter().map(|(path, name, _)| (path, name));
        std::iter::once(("from".to_owned(), self.from.as_str())).chain(tables).collect()
    }

    fn takes(&self, input: usize) -> Takes {
        if input == 0 { Takes::Rows } else { Takes::Table }
    }

    fn check_alone(&self, _: &Environment) -> Result<(), SpecError> {
        self.types().map(drop)
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let (input, tables) = (inputs[0], &inputs[1..]);
        let views = tables.iter().filter_map(|outlet| outlet.table.clone());
        let tables = views.zip(self.tables.all());
        let tables = tables.map(|(view, (_, _, index))| SqlTable { view, index: index.to_vec() });
        let clock = Arc::clone(&env.clock);
        let parts = SqlParts {
            input: Arc::clone(&input.schema),
            tables: tables.collect(),
            statement: self.sql.clone(),
            types: self.types()?,
            deadline: self.deadline.unwrap_or(DEADLINE).duration(),
            elapsed: Arc::new(move || clock.monotonic()),
        };
        let plan = SqlPlan::new(parts).map_err(|error| SpecError::new(error.path, error.message))?;
        // The rows of the statement happened when its column of that name says.
        let schema = Arc::clone(plan.schema());
        let time = input.event_time.and_then(|time| {
            let column = schema.index_of(input.schema.field(time.column).name()).ok()?;
            let is_time = matches!(schema.field(column).data_type(), DataType::Timestamp(..));
            is_time.then_some(EventTime { column, ..time })
        });
        Ok(LatePolicy::Drop.entry(plan, Outlet::stream(schema, time), input))
    }
}

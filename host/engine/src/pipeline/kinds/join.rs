//! `join`: rows of two streams that belong together, or of a stream and a table.

mod window;

use std::sync::Arc;

use arrow_schema::Schema;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::named::quoted;
use super::union::difference;
use super::{Kind, LatePolicy, Named, Port, Takes};
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;
use crate::pipeline::units::Span;
use crate::steps::{
    JoinError, JoinInput, JoinKey, JoinKind as StepKind, JoinParts, JoinPlan, KeyedPlan, TableJoinParts,
    TableJoinPlan, WindowJoinParts, WindowJoinPlan,
};
use crate::table::TableView;

pub use window::JoinWindow;

/// A `join` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinSpec {
    /// Which rows belong together.
    pub join: JoinBody,
    /// What becomes of rows before the watermark.
    #[serde(default)]
    pub late: LatePolicy,
}

/// Which rows belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinBody {
    /// Input entry.
    pub left: String,
    /// The other one, or a table.
    pub right: String,
    /// What must be equal.
    pub on: JoinOn,
    /// Which rows are emitted.
    #[serde(default)]
    pub kind: JoinKind,
    /// How far apart their event times may be; not with a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// In place of `within`: rows of the same window belong together, which come out when it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<JoinWindow>,
}

/// Which rows a join emits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JoinKind {
    /// Pairs.
    #[default]
    Inner,
    /// Pairs, and left rows without a match.
    Left,
    /// Pairs, and right rows without a match.
    Right,
    /// Pairs, and rows of either side without a match.
    Full,
    /// Left rows with a match.
    Semi,
    /// Left rows without a match.
    Anti,
}

/// What must be equal: a list of columns that both sides have, or a map of left to right expressions.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Value")]
pub enum JoinOn {
    /// Columns of both sides.
    Columns(Vec<String>),
    /// Left and right expression.
    Expressions(Vec<(String, String)>),
}

/// How far apart the event times of two rows may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Within {
    /// In either direction.
    Apart(Span),
    /// The right row may be so much before the left one, or so much after it.
    Around(Around),
}

/// From when until when, around a left row, right rows match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Around {
    /// So much before the left row.
    #[serde(default)]
    pub before: Span,
    /// So much after the left row.
    #[serde(default)]
    pub after: Span,
}

impl<'de> Deserialize<'de> for JoinOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = "`on` is a list of columns that both sides have, `[order]`, or a map of left to right \
                     expressions, `{ id: order_id }`";
        let wrong = || serde::de::Error::custom(wrong);
        match Value::deserialize(deserializer)? {
            Value::Array(columns) => {
                let names = columns.iter().map(|column| column.as_str().map(str::to_owned));
                names.collect::<Option<_>>().map(Self::Columns).ok_or_else(wrong)
            }
            map @ Value::Object(_) => {
                let pairs: Named = serde_json::from_value(map).map_err(serde::de::Error::custom)?;
                Ok(Self::Expressions(pairs.0))
            }
            _ => Err(wrong()),
        }
    }
}

impl Serialize for JoinOn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Columns(names) => serializer.collect_seq(names),
            Self::Expressions(pairs) => {
                serializer.collect_map(pairs.iter().map(|(left, right)| (left, right)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = match &value {
            Value::Object(sides) if sides.is_empty() => {
                let message = "say how far apart: `within: { before: 5min, after: 1h }`";
                return Err(serde::de::Error::custom(message));
            }
            Value::Object(_) => serde_json::from_value(value).map(Self::Around),
            _ => serde_json::from_value(value).map(Self::Apart),
        };
        read.map_err(serde::de::Error::custom)
    }
}

impl Within {
    fn around(self) -> Around {
        match self {
            Self::Apart(span) => Around { before: span, after: span },
            Self::Around(around) => around,
        }
    }
}

impl JoinOn {
    fn keys(&self) -> Vec<JoinKey> {
        match self {
            Self::Columns(names) => {
                let key = |name: &String| {
                    let quoted = quoted(name);
                    JoinKey { name: name.clone(), left: quoted.clone(), right: quoted }
                };
                names.iter().map(key).collect()
            }
            Self::Expressions(pairs) => {
                let key = |(left, right): &(String, String)| JoinKey {
                    name: left.clone(),
                    left: left.clone(),
                    right: right.clone(),
                };
                pairs.iter().map(key).collect()
            }
        }
    }
}

impl From<JoinKind> for StepKind {
    fn from(kind: JoinKind) -> Self {
        match kind {
            JoinKind::Inner => Self::Inner,
            JoinKind::Left => Self::Left,
            JoinKind::Right => Self::Right,
            JoinKind::Full => Self::Full,
            JoinKind::Semi => Self::Semi,
            JoinKind::Anti => Self::Anti,
        }
    }
}

impl JoinSpec {
    fn around(&self) -> Result<Around, SpecError> {
        self.join.within.map(Within::around).ok_or_else(|| {
            let message = "missing: a match might come at any time, so each row would be kept for ever; say how far \
                           apart the event times of two rows may be: `within: 1h`, or \
                           `within: { before: 5min, after: 1h }`, the right row before or after the left one; or join \
                           rows of the same window: `window: { tumbling: 10s }`";
            SpecError::new("join.within", message)
        })
    }

    fn with_table(&self, left: &Outlet, table: &TableView) -> Result<Entry, SpecError> {
        let bound = [("within", self.join.within.is_some()), ("window", self.join.window.is_some())];
        if let Some((key, _)) = bound.into_iter().find(|(_, is_given)| *is_given) {
            let message = format!(
                "the right side is a table, whose rows have no event time: each row that comes sees the version of its \
                 batch; leave `{key}` out"
            );
            return Err(SpecError::new(format!("join.{key}"), message));
        }
        if self.late != LatePolicy::DeadLetter {
            return Err(SpecError::new(
                "late",
                "a join with a table waits for nothing, so no row is late: leave it out",
            ));
        }
        let parts = TableJoinParts {
            left: Arc::clone(&left.schema),
            right: table.clone(),
            on: self.join.on.keys(),
            kind: self.join.kind.into(),
        };
        let plan = TableJoinPlan::new(parts).map_err(in_spec)?;
        let outlet = Outlet::stream(Arc::clone(plan.schema()), left.event_time);
        Ok(Entry::one(outlet, What::TableJoin(plan)))
    }

    fn by_window(&self, window: &JoinWindow, left: &Outlet, right: &Outlet) -> Result<Entry, SpecError> {
        let plan = WindowJoinPlan::new(WindowJoinParts {
            inputs: [side(left, "left")?, side(right, "right")?],
            on: self.join.on.keys(),
            kind: self.join.kind.into(),
            windows: window.windows()?,
            lateness_us: window.lateness.us(),
        });
        let plan = plan.map_err(in_spec)?;
        let late = self.late_rows(left, right)?;
        let outlet = Outlet::stream(Arc::clone(plan.schema()), Some(plan.event_time()));
        Ok(self.late.entry(plan, outlet, &late))
    }

    /// Late rows of both sides, for those who take them.
    fn late_rows(&self, left: &Outlet, right: &Outlet) -> Result<Outlet, SpecError> {
        if self.late != LatePolicy::Side {
            return Ok(left.clone());
        }
        if let Some(difference) = difference(&left.schema, &right.schema) {
            let message = format!(
                "late rows of both inputs would leave by one way out, and are not alike: {difference} (right, then \
                 left); use `dead-letter` or `drop`, or make the inputs alike"
            );
            return Err(SpecError::new("late", message));
        }
        let fields = left.schema.fields().iter().zip(right.schema.fields());
        let fields =
            fields.map(|(l, r)| l.as_ref().clone().with_nullable(l.is_nullable() || r.is_nullable()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let event_time = left.event_time.filter(|_| left.event_time == right.event_time);
        Ok(Outlet::stream(schema, event_time))
    }
}

fn in_spec(error: JoinError) -> SpecError {
    SpecError::new(error.path, error.message).under("join")
}

fn side(input: &Outlet, name: &str) -> Result<JoinInput, SpecError> {
    let time = input.event_time.ok_or_else(|| {
        let message = "its rows have no event time, by which a join knows how long to keep them: give the source an \
                       `event_time`, and keep that column on the way";
        SpecError::new(format!("join.{name}"), message)
    })?;
    Ok(JoinInput { schema: Arc::clone(&input.schema), time })
}

impl Kind for JoinSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("join.left".to_owned(), &self.join.left), ("join.right".to_owned(), &self.join.right)]
    }

    fn ports(&self) -> Vec<Port> {
        self.late.ports()
    }

    fn takes(&self, input: usize) -> Takes {
        [Takes::Rows, Takes::Either][input]
    }

    fn check_alone(&self, _: &Environment) -> Result<(), SpecError> {
        match (&self.join.window, self.join.within) {
            (Some(_), Some(_)) => {
                let message = "a join has either `window` or `within`: rows of the same window belong together, or rows \
                               that are so near each other";
                Err(SpecError::new("join.window", message))
            }
            (Some(window), None) => window.windows().map(drop),
            (None, _) => Ok(()),
        }
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        self.check_alone(env)?;
        let (left, right) = (inputs[0], inputs[1]);
        if let Some(table) = &right.table {
            return self.with_table(left, table);
        }
        if let Some(window) = &self.join.window {
            return self.by_window(window, left, right);
        }
        let around = self.around()?;
        let plan = JoinPlan::new(JoinParts {
            inputs: [side(left, "left")?, side(right, "right")?],
            on: self.join.on.keys(),
            kind: self.join.kind.into(),
            before_us: around.before.us(),
            after_us: around.after.us(),
        });
        let plan = plan.map_err(in_spec)?;
        let late = self.late_rows(left, right)?;
        let outlet = Outlet::stream(Arc::clone(plan.schema()), plan.event_time());
        Ok(self.late.entry(plan, outlet, &late))
    }
}

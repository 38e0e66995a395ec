//! `wasm`: a plugin's transform operator.

use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};
use millstream_wasm::{CallError, Limits, Observer, OpenTransform, Plugin, Transform};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Kind;
use crate::batch::EventTime;
use crate::pipeline::deployment::Environment;
use crate::pipeline::entry::{Entry, Outlet, What};
use crate::pipeline::error::SpecError;
use crate::pipeline::plugin_ref::PluginRef;
use crate::pipeline::units::{ByteSize, Span};
pub(super) use crate::steps::aggregate::Deaf;

/// A `wasm` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WasmSpec {
    /// Input entry.
    pub from: String,
    /// `plugin/operator@version`.
    #[serde(rename = "wasm")]
    pub operator: String,
    /// The operator's config.
    #[serde(default = "no_config")]
    pub config: Value,
    /// What happens to a row that breaks the plugin.
    #[serde(default)]
    pub on_fault: FaultPolicy,
    /// How long one call may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// How much memory one instance may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}

/// What happens to rows that an operator rejects or that break it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultPolicy {
    /// They are kept as dead letters, the rest goes on.
    #[default]
    DeadLetter,
    /// They are counted and dropped.
    Drop,
    /// The pipeline fails.
    Fail,
}

pub(super) fn no_config() -> Value {
    Value::Object(Map::new())
}

/// A `wasm` step whose plugin is found and has accepted its config and input.
#[derive(Clone)]
pub(crate) struct WasmPlan {
    pub(crate) plugin: Plugin,
    pub(crate) operator: String,
    config: String,
    input: SchemaRef,
    limits: Option<Limits>,
    pub(crate) on_fault: FaultPolicy,
}

impl WasmPlan {
    /// Opens the operator on an instance of its own.
    pub(crate) fn open(&self, observer: Arc<dyn Observer>) -> Result<Transform, CallError> {
        self.plugin.transform(&OpenTransform {
            operator: &self.operator,
            config: &self.config,
            input: &self.input,
            observer,
            limits: self.limits.clone(),
        })
    }
}

impl Kind for WasmSpec {
    fn inputs(&self) -> Vec<(String, &str)> {
        vec![("from".to_owned(), &self.from)]
    }

    fn check_alone(&self, env: &Environment) -> Result<(), SpecError> {
        find(env, "wasm", &self.operator).map(drop)
    }

    fn plan(&self, env: &Environment, inputs: &[&Outlet]) -> Result<Entry, SpecError> {
        let input = inputs[0];
        let (reference, plugin) = find(env, "wasm", &self.operator)?;
        let plan = WasmPlan {
            plugin,
            operator: reference.operator,
            config: self.config.to_string(),
            input: Arc::clone(&input.schema),
            limits: limits(self.deadline, self.memory),
            on_fault: self.on_fault,
        };
        let transform = plan.open(Arc::new(Deaf)).map_err(|error| not_opened("wasm", error))?;
        let schema = transform.output_schema();
        let is_time = |column: &usize| matches!(schema.field(*column).data_type(), DataType::Timestamp(..));
        let event_time = input.event_time.and_then(|time| {
            let name = input.schema.field(time.column).name();
            schema.index_of(name).ok().filter(is_time).map(|column| EventTime { column, ..time })
        });
        Ok(Entry::one(Outlet::stream(schema, event_time), What::Wasm(plan)))
    }
}

/// The plugin that a step names under the key `path`.
pub(super) fn find(env: &Environment, path: &str, operator: &str) -> Result<(PluginRef, Plugin), SpecError> {
    let wrong = |message: String| SpecError::new(path, message);
    let reference: PluginRef = operator.parse().map_err(wrong)?;
    let plugin = env.plugins.find(&reference).map_err(wrong)?;
    Ok((reference, plugin))
}

/// Limits of a step's own; none where all are the runtime's.
pub(super) fn limits(deadline: Option<Span>, memory: Option<ByteSize>) -> Option<Limits> {
    if deadline.is_none() && memory.is_none() {
        return None;
    }
    let mut limits = Limits::default();
    if let Some(deadline) = deadline {
        limits.deadline_ms = u64::try_from(deadline.duration().as_millis()).unwrap_or(u64::MAX).max(1);
    }
    if let Some(memory) = memory {
        limits.memory_bytes_max = usize::try_from(memory.0).unwrap_or(usize::MAX);
    }
    Some(limits)
}

/// Why an operator that a step names under the key `path` does not open.
pub(super) fn not_opened(path: &str, error: CallError) -> SpecError {
    match error {
        CallError::Answered(message) => SpecError::new("config", message),
        other => SpecError::new(path, other.to_string()),
    }
}

//! Pipelines as documents.

use std::collections::BTreeMap;

use millstream_engine::pipeline::{Deployment, EntryInfo, Guarantee, PipelineState, Progress, SpecError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::feed::PluginNumber;
use super::managed::{Facts, Managed};
use super::{Supervisor, SupervisorError, state_name};
use crate::catalog::{PipelineRow, Wanted};

/// A pipeline in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PipelineSummary {
    /// Unique on the server.
    pub(crate) name: String,
    /// starting, running, retrying, draining, stopped, finished or failed.
    pub(crate) state: &'static str,
    /// Why it failed, or tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What was asked for last: running or stopped.
    pub(crate) wanted: &'static str,
    /// Counts deployments.
    pub(crate) version: u64,
    /// Random; another pipeline of the same name has another.
    pub(crate) id: String,
    /// Microseconds since the Unix epoch.
    pub(crate) created_at_us: i64,
    /// When the version was deployed: microseconds since the Unix epoch.
    pub(crate) deployed_at_us: i64,
    /// Rows read a second in the newest batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_rows_per_second: Option<f64>,
}

/// Everything about a pipeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PipelineDocument {
    #[serde(flatten)]
    pub(crate) summary: PipelineSummary,
    /// As it was sent.
    #[schema(value_type = Object)]
    pub(crate) spec: Value,
    #[serde(flatten)]
    pub(crate) soundness: Soundness,
    /// What no longer holds (a plugin that is gone, a connector that changed).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub(crate) errors: Vec<SpecError>,
    /// SHA-256 of the plugins it was deployed with.
    pub(crate) plugin_digests: Vec<String>,
    /// Where its sources listen, by source.
    pub(crate) addresses: BTreeMap<String, String>,
    /// What its plugins count.
    pub(crate) numbers: Vec<PluginNumber>,
    /// The newest batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) progress: Option<Progress>,
}

/// What planning found out.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Soundness {
    /// Each sink: sink, possible, delivery, reasons.
    #[schema(value_type = Vec<Object>)]
    pub(crate) guarantees: Vec<Guarantee>,
    /// Each entry: name, role, kind, inputs, columns, event_time.
    #[schema(value_type = Vec<Object>)]
    pub(crate) entries: Vec<EntryInfo>,
    /// What a person should know before it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

impl Soundness {
    pub(super) fn of(deployment: &Deployment) -> Self {
        Facts::of(deployment).into()
    }
}

impl Facts {
    pub(super) fn of(deployment: &Deployment) -> Self {
        Self {
            guarantees: deployment.guarantees().to_vec(),
            entries: deployment.entries(),
            warnings: deployment.warnings(),
        }
    }
}

impl From<Facts> for Soundness {
    fn from(facts: Facts) -> Self {
        Self { guarantees: facts.guarantees, entries: facts.entries, warnings: facts.warnings }
    }
}

impl Supervisor {
    /// The pipeline that is to take what is pushed to `stream` but does not at the moment (it starts,
    /// or tries again), in words; none when nobody will.
    pub(crate) fn will_take(&self, stream: &str) -> Option<String> {
        let all = self.all();
        let found = all.iter().find(|managed| {
            !managed.state().is_over() && managed.row().is_some_and(|row| has_stream(&row, stream))
        })?;
        Some(match found.state() {
            PipelineState::Retrying { reason, .. } => {
                format!(
                    "pipeline `{}` takes nothing for `{stream}` until this has passed: {reason}",
                    found.name
                )
            }
            state => format!("pipeline `{}`, which reads `{stream}`, is {}", found.name, state_name(&state)),
        })
    }

    /// All pipelines, by name.
    pub(crate) fn list(&self) -> Vec<PipelineSummary> {
        self.all().iter().filter_map(|managed| managed.row().map(|row| summary(managed, &row))).collect()
    }

    /// One pipeline.
    ///
    /// # Errors
    /// When it is unknown.
    pub(crate) fn show(&self, name: &str) -> Result<PipelineDocument, SupervisorError> {
        let managed = self.existing(name)?;
        let row = managed
            .row()
            .ok_or_else(|| SupervisorError::Unknown(format!("pipeline `{name}` was deleted")))?;
        let (facts, errors) = match managed.facts() {
            Some(facts) => (facts, Vec::new()),
            // Restored and not started yet: planning touches no data.
            None => match self.plan_row(&row) {
                Ok(deployment) => {
                    let facts = Facts::of(&deployment);
                    managed.set_facts(facts.clone());
                    (facts, Vec::new())
                }
                Err(errors) => (Facts::default(), errors),
            },
        };
        Ok(PipelineDocument {
            summary: summary(&managed, &row),
            spec: serde_json::from_str(&row.current.spec).unwrap_or_default(),
            soundness: facts.into(),
            errors,
            plugin_digests: row.current.digests,
            addresses: self.connectors.addresses(name),
            numbers: managed.feed.numbers(),
            progress: managed.feed.progress_now(),
        })
    }
}

fn has_stream(row: &PipelineRow, stream: &str) -> bool {
    let spec: Value = serde_json::from_str(&row.current.spec).unwrap_or_default();
    let mut sources = spec["sources"].as_object().into_iter().flat_map(|sources| sources.values());
    sources.any(|source| source["type"] == "http" && source["stream"] == stream)
}

fn summary(managed: &Managed, row: &PipelineRow) -> PipelineSummary {
    let state = managed.state();
    PipelineSummary {
        name: row.name.clone(),
        state: state_name(&state),
        reason: match state {
            PipelineState::Failed { reason } | PipelineState::Retrying { reason, .. } => Some(reason),
            _ => None,
        },
        wanted: match row.wanted {
            Wanted::Running => "running",
            Wanted::Stopped => "stopped",
        },
        version: row.current.version,
        id: row.id.clone(),
        created_at_us: row.created_at_us,
        deployed_at_us: row.current.created_at_us,
        input_rows_per_second: managed.feed.progress_now().map(|progress| progress.input_rows_per_second),
    }
}

//! From a document to a deployed pipeline: everything is checked before anything that runs is touched.

use millstream_engine::pipeline::{Deployment, PipelineSpec, SpecError};
use serde_json::Value;

use super::managed::{Facts, Managed};
use super::view::Soundness;
use super::{Supervisor, SupervisorError};
use crate::catalog::Wanted;
use crate::random;

/// What may be there before a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The name must be free.
    Create,
    /// A pipeline of that name gets a new version and keeps its state.
    Replace,
}

impl Supervisor {
    /// Checks a spec and says what it would guarantee.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn validate(&self, document: Value) -> Result<Soundness, SupervisorError> {
        let spec = self.read_spec(document)?;
        let deployment = self.plan(&spec, &[]).map_err(SupervisorError::Invalid)?;
        Ok(Soundness::of(&deployment))
    }

    /// Deploys a spec: checks it, stores it as a new version, stops the version that runs and, if
    /// `wanted`, starts this one. Answers with the name and whether the pipeline is new.
    ///
    /// # Errors
    /// When the spec is wrong or the name is taken; then nothing has changed.
    pub(crate) fn deploy(
        &self,
        document: Value,
        mode: Mode,
        wanted: Wanted,
    ) -> Result<(String, bool), SupervisorError> {
        let text = document.to_string();
        let spec = self.read_spec(document)?;
        self.in_turn(
            || Ok(self.named_or_new(&spec.name)),
            |managed| {
                if mode == Mode::Create && managed.exists() {
                    return Err(SupervisorError::Exists(spec.name.clone()));
                }
                let deployment =
                    self.store(managed, &spec, &text, wanted).inspect_err(|_| self.drop_if_new(managed))?;
                self.halt(managed);
                if wanted == Wanted::Running {
                    self.launch(managed, deployment);
                }
                let created = managed.row().is_some_and(|row| row.current.version == 1);
                Ok((spec.name.clone(), created))
            },
        )
    }

    /// Reads a spec; its name becomes a folder, so it is checked here and not left to the engine.
    fn read_spec(&self, document: Value) -> Result<PipelineSpec, SupervisorError> {
        let name = document.get("name").and_then(Value::as_str);
        let mut errors: Vec<SpecError> =
            name.filter(|name| !is_name(name)).map(bad_name).into_iter().collect();
        match PipelineSpec::from_json(document.clone()) {
            Ok(spec) if errors.is_empty() => return Ok(spec),
            Ok(spec) => super::add_errors(&mut errors, self.plan(&spec, &[]).err().unwrap_or_default()),
            Err(_) => super::add_errors(&mut errors, self.faults(&document)),
        }
        Err(SupervisorError::Invalid(errors))
    }

    /// Plans and stores a new version; what runs goes on meanwhile.
    fn store(
        &self,
        managed: &Managed,
        spec: &PipelineSpec,
        text: &str,
        wanted: Wanted,
    ) -> Result<Deployment, SupervisorError> {
        let deployment = self.plan(spec, &[]).map_err(SupervisorError::Invalid)?;
        let id = random::hex::<16>().map_err(SupervisorError::Data)?;
        let digests: Vec<String> = deployment.plugin_digests().into_values().collect();
        let row = self.catalog.put_pipeline(&spec.name, &id, text, &digests, wanted)?;
        managed.set_row(row);
        managed.set_facts(Facts::of(&deployment));
        Ok(deployment)
    }
}

fn bad_name(name: &str) -> SpecError {
    let message = format!("`{name}` is no name: use lower-case letters, digits and hyphens, at most 63");
    SpecError::new("name", message)
}

/// Lower-case letters, digits and hyphens, beginning with a letter or digit; `validate` is a path
/// of the API.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&name.len())
        && name != "validate"
        && !name.starts_with('-')
        && name.bytes().all(allowed)
}

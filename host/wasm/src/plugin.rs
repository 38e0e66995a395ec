//! A plugin: its digest, what it says of itself, and its compiled and linked form, made when first
//! needed.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::aggregate::{Aggregate, OpenAggregate};
use crate::bindings::exports::millstream::plugin::{aggregate, catalog, keyed, transform};
use crate::cache::Digest;
use crate::check::Checked;
use crate::convert::cut;
use crate::engine::Runtime;
use crate::error::{CallError, LoadError};
use crate::instance::{HostCtx, Instance};
use crate::keyed::{Keyed, OpenKeyed};
use crate::observe::{Deaf, Gate, MetricNames};
use crate::transform::{CallClock, OpenTransform, Transform};

/// What an operator does with batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Rows in, rows out, nothing remembered.
    Transform,
    /// One accumulator a group.
    Aggregate,
    /// State and timers by key.
    Keyed,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Transform, Self::Aggregate, Self::Keyed];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transform => "transform",
            Self::Aggregate => "aggregate",
            Self::Keyed => "keyed",
        })
    }
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Lower-case letters, digits and hyphens.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// In the plugin's order.
    pub operators: Vec<Operator>,
}

/// What a plugin says of one of its operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Lower-case letters, digits and hyphens; unique in the plugin.
    pub name: String,
    /// What it does with batches.
    pub kind: Kind,
    /// One line for people.
    pub summary: String,
    /// JSON Schema of the operator's config.
    pub config_schema: Value,
    /// Whether an aggregate can undo a merge, which makes windows that overlap cheap.
    #[serde(default)]
    pub retracts: bool,
}

/// All that is known of a plugin without its bytes; kept by whoever keeps plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it says of itself.
    pub description: Description,
    /// The kinds of operators that it exports, read from its type.
    pub kinds: Vec<Kind>,
    /// The interfaces that it imports, with their versions.
    pub imports: Vec<String>,
}

/// A plugin that can be called. Cheap to clone; shared by all steps that use it.
#[derive(Clone)]
pub struct Plugin {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Arc<Runtime>,
    digest: Digest,
    manifest: Manifest,
    bytes: Bytes,
    /// Held while the plugin is compiled, so that it is compiled once.
    prepared: Mutex<Option<Prepared>>,
}

type Bytes = Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

/// A component that is compiled, checked and linked, and where its functions are.
#[derive(Clone)]
pub(crate) struct Prepared {
    imports: Vec<String>,
    kinds: Vec<Kind>,
    component: InstancePre<HostCtx>,
    catalog: catalog::GuestIndices,
    transform: Option<transform::GuestIndices>,
    aggregate: Option<aggregate::GuestIndices>,
    keyed: Option<keyed::GuestIndices>,
}

impl Prepared {
    pub(crate) fn new(checked: Checked, component: InstancePre<HostCtx>) -> Result<Self, LoadError> {
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        let Checked { imports, kinds } = checked;
        let has = |kind| kinds.contains(&kind).then_some(&component);
        let transform =
            has(Kind::Transform).map(transform::GuestIndices::new).transpose().map_err(mismatch)?;
        let aggregate =
            has(Kind::Aggregate).map(aggregate::GuestIndices::new).transpose().map_err(mismatch)?;
        let keyed = has(Kind::Keyed).map(keyed::GuestIndices::new).transpose().map_err(mismatch)?;
        let catalog = catalog::GuestIndices::new(&component).map_err(mismatch)?;
        Ok(Self { imports, kinds, component, catalog, transform, aggregate, keyed })
    }
}

/// Makes an instance and looks the functions of one interface up.
macro_rules! start {
    ($prepared:expr, $store:expr, $kind:ident) => {{
        let Some(functions) = &$prepared.$kind else {
            // The description said otherwise, and it was checked against the component's type.
            wasmtime::bail!(concat!("the component does not export ", stringify!($kind)));
        };
        let instance = $prepared.component.instantiate(&mut *$store)?;
        functions.load(&mut *$store, &instance)
    }};
}

impl Prepared {
    fn start_catalog(&self, store: &mut Store<HostCtx>) -> wasmtime::Result<catalog::Guest> {
        let instance = self.component.instantiate(&mut *store)?;
        self.catalog.load(&mut *store, &instance)
    }

    pub(crate) fn start_transform(&self, store: &mut Store<HostCtx>) -> wasmtime::Result<transform::Guest> {
        start!(self, store, transform)
    }

    pub(crate) fn start_aggregate(&self, store: &mut Store<HostCtx>) -> wasmtime::Result<aggregate::Guest> {
        start!(self, store, aggregate)
    }

    pub(crate) fn start_keyed(&self, store: &mut Store<HostCtx>) -> wasmtime::Result<keyed::Guest> {
        start!(self, store, keyed)
    }
}

impl Plugin {
    pub(crate) fn known(runtime: Arc<Runtime>, digest: Digest, manifest: Manifest, bytes: Bytes) -> Self {
        Self { shared: Arc::new(Shared { runtime, digest, manifest, bytes, prepared: Mutex::new(None) }) }
    }

    /// Asks a fresh instance for its description.
    pub(crate) fn describe(
        runtime: Arc<Runtime>,
        digest: Digest,
        prepared: Prepared,
    ) -> Result<Self, LoadError> {
        let limits = &runtime.limits;
        let gate = Gate::new(Arc::new(Deaf), MetricNames::default(), Arc::clone(limits));
        let told = Instance::start(&runtime, limits, gate, |store| prepared.start_catalog(store)).and_then(
            |mut instance| {
                instance.call(
                    &runtime.ticker,
                    &CallClock::START,
                    limits.open_deadline_ms,
                    |catalog, store| catalog.call_describe(store),
                )
            },
        );
        let told = told.map_err(|error| match error {
            CallError::Broken(fault) => LoadError::Describe(fault),
            other => LoadError::Description(other.to_string()),
        })?;
        let description = description(told, &prepared.kinds)?;
        let manifest =
            Manifest { description, kinds: prepared.kinds.clone(), imports: prepared.imports.clone() };
        let lost = Box::new(|| Err(io::Error::other("the plugin was compiled before")));
        let prepared = Mutex::new(Some(prepared));
        Ok(Self { shared: Arc::new(Shared { runtime, digest, manifest, bytes: lost, prepared }) })
    }

    /// SHA-256 of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.shared.digest
    }

    /// All that is known of the plugin without its bytes.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.shared.manifest
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.shared.manifest.description
    }

    /// The interfaces that the plugin imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.shared.manifest.imports
    }

    /// The kinds of operators that the plugin exports.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.shared.manifest.kinds
    }

    /// Opens a transform on an instance of its own. Blocks while the guest starts; not to be called
    /// on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// When the plugin has no such operator, refuses the config or the input schema, or breaks.
    pub fn transform(&self, open: &OpenTransform<'_>) -> Result<Transform, CallError> {
        Transform::open(self, open)
    }

    /// Opens an aggregate on an instance of its own. Blocks as [`Plugin::transform`] does.
    ///
    /// # Errors
    /// When the plugin has no such operator, refuses the config or the input schema, or breaks.
    pub fn aggregate(&self, open: &OpenAggregate<'_>) -> Result<Aggregate, CallError> {
        Aggregate::open(self, open)
    }

    /// Opens a keyed operator on an instance of its own. Blocks as [`Plugin::transform`] does.
    ///
    /// # Errors
    /// When the plugin has no such operator, refuses the config or a schema, or breaks.
    pub fn keyed(&self, open: &OpenKeyed<'_>) -> Result<Keyed, CallError> {
        Keyed::open(self, open)
    }

    /// The operator of that name, if there is one.
    pub(crate) fn operator(&self, name: &str) -> Option<&Operator> {
        self.description().operators.iter().find(|operator| operator.name == name)
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.shared.runtime
    }

    /// The linked form; made now if it was not before.
    pub(crate) fn prepared(&self) -> Result<Prepared, LoadError> {
        let Shared { runtime, digest, bytes, prepared, .. } = &*self.shared;
        let mut prepared = prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = &*prepared {
            return Ok(prepared.clone());
        }
        let made = runtime.prepare(*digest, bytes)?;
        *prepared = Some(made.clone());
        Ok(made)
    }

    pub(crate) fn require(&self, name: &str, kind: Kind) -> Result<(), CallError> {
        let operators = &self.description().operators;
        match self.operator(name) {
            Some(operator) if operator.kind == kind => Ok(()),
            Some(operator) => Err(CallError::WrongKind { name: name.to_owned(), kind: operator.kind }),
            None => {
                let known = operators.iter().filter(|operator| operator.kind == kind);
                let known = known.map(|operator| operator.name.clone()).collect();
                Err(CallError::UnknownOperator { name: name.to_owned(), known })
            }
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { name, version, .. } = self.description();
        write!(f, "Plugin({name}@{version}, {})", self.digest())
    }
}

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a summary; it is cut there.
const SUMMARY_BYTES_MAX: usize = 1 << 10;
/// Bytes of a config schema.
const SCHEMA_BYTES_MAX: usize = 256 << 10;
/// Operators of one plugin.
const OPERATORS_MAX: usize = 1_000;

fn description(told: catalog::Description, kinds: &[Kind]) -> Result<Description, LoadError> {
    let unusable = |what: String| Err(LoadError::Description(what));
    name(&told.name, "the plugin's name")?;
    if let Err(error) = semver::Version::parse(&told.version) {
        return unusable(format!(
            "the version `{}` is no semantic version: {error}",
            cut(&told.version, 100)
        ));
    }
    if told.operators.is_empty() || told.operators.len() > OPERATORS_MAX {
        return unusable(format!("{} operators; there must be 1 to {OPERATORS_MAX}", told.operators.len()));
    }
    let operators = told
        .operators
        .into_iter()
        .map(|operator| self::operator(operator, kinds))
        .collect::<Result<Vec<_>, _>>()?;
    for (i, operator) in operators.iter().enumerate() {
        if operators[..i].iter().any(|other| other.name == operator.name) {
            return unusable(format!("two operators are called `{}`", operator.name));
        }
    }
    let summary = cut(&told.summary, SUMMARY_BYTES_MAX).to_owned();
    Ok(Description { name: told.name, version: told.version, summary, operators })
}

fn operator(told: catalog::Operator, kinds: &[Kind]) -> Result<Operator, LoadError> {
    name(&told.name, "an operator's name")?;
    let kind = match told.kind {
        catalog::Kind::Transform => Kind::Transform,
        catalog::Kind::Aggregate => Kind::Aggregate,
        catalog::Kind::Keyed => Kind::Keyed,
    };
    if !kinds.contains(&kind) {
        return Err(LoadError::Description(format!(
            "operator `{}` is of kind {kind}, but the component does not export that interface",
            told.name
        )));
    }
    if told.config_schema.len() > SCHEMA_BYTES_MAX {
        return Err(LoadError::Description(format!(
            "the config schema of operator `{}` has more than {SCHEMA_BYTES_MAX} bytes",
            told.name
        )));
    }
    let config_schema = serde_json::from_str(&told.config_schema).map_err(|error| {
        LoadError::Description(format!("the config schema of operator `{}` is no JSON: {error}", told.name))
    })?;
    let summary = cut(&told.summary, SUMMARY_BYTES_MAX).to_owned();
    let retracts = told.retracts && kind == Kind::Aggregate;
    Ok(Operator { name: told.name, kind, summary, config_schema, retracts })
}

fn name(name: &str, what: &str) -> Result<(), LoadError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(LoadError::Description(format!(
        "{what} is `{}`; it must be 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens",
        cut(name, 100)
    )))
}

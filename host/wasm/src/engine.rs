//! The runtime: one Wasm engine with its settings, its linker, its ticker and its cache, shared by
//! all plugins of a process.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::bindings::millstream::plugin::host;
use crate::cache::{Cache, Digest};
use crate::check;
use crate::error::{LoadError, RuntimeError};
use crate::instance::{HasGate, HostCtx, gate};
use crate::limits::Limits;
use crate::plugin::{Manifest, Plugin, Prepared};
use crate::ticker::Ticker;
use crate::wasi;

/// How a runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Where compiled components are kept; safe to delete. It is closed to other users.
    pub cache_dir: PathBuf,
    /// What an instance may use, where a step does not say otherwise.
    pub limits: Limits,
    /// Bytes of native stack that Wasm code may use in a call. 1 MiB: half of what a Rust thread
    /// has by default, so threads that call plugins need at least 2 MiB.
    pub stack_bytes_max: usize,
    /// Instances that may live at once, over all plugins. 1,000: address space is reserved for
    /// each (4 GiB), memory is not.
    pub instances_max: u32,
}

impl RuntimeConfig {
    /// The defaults, with this folder for compiled components.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            limits: Limits::default(),
            stack_bytes_max: 1 << 20,
            instances_max: 1_000,
        }
    }
}

/// Compiles plugins, keeps them compiled, and makes instances of them.
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<HostCtx>,
    pub(crate) ticker: Ticker,
    pub(crate) limits: Arc<Limits>,
    pub(crate) instances_max: u32,
    cache: Cache,
}

impl Runtime {
    /// Sets the engine up. Takes a few milliseconds and little memory; plugins come later.
    ///
    /// # Errors
    /// When the folder cannot be used or the machine lacks what the engine needs.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, RuntimeError> {
        let refused = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = engine(&config).map_err(refused)?;
        let cache = Cache::open(&config.cache_dir, &engine)
            .map_err(|source| RuntimeError::Cache { path: config.cache_dir.clone(), source })?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker).map_err(refused)?;
        host::add_to_linker::<HostCtx, HasGate>(&mut linker, gate).map_err(refused)?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| RuntimeError::Engine(format!("its thread cannot start: {error}")))?;
        let limits = Arc::new(config.limits);
        Ok(Arc::new(Self { engine, linker, ticker, limits, instances_max: config.instances_max, cache }))
    }

    /// Makes a plugin of a component that was uploaded: checks it, compiles it (once; the result is
    /// kept on disk) and asks it to describe itself. Compiling takes a second a MB on two cores.
    ///
    /// # Errors
    /// When the bytes are no plugin; the message says what would make them one.
    pub fn load(self: &Arc<Self>, bytes: &[u8]) -> Result<Plugin, LoadError> {
        check::layer(bytes)?;
        let digest = Digest::of(bytes);
        let prepared = self.prepare(digest, || Ok(bytes.to_vec()))?;
        Plugin::describe(Arc::clone(self), digest, prepared)
    }

    /// A plugin that was loaded before, by what is known of it. Does nothing yet: its compiled form
    /// is looked up, or made again from `bytes`, when the first operator is opened.
    #[must_use]
    pub fn open(
        self: &Arc<Self>,
        digest: Digest,
        manifest: Manifest,
        bytes: impl Fn() -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Plugin {
        Plugin::known(Arc::clone(self), digest, manifest, Box::new(bytes))
    }

    /// Whether a compiled form of the plugin is on disk and can be trusted.
    #[must_use]
    pub fn is_cached(&self, digest: Digest) -> bool {
        self.cache.get(&self.engine, digest).is_some()
    }

    pub(crate) fn prepare(
        &self,
        digest: Digest,
        bytes: impl Fn() -> io::Result<Vec<u8>>,
    ) -> Result<Prepared, LoadError> {
        let component = match self.cache.get(&self.engine, digest) {
            Some(component) => component,
            None => self.compile(digest, &bytes().map_err(|error| LoadError::Bytes(error.to_string()))?)?,
        };
        let checked = check::component(&self.engine, &component)?;
        let linked = self.linker.instantiate_pre(&component);
        Prepared::new(checked, linked.map_err(|error| LoadError::Mismatch(format!("{error:#}")))?)
    }

    fn compile(&self, digest: Digest, bytes: &[u8]) -> Result<Component, LoadError> {
        check::layer(bytes)?;
        if Digest::of(bytes) != digest {
            return Err(LoadError::Bytes(format!("they are not those of {digest}")));
        }
        let component = Component::from_binary(&self.engine, bytes)
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        self.cache.put(digest, &component);
        Ok(component)
    }
}

/// The engine with a pool of instances, or without where the address space for it is not to be had.
fn engine(config: &RuntimeConfig) -> wasmtime::Result<Engine> {
    let mut settings = settings(config);
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config.instances_max)));
    Engine::new(&settings).or_else(|error| {
        tracing::warn!(%error, "no address space for a pool of plugin instances: they are allocated one by one");
        Engine::new(settings.allocation_strategy(InstanceAllocationStrategy::OnDemand))
    })
}

fn settings(config: &RuntimeConfig) -> Config {
    let mut settings = Config::new();
    settings
        .wasm_component_model(true)
        .wasm_memory64(false)
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .max_wasm_stack(config.stack_bytes_max)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Traps are told by function, not by instruction: the map is a third of the compiled file.
        // Filled when an instance starts, which costs less than a look at each indirect call: Python splits words in two
        // thirds of the time, and its instances start as fast.
        .table_lazy_init(false)
        .generate_address_map(false)
        .native_unwind_info(false);
    settings
}

/// Sizes of address space; memory is taken only as far as it is used, and given back when an
/// instance goes.
fn pool(instances_max: u32) -> PoolingAllocationConfig {
    // A component of Python has 60 core instances and as many tables; one of Rust has two or three.
    const PARTS_MAX: u32 = 64;
    const PARTS_MEAN: u32 = 8;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances_max)
        .total_core_instances(instances_max.saturating_mul(PARTS_MEAN))
        .total_memories(instances_max)
        .total_tables(instances_max.saturating_mul(PARTS_MEAN))
        .total_stacks(1)
        .max_core_instances_per_component(PARTS_MAX)
        .max_tables_per_component(PARTS_MAX)
        .max_memories_per_component(PARTS_MAX)
        .max_tables_per_module(16)
        .table_elements(100_000)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .linear_memory_keep_resident(0)
        .table_keep_resident(0);
    pool
}

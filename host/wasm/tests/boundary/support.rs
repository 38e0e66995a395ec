//! The guest of these tests, built once, and short ways to use it.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use millstream_wasm::{
    Aggregate, CallClock, CallError, Keyed, Level, Limits, Observer, OpenAggregate, OpenKeyed, OpenTransform,
    Plugin, Runtime, RuntimeConfig, Transform,
};

/// The component of `tests/guest`, built for wasm32-wasip2.
pub(crate) fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| {
        let source = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo");
        let source = Path::new(&source).join("tests/guest");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .current_dir(&source)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(
            built.status.success(),
            "the guest does not build; is the target there (rustup target add wasm32-wasip2)?\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
        std::fs::read(target.join("wasm32-wasip2/release/boundary_guest.wasm")).expect("the guest was built")
    })
}

/// A plugin of this workspace, built as `make plugins` does it, and loaded.
pub(crate) fn workspace_plugin(name: &str) -> Plugin {
    static BUILT: OnceLock<()> = OnceLock::new();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    BUILT.get_or_init(|| {
        let source = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo");
        // All of them, so that features unify as there and nothing is built twice.
        let packages = ["text", "json", "geo", "stats", "hostile"].map(|name| format!("--package={name}"));
        let built = Command::new(env!("CARGO"))
            .args(["build", "--locked", "--profile=plugin", "--target=wasm32-wasip2"])
            .args(packages)
            .arg("--target-dir")
            .arg(target)
            .current_dir(Path::new(&source).join("../.."))
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    });
    let file = target.join("wasm32-wasip2/plugin").join(format!("{name}.wasm"));
    runtime().load(&std::fs::read(file).expect("the plugin was built")).expect("a plugin")
}

/// A runtime for all tests of this process, and the guest loaded into it.
pub(crate) fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| runtime().load(guest()).expect("a plugin"))
}

fn runtime() -> &'static Arc<Runtime> {
    static RUNTIME: OnceLock<(tempfile::TempDir, Arc<Runtime>)> = OnceLock::new();
    let (_, runtime) = RUNTIME.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let runtime = Runtime::new(RuntimeConfig::new(dir.path())).expect("a runtime");
        (dir, runtime)
    });
    runtime
}

/// Remembers what it hears.
#[derive(Default)]
pub(crate) struct Ear {
    pub(crate) lines: Mutex<Vec<(Level, String)>>,
    pub(crate) counts: Mutex<Vec<(String, u64)>>,
    pub(crate) values: Mutex<Vec<(String, f64)>>,
    pub(crate) dropped: Mutex<(u64, u64)>,
}

impl Observer for Ear {
    fn log(&self, level: Level, message: &str) {
        self.lines.lock().unwrap().push((level, message.to_owned()));
    }

    fn count(&self, name: &str, by: u64) {
        self.counts.lock().unwrap().push((name.to_owned(), by));
    }

    fn observe(&self, name: &str, value: f64) {
        self.values.lock().unwrap().push((name.to_owned(), value));
    }

    fn dropped(&self, lines: u64, metrics: u64) {
        let mut dropped = self.dropped.lock().unwrap();
        *dropped = (dropped.0 + lines, dropped.1 + metrics);
    }
}

/// Opens an operator of the guest.
pub(crate) fn open(
    operator: &str,
    config: &str,
    input: &Schema,
    ear: Arc<Ear>,
    limits: Limits,
) -> Result<Transform, CallError> {
    plugin().transform(&OpenTransform { operator, config, input, observer: ear, limits: Some(limits) })
}

/// Opens an operator of the guest with tight limits of time.
pub(crate) fn transform(operator: &str, config: &str, input: &SchemaRef) -> Transform {
    open(operator, config, input, Arc::default(), brief()).expect("it opens")
}

/// Opens an aggregate of the guest.
pub(crate) fn aggregate(
    operator: &str,
    config: &str,
    input: &Schema,
    limits: Limits,
) -> Result<Aggregate, CallError> {
    let observer = Arc::<Ear>::default();
    plugin().aggregate(&OpenAggregate { operator, config, input, observer, limits: Some(limits) })
}

/// Opens a keyed operator of the guest: keys `k`, rows of [`pairs`].
pub(crate) fn keyed(operator: &str, config: &str, limits: Limits) -> Result<Keyed, CallError> {
    let (input, observer) = (pairs(&[]).schema(), Arc::<Ear>::default());
    let keys = input.project(&[0]).expect("the first column");
    plugin().keyed(&OpenKeyed {
        operator,
        config,
        keys: &keys,
        input: &input,
        observer,
        limits: Some(limits),
    })
}

/// Rows with two int64 columns, `k` and `v`.
pub(crate) fn pairs(rows: &[(i64, i64)]) -> RecordBatch {
    let column = |value: fn(&(i64, i64)) -> i64| {
        Arc::new(rows.iter().map(value).collect::<arrow_array::Int64Array>()) as arrow_array::ArrayRef
    };
    RecordBatch::try_from_iter([("k", column(|row| row.0)), ("v", column(|row| row.1))]).expect("a batch")
}

/// The default limits, but 200 ms for a call.
pub(crate) fn brief() -> Limits {
    Limits { deadline_ms: 200, ..Limits::default() }
}

pub(crate) const CLOCK: CallClock =
    CallClock { batch_id: 7, chunk: 0, now_us: 1_700_000_000_123_456, watermark_us: None, seed: 42 };

/// Rows with one int64 column `n`.
pub(crate) fn numbers(values: &[i64]) -> RecordBatch {
    let column = arrow_array::Int64Array::from(values.to_vec());
    RecordBatch::try_from_iter([("n", Arc::new(column) as _)]).expect("a batch")
}

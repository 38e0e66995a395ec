//! Bounds on everything a plugin can use up: memory, time, stack, output, logs. Each has a default
//! with its reason; a step may set tighter or wider ones.

use std::fmt;

use wasmtime::ResourceLimiter;

/// What one instance of a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, all memories of the instance together. 256 MiB: Python with a batch
    /// of a few MB takes about 30.
    pub memory_bytes_max: usize,
    /// An instance that has grown beyond this is replaced after its call, because linear memory
    /// never shrinks. 128 MiB.
    pub memory_bytes_recycle: usize,
    /// Elements of all tables together. 200,000: Python has 30,000 in each of its few big tables.
    pub table_elements_max: usize,
    /// Time for one call of `process`, in milliseconds. 1,000.
    pub deadline_ms: u64,
    /// Time for `describe` and for `open`, each with the start of the instance, in milliseconds.
    /// 5,000: languages with a runtime of their own start it there.
    pub open_deadline_ms: u64,
    /// Bytes that one call may return, and that a guest may hand to one host function. 64 MiB.
    pub output_bytes_max: usize,
    /// Rows that one call may return; also bounds batches without columns. 16 Mi.
    pub output_rows_max: u32,
    /// Bytes of the state of one group or key. 1 MiB: states are copied whenever they are touched.
    pub state_bytes_max: usize,
    /// Log lines of one call; the others are dropped and counted. 100.
    pub log_lines_max: u32,
    /// Bytes of a log line; it is cut there. 4 KiB.
    pub log_line_bytes_max: usize,
    /// Calls of `count` and `observe` in one call; the others are dropped and counted. 1,000.
    pub metrics_max: u32,
    /// Different names of metrics of one operator; others are dropped and counted. 64.
    pub metric_names_max: usize,
    /// Last bytes of standard output and error that are kept to explain a fault. 8 KiB.
    pub stdio_bytes_max: usize,
    /// Bytes of a reason or an error message that a guest answers; it is cut there. 1 KiB.
    pub reason_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            memory_bytes_recycle: 128 << 20,
            table_elements_max: 200_000,
            deadline_ms: 1_000,
            open_deadline_ms: 5_000,
            output_bytes_max: 64 << 20,
            output_rows_max: 16 << 20,
            state_bytes_max: 1 << 20,
            log_lines_max: 100,
            log_line_bytes_max: 4 << 10,
            metrics_max: 1_000,
            metric_names_max: 64,
            stdio_bytes_max: 8 << 10,
            reason_bytes_max: 1 << 10,
        }
    }
}

/// Instances, memories and tables that one instance of a plugin may be made of. Python's components
/// have 60 core instances; nothing known comes near these.
const PARTS_MAX: usize = 200;

/// Counts the memory of one store and refuses what is over the limit.
#[derive(Debug)]
pub(crate) struct Meter {
    memory_bytes_max: usize,
    table_elements_max: usize,
    memory_bytes: usize,
    table_elements: usize,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            memory_bytes: 0,
            table_elements: 0,
        }
    }

    /// Bytes of linear memory that the instance has now.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.memory_bytes_max {
            // An error and not `false`: a guest that lives on after a refusal answers something
            // that depends on how much an instance had allocated before.
            return Err(MemoryRefused { limit_bytes: self.memory_bytes_max }.into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > self.table_elements_max {
            return Err(TableRefused { limit: self.table_elements_max }.into());
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

/// A memory was to grow over the limit.
#[derive(Debug)]
pub(crate) struct MemoryRefused {
    pub(crate) limit_bytes: usize,
}

impl fmt::Display for MemoryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory over {} bytes", self.limit_bytes)
    }
}

impl std::error::Error for MemoryRefused {}

/// A table was to grow over the limit.
#[derive(Debug)]
pub(crate) struct TableRefused {
    limit: usize,
}

impl fmt::Display for TableRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tables over {} elements", self.limit)
    }
}

impl std::error::Error for TableRefused {}

//! One instance of a component in a store of its own: limits are set where it is made, time and
//! chance at each call, and every way to break is turned into a fault.

use std::sync::Arc;

use wasmtime::component::HasData;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, WasiCtxView, WasiView};

use crate::engine::Runtime;
use crate::error::{CallError, Fault};
use crate::limits::{Limits, MemoryRefused, Meter};
use crate::observe::Gate;
use crate::ticker::{Ticker, epochs};
use crate::transform::CallClock;
use crate::wasi::{HasWasi, Wasi};

/// What the host functions of one instance see.
pub(crate) struct HostCtx {
    wasi: Wasi,
    gate: Gate,
    meter: Meter,
    limits: Arc<Limits>,
}

impl WasiView for HostCtx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.view()
    }
}

impl HasWasi for HostCtx {
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

/// Gives host functions the gate, and nothing else of the store.
pub(crate) struct HasGate;

impl HasData for HasGate {
    type Data<'a> = &'a mut Gate;
}

pub(crate) fn gate(ctx: &mut HostCtx) -> &mut Gate {
    &mut ctx.gate
}

/// Handles of resources that an instance may hold at once.
const HANDLES_MAX: usize = 10_000;

/// An instance and the functions it exports.
pub(crate) struct Instance<B> {
    store: Store<HostCtx>,
    exports: B,
}

impl<B> Instance<B> {
    /// Makes an instance; its start counts against the deadline of `open`.
    pub(crate) fn start(
        runtime: &Runtime,
        limits: &Arc<Limits>,
        gate: Gate,
        instantiate: impl FnOnce(&mut Store<HostCtx>) -> wasmtime::Result<B>,
    ) -> Result<Self, CallError> {
        let wasi = Wasi::new(limits.stdio_bytes_max);
        let ctx = HostCtx { wasi, gate, meter: Meter::new(limits), limits: Arc::clone(limits) };
        let mut store = Store::new(&runtime.engine, ctx);
        store.limiter(|ctx| &mut ctx.meter);
        store.set_hostcall_fuel(limits.output_bytes_max);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(epochs(limits.open_deadline_ms));
        let ticking = runtime.ticker.tick();
        let made = instantiate(&mut store);
        drop(ticking);
        match made {
            Ok(exports) => Ok(Self { store, exports }),
            Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                Err(CallError::Exhausted { instances_max: runtime.instances_max })
            }
            Err(error) => Err(fault(&error, store.data(), limits.open_deadline_ms).into()),
        }
    }

    /// Calls into the instance. After an error it must be thrown away.
    pub(crate) fn call<R>(
        &mut self,
        ticker: &Ticker,
        clock: &CallClock,
        deadline_ms: u64,
        function: impl FnOnce(&B, StoreContextMut<'_, HostCtx>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        self.store.data_mut().wasi.begin_call(clock);
        self.store.set_epoch_deadline(epochs(deadline_ms));
        let ticking = ticker.tick();
        let answer = function(&self.exports, wasmtime::AsContextMut::as_context_mut(&mut self.store));
        drop(ticking);
        self.store.data_mut().gate.end_call();
        answer.map_err(|error| fault(&error, self.store.data(), deadline_ms).into())
    }

    /// Bytes of linear memory that the instance has now; it never gives any back.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().meter.memory_bytes()
    }

    /// Whether the instance holds so much memory that a fresh one should take its place.
    pub(crate) fn is_bloated(&self) -> bool {
        let ctx = self.store.data();
        ctx.meter.memory_bytes() > ctx.limits.memory_bytes_recycle
    }
}

/// How an instance broke.
fn fault(error: &wasmtime::Error, ctx: &HostCtx, deadline_ms: u64) -> Fault {
    let stdio = ctx.wasi.stdio();
    if let Some(refused) = error.downcast_ref::<MemoryRefused>() {
        return Fault::OutOfMemory { limit_bytes: refused.limit_bytes, stdio };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Fault::TimedOut { deadline_ms, stdio },
        Some(Trap::StackOverflow) => return Fault::StackOverflow { stdio },
        Some(Trap::MemoryOutOfBounds) if is_recursion(error) => return Fault::StackOverflow { stdio },
        Some(trap) => return Fault::Trapped { what: format!("{trap}{}", frames(error)), stdio },
        None => {}
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Fault::Trapped { what: format!("it called exit({})", exit.0), stdio };
    }
    let cause = error.root_cause().to_string();
    if cause.contains(OUTPUT_EXHAUSTED) {
        return Fault::OutputTooLarge { limit_bytes: ctx.limits.output_bytes_max };
    }
    Fault::Trapped { what: format!("{cause}{}", frames(error)), stdio }
}

/// How the engine says that a guest hands more bytes to the host than it may; the error's type is
/// private to it.
const OUTPUT_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// The innermost functions that were running, for whoever wrote them.
fn frames(error: &wasmtime::Error) -> String {
    const FRAMES_MAX: usize = 8;
    let mut names = running(error);
    names.dedup();
    names.truncate(FRAMES_MAX);
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

/// The functions that were running, innermost first, as far as the engine tells.
fn running(error: &wasmtime::Error) -> Vec<&str> {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let frames = backtrace.map_or(&[][..], WasmBacktrace::frames);
    frames.iter().filter_map(|frame| frame.func_name()).collect()
}

/// Compilers keep a stack of their own in linear memory, and a recursion without end often leaves
/// that one first: then the trap is an access out of bounds under a pile of the same few functions.
fn is_recursion(error: &wasmtime::Error) -> bool {
    const PILE: usize = 16;
    const DIFFERENT_MAX: usize = 4;
    let mut names = running(error);
    let pile = names.len() >= PILE;
    names.sort_unstable();
    names.dedup();
    pile && names.len() <= DIFFERENT_MAX
}

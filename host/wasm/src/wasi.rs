//! What a plugin finds behind WASI: nothing granted, and clocks and randomness that are the
//! batch's own, so that a batch run again gives the same bytes. Sleeping takes no time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::cli::{stderr, stdout};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::{DynOutputStream, DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{WasiCtx, WasiView};

use crate::transform::CallClock;

/// Nanoseconds that pass between two looks at the monotonic clock.
const NANOSECONDS_A_LOOK: u64 = 1_000;
/// Bytes of randomness that one call of the host gives.
const RANDOM_BYTES_MAX: u64 = 1 << 20;
/// Streams, pollables and such that an instance may hold at once.
const RESOURCES_MAX: usize = 1_000;
/// Bytes that a guest may write to standard output or error at once.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// WASI for one instance.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    own: CallEnv,
}

/// What differs from call to call, and comes from the batch's plan alone.
struct CallEnv {
    clock: CallClock,
    monotonic_ns: u64,
    random: ChaCha8Rng,
    insecure: ChaCha8Rng,
    stdio: Stdio,
}

impl Wasi {
    pub(crate) fn new(stdio_bytes_max: usize) -> Self {
        // Nothing granted is the default of the builder; name lookup and sockets are closed besides,
        // although no address would pass.
        let ctx = WasiCtx::builder().allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let stdio = Stdio(Arc::new(Mutex::new(Tail { bytes: VecDeque::new(), max: stdio_bytes_max })));
        Self { ctx, table, own: CallEnv::new(&CallClock::START, stdio) }
    }

    /// Forgets what earlier calls have seen of time and chance.
    pub(crate) fn begin_call(&mut self, clock: &CallClock) {
        let stdio = self.own.stdio.clone();
        stdio.lock().bytes.clear();
        self.own = CallEnv::new(clock, stdio);
    }

    /// The end of what the guest wrote since the call began.
    pub(crate) fn stdio(&self) -> String {
        let tail = self.own.stdio.lock();
        let (a, b) = tail.bytes.as_slices();
        String::from_utf8_lossy(&[a, b].concat()).into_owned()
    }
}

impl CallEnv {
    fn new(clock: &CallClock, stdio: Stdio) -> Self {
        let now_us = u64::try_from(clock.now_us).unwrap_or(0);
        Self {
            clock: *clock,
            monotonic_ns: now_us.saturating_mul(1_000),
            random: chance(clock, 1),
            insecure: chance(clock, 2),
            stdio,
        }
    }
}

/// A stream of random numbers for one call. The key holds all that the call is, so no two calls
/// and no two `streams` of a call share one.
fn chance(clock: &CallClock, stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, value) in key.chunks_exact_mut(8).zip([clock.seed, clock.batch_id, clock.chunk, stream]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The store's data that has WASI in it.
pub(crate) trait HasWasi: WasiView + 'static {
    fn wasi(&mut self) -> &mut Wasi;
}

/// Everything of WASI 0.2 but HTTP; the parts that tell time, give chance or take output are ours.
pub(crate) fn add_to_linker<T: HasWasi>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    wall_clock::add_to_linker::<T, HasView>(linker, view)?;
    monotonic_clock::add_to_linker::<T, HasView>(linker, view)?;
    random::add_to_linker::<T, HasView>(linker, view)?;
    insecure::add_to_linker::<T, HasView>(linker, view)?;
    insecure_seed::add_to_linker::<T, HasView>(linker, view)?;
    stdout::add_to_linker::<T, HasView>(linker, view)?;
    stderr::add_to_linker::<T, HasView>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl Wasi {
    pub(crate) fn view(&mut self) -> wasmtime_wasi::WasiCtxView<'_> {
        wasmtime_wasi::WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

struct View<'a> {
    own: &'a mut CallEnv,
    table: &'a mut ResourceTable,
}

fn view<T: HasWasi>(data: &mut T) -> View<'_> {
    let wasi = data.wasi();
    View { own: &mut wasi.own, table: &mut wasi.table }
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        // WASI knows no time before 1970.
        let now_us = u64::try_from(self.own.clock.now_us).unwrap_or(0);
        let nanoseconds = u32::try_from(now_us % 1_000_000 * 1_000).unwrap_or(0);
        Ok(wall_clock::Datetime { seconds: now_us / 1_000_000, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000 })
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.own.monotonic_ns = self.own.monotonic_ns.saturating_add(NANOSECONDS_A_LOOK);
        Ok(self.own.monotonic_ns)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(NANOSECONDS_A_LOOK)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.own.monotonic_ns = self.own.monotonic_ns.max(when);
        self.elapsed()
    }

    fn subscribe_duration(&mut self, nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.own.monotonic_ns = self.own.monotonic_ns.saturating_add(nanoseconds);
        self.elapsed()
    }
}

impl View<'_> {
    /// A moment that is here already: a guest that sleeps must hold no worker thread, and no
    /// deadline reaches a guest that waits in the host.
    fn elapsed(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let elapsed = self.table.push(Elapsed)?;
        subscribe(self.table, elapsed)
    }
}

struct Elapsed;

#[wasmtime_wasi::async_trait]
impl Pollable for Elapsed {
    async fn ready(&mut self) {}
}

impl random::Host for View<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        fill(&mut self.own.random, len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.own.random.next_u64())
    }
}

impl insecure::Host for View<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        fill(&mut self.own.insecure, len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.own.insecure.next_u64())
    }
}

impl insecure_seed::Host for View<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        let mut seed = chance(&self.own.clock, 3);
        Ok((seed.next_u64(), seed.next_u64()))
    }
}

fn fill(chance: &mut ChaCha8Rng, len: u64) -> wasmtime::Result<Vec<u8>> {
    if len > RANDOM_BYTES_MAX {
        wasmtime::bail!("{len} random bytes at once are too many: at most {RANDOM_BYTES_MAX}");
    }
    let mut bytes = vec![0; usize::try_from(len)?];
    chance.fill_bytes(&mut bytes);
    Ok(bytes)
}

impl stdout::Host for View<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.own.stdio.clone());
        Ok(self.table.push(stream)?)
    }
}

impl stderr::Host for View<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.own.stdio.clone());
        Ok(self.table.push(stream)?)
    }
}

/// Standard output and error of one instance, as one. The guest's handles live in the resource
/// table and outlast a call, hence the sharing; nobody ever waits for the lock.
#[derive(Clone)]
struct Stdio(Arc<Mutex<Tail>>);

struct Tail {
    bytes: VecDeque<u8>,
    max: usize,
}

impl Stdio {
    fn lock(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut tail = self.lock();
        let kept = &bytes[bytes.len().saturating_sub(tail.max)..];
        let excess = (tail.bytes.len() + kept.len()).saturating_sub(tail.max);
        tail.bytes.drain(..excess);
        tail.bytes.extend(kept);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

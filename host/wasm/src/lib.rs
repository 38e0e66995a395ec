//! The Wasm runtime: makes plugins of components and calls them with batches of columns. Knows the
//! Wasm engine and arrow; knows no pipeline, so the same crate can run plugins anywhere.
//!
//! Rooms in reading order: `engine` (the runtime), `plugin` (what a component says of itself),
//! `transform`, `aggregate` and `keyed` (what an open operator of each kind does), `opened` (an
//! operator that is open and the instance it is open on), `instance` (one instance and how it breaks), `convert`
//! (batches across the boundary), `crossing` (that way alone), `limits`, `wasi` and `observe` (what a guest may use, sees and
//! tells), `cache`, `check`, `ticker`, `error`.

#[cfg(target_endian = "big")]
compile_error!("arrow's buffers cross the boundary as they are, and that boundary is little-endian");

mod engine;
mod plugin;
mod transform;

mod aggregate;
mod keyed;

mod check;
mod instance;
mod opened;

mod convert;
mod crossing;

mod cache;
mod limits;
mod observe;
mod ticker;
mod wasi;

mod bindings;
mod error;

pub use aggregate::{Aggregate, OpenAggregate};
pub use cache::{Digest, NoDigest};
pub use crossing::cross;
pub use engine::{Runtime, RuntimeConfig};
pub use error::{CONTRACT_VERSION, CallError, Fault, LoadError, RuntimeError};
pub use keyed::{DueTimer, Keyed, OpenKeyed, Outcome, Turn};
pub use limits::Limits;
pub use observe::{Level, Observer};
pub use plugin::{Description, Kind, Manifest, Operator, Plugin};
pub use transform::{CallClock, OpenTransform, Output, Transform};

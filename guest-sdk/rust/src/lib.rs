//! The Rust face of Millstream's plugin contract: read a batch as typed columns, build the output,
//! and let [`plugin!`] do the rest.
//!
//! A whole plugin:
//!
//! ```
//! use millstream_plugin::prelude::*;
//!
//! /// Adds the length of a text column.
//! #[derive(Deserialize, JsonSchema)]
//! struct Length {
//!     /// The text column.
//!     column: String,
//! }
//!
//! fn length(config: Length, input: &Schema) -> Result<Transform> {
//!     let column = input.key::<Utf8>(&config.column)?;
//!     let output = input.clone().with(Field::new("length", DataType::Int64).nullable())?;
//!     Ok(Transform::new(output, move |batch, out| {
//!         let lengths: Int64Builder = batch.read(column)?.iter().map(|text| Some(text?.len() as i64)).collect();
//!         out.set("length", lengths)?;
//!         out.keep(batch);
//!         Ok(())
//!     }))
//! }
//!
//! plugin! { summary: "Measures text.", operators: [transform "length" => length] }
//! # fn main() {}
//! ```
//!
//! In reading order: [`schema`] and [`batch`] (what there is), [`columns`] and [`rows`] (reading),
//! [`builders`] and [`output`] (writing), [`operator`] and [`config`] (how an operator is opened),
//! [`host`] (logs and counters), [`testing`] (operators as plain functions in unit tests).

pub mod batch;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
pub mod builders;
pub mod columns;
pub mod config;
pub mod error;
#[doc(hidden)]
pub mod export;
pub mod host;
pub mod operator;
pub mod output;
pub mod rows;
pub mod schema;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use batch::{Batch, Clock};
pub use error::{Error, Result};
pub use operator::{Operator, Plugin, Transform};
pub use output::Output;
pub use schema::{DataType, Field, Key, Schema};

/// What nearly every operator uses. The derives need `serde` and `schemars` in the plugin's manifest.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;

    pub use crate::builders::{
        BinaryBuilder, BooleanBuilder, ColumnBuilder, DateBuilder, Float32Builder, Float64Builder,
        Int32Builder, Int64Builder, TimestampBuilder, Utf8Builder,
    };
    pub use crate::columns::{Binary, Boolean, Date, Float32, Float64, Int32, Int64, Timestamp, Utf8};
    pub use crate::host::{Level, counter, observe};
    pub use crate::{
        Batch, Clock, DataType, Error, Field, Output, Result, Schema, Transform, bail, log, plugin,
    };
}

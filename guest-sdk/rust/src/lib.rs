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
//! [`builders`], [`output`] and [`records`] (writing), [`aggregate`], [`keyed`] and [`states`] (what the
//! host keeps for an operator), [`operator`] and [`config`] (how an operator is opened),
//! [`host`] (logs and counters), [`testing`] (operators as plain functions in unit tests).

pub mod aggregate;
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
pub mod keyed;
pub mod operator;
pub mod output;
mod place;
pub mod records;
pub mod rows;
pub mod schema;
pub mod states;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use aggregate::{Aggregate, ColumnAggregate, Fold, fold};
pub use batch::{Batch, Clock};
pub use error::{Error, Result};
pub use keyed::{KeyView, Keyed};
pub use operator::{Operator, Plugin, Transform};
pub use output::Output;
pub use records::Records;
pub use rows::Row;
pub use schema::{DataType, Field, Key, Schema};
pub use states::States;

/// What nearly every operator uses. Not [`ColumnAggregate`], whose functions are called as those of
/// [`Aggregate`]. The derives need `serde` and `schemars` in the plugin's manifest.
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
        Aggregate, Batch, Clock, DataType, Error, Field, Fold, Key, KeyView, Keyed, Output, Records, Result,
        Row, Schema, States, Transform, bail, fold, log, plugin,
    };
}

/// The examples of the manual and of the read-me, which are compiled as tests.
#[cfg(doctest)]
mod manual {
    #[doc = include_str!("../../../docs/plugins.md")]
    mod plugins {}
    #[doc = include_str!("../README.md")]
    mod readme {}
}

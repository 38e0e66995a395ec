//! Code generated from `wit/`: the world that has operators of every kind. Each interface is looked
//! up by itself, so that a plugin needs to have only what it offers. Lists are borrowed on their way
//! in, so that arrow's buffers are copied once.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, reason = "generated code")]
#![allow(unsafe_code, reason = "the generated lifting and lowering implements unsafe traits")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
});

//! Code generated from `wit/`: one module a world, so that a plugin needs to have only what it
//! offers. Lists are borrowed on their way in, so that arrow's buffers are copied once.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, reason = "generated code")]
#![allow(unsafe_code, reason = "the generated lifting and lowering implements unsafe traits")]

pub(crate) mod described {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "described-plugin",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(crate) mod transform {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "transform-plugin",
        with: { "millstream:plugin/host": super::described::millstream::plugin::host },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

//! Generated from the contract by wit-bindgen, and nothing else: a module for what every plugin has
//! and one a kind, so that a plugin exports only the kinds it holds.

#![allow(unsafe_code, reason = "the generated code lifts and lowers values across the boundary by pointers")]
#![allow(missing_docs, unreachable_pub, reason = "the contract documents itself in wit/")]
#![allow(clippy::unwrap_used, reason = "generated code")]

pub mod described {
    wit_bindgen::generate!({
        path: "wit",
        world: "described-plugin",
        pub_export_macro: true,
        export_macro_name: "export_described_plugin",
        default_bindings_module: "millstream_plugin::bindings::described",
    });
}

pub mod transform {
    wit_bindgen::generate!({
        path: "wit",
        world: "transform-operators",
        pub_export_macro: true,
        export_macro_name: "export_transform_operators",
        default_bindings_module: "millstream_plugin::bindings::transform",
    });
}

pub mod aggregate {
    wit_bindgen::generate!({
        path: "wit",
        world: "aggregate-operators",
        with: { "millstream:plugin/data@0.1.0": crate::bindings::transform::millstream::plugin::data },
        pub_export_macro: true,
        export_macro_name: "export_aggregate_operators",
        default_bindings_module: "millstream_plugin::bindings::aggregate",
    });
}

pub mod keyed {
    wit_bindgen::generate!({
        path: "wit",
        world: "keyed-operators",
        with: { "millstream:plugin/data@0.1.0": crate::bindings::transform::millstream::plugin::data },
        pub_export_macro: true,
        export_macro_name: "export_keyed_operators",
        default_bindings_module: "millstream_plugin::bindings::keyed",
    });
}

pub use described::exports::millstream::plugin::catalog;
pub use described::millstream::plugin::host;
pub use transform::millstream::plugin::data;

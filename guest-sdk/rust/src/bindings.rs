//! Generated from the contract by wit-bindgen, and nothing else.

#![allow(unsafe_code, reason = "the generated code lifts and lowers values across the boundary by pointers")]
#![allow(missing_docs, unreachable_pub, reason = "the contract documents itself in wit/")]
#![allow(clippy::unwrap_used, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "transform-plugin",
    pub_export_macro: true,
    export_macro_name: "export_transform_plugin",
    default_bindings_module: "millstream_plugin::bindings",
});

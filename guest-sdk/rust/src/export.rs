//! The macro that makes a crate a plugin.

#[cfg(target_family = "wasm")]
mod glue;

#[cfg(target_family = "wasm")]
pub use glue::Offers;

/// Makes a crate a plugin: describes its operators and, when built for Wasm, exports them.
///
/// `name` and `version` default to those of the crate. An operator is a kind, a name and the
/// function that opens it; the kinds are `transform` ([`crate::Operator::transform`]), `aggregate`
/// ([`crate::Operator::aggregate`]) and `keyed` ([`crate::Operator::keyed`]), and one plugin may hold
/// all of them. The macro also defines `pub fn plugin() -> Plugin`, which native tests open operators of.
#[macro_export]
macro_rules! plugin {
    (
        $(name: $name:expr,)?
        $(version: $version:expr,)?
        summary: $summary:expr,
        operators: [$($kind:ident $operator:literal => $open:expr),+ $(,)?] $(,)?
    ) => {
        /// What this crate offers.
        #[allow(unreachable_pub, reason = "public when the macro stands in the root, as it does in a plugin")]
        pub fn plugin() -> $crate::Plugin {
            // The first entry wins: what was given, else what Cargo knows.
            let name: &[&'static str] = &[$($name,)? ::core::env!("CARGO_PKG_NAME")];
            let version: &[&'static str] = &[$($version,)? ::core::env!("CARGO_PKG_VERSION")];
            $crate::Plugin {
                name: name[0],
                version: version[0],
                summary: $summary,
                operators: ::std::vec![$($crate::Operator::$kind($operator, $open)),+],
            }
        }

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "generated entry points lift and lower by pointers")]
        const _: () = {
            struct Component;

            impl $crate::export::Offers for Component {
                fn plugin() -> $crate::Plugin {
                    plugin()
                }
            }

            $crate::bindings::described::export_described_plugin!(
                Component with_types_in $crate::bindings::described
            );
            $crate::__export_kinds!(Component [] [] [] $($kind)+);
        };
    };
}

/// Exports each kind that is in the list, once.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_kinds {
    ($component:ident [$($t:ident)?] [$($a:ident)?] [$($k:ident)?] transform $($rest:ident)*) => {
        $crate::__export_kinds!($component [transform] [$($a)?] [$($k)?] $($rest)*);
    };
    ($component:ident [$($t:ident)?] [$($a:ident)?] [$($k:ident)?] aggregate $($rest:ident)*) => {
        $crate::__export_kinds!($component [$($t)?] [aggregate] [$($k)?] $($rest)*);
    };
    ($component:ident [$($t:ident)?] [$($a:ident)?] [$($k:ident)?] keyed $($rest:ident)*) => {
        $crate::__export_kinds!($component [$($t)?] [$($a)?] [keyed] $($rest)*);
    };
    ($component:ident [$($t:ident)?] [$($a:ident)?] [$($k:ident)?]) => {
        $($crate::__export_kind!($component $t);)?
        $($crate::__export_kind!($component $a);)?
        $($crate::__export_kind!($component $k);)?
    };
}

/// Exports one kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    ($component:ident transform) => {
        $crate::bindings::transform::export_transform_operators!(
            $component with_types_in $crate::bindings::transform
        );
    };
    ($component:ident aggregate) => {
        $crate::bindings::aggregate::export_aggregate_operators!(
            $component with_types_in $crate::bindings::aggregate
        );
    };
    ($component:ident keyed) => {
        $crate::bindings::keyed::export_keyed_operators!(
            $component with_types_in $crate::bindings::keyed
        );
    };
}

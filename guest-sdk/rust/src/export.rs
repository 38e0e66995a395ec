//! The macro that makes a crate a plugin, and the glue between the contract's types and ours.

/// Makes a crate a plugin: describes its operators and, when built for Wasm, exports them.
///
/// `name` and `version` default to those of the crate. An operator is a kind, a name and the
/// function that opens it; for now there is the kind `transform` ([`crate::Operator::transform`]).
/// The macro also defines `pub fn plugin() -> Plugin`, which native tests open operators of.
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

            impl $crate::bindings::exports::millstream::plugin::catalog::Guest for Component {
                fn describe() -> $crate::bindings::exports::millstream::plugin::catalog::Description {
                    $crate::export::describe(&plugin())
                }
            }

            impl $crate::bindings::exports::millstream::plugin::transform::Guest for Component {
                fn open(
                    operator: ::std::string::String,
                    config: ::std::string::String,
                    input: ::std::vec::Vec<$crate::bindings::millstream::plugin::data::Field>,
                ) -> ::core::result::Result<
                    ::std::vec::Vec<$crate::bindings::millstream::plugin::data::Field>,
                    ::std::string::String,
                > {
                    $crate::export::open(&plugin(), &operator, &config, input)
                }

                fn process(
                    clock: $crate::bindings::millstream::plugin::data::Clock,
                    input: $crate::bindings::millstream::plugin::data::Batch,
                ) -> ::core::result::Result<
                    $crate::bindings::exports::millstream::plugin::transform::Output,
                    ::std::string::String,
                > {
                    $crate::export::process(clock, input)
                }
            }

            $crate::bindings::export_transform_plugin!(Component with_types_in $crate::bindings);
        };
    };
}

#[cfg(target_family = "wasm")]
pub use glue::{describe, open, process};

#[cfg(target_family = "wasm")]
mod glue {
    use std::cell::RefCell;
    use std::rc::Rc;

    use crate::batch::{Batch, Buffers, Clock};
    use crate::bindings::exports::millstream::plugin::{catalog, transform};
    use crate::bindings::millstream::plugin::data;
    use crate::error::{Error, Result};
    use crate::operator::{Plugin, Transform};
    use crate::schema::{DataType, Field, Schema};

    thread_local! {
        /// What `open` left for `process`: an instance has one operator.
        static OPENED: RefCell<Option<(Rc<Schema>, Transform)>> = const { RefCell::new(None) };
    }

    /// The contract's description of `plugin`.
    pub fn describe(plugin: &Plugin) -> catalog::Description {
        let operators = plugin.operators.iter().map(|operator| catalog::Operator {
            name: operator.name().to_owned(),
            kind: catalog::Kind::Transform,
            summary: operator.summary(),
            config_schema: operator.config_schema().to_string(),
            retracts: false,
        });
        catalog::Description {
            name: plugin.name.to_owned(),
            version: plugin.version.to_owned(),
            summary: plugin.summary.to_owned(),
            operators: operators.collect(),
        }
    }

    /// Opens an operator for this instance.
    pub fn open(
        plugin: &Plugin,
        operator: &str,
        config: &str,
        input: Vec<data::Field>,
    ) -> Result<Vec<data::Field>, String> {
        panics_name(operator);
        let opened = read_schema(input).and_then(|input| Ok((plugin.open(operator, config, &input)?, input)));
        let (opened, input) = opened.map_err(|error| error.to_string())?;
        let output = write_schema(opened.output());
        OPENED.set(Some((Rc::new(input), opened)));
        Ok(output)
    }

    /// Runs a batch through the operator opened.
    pub fn process(clock: data::Clock, input: data::Batch) -> Result<transform::Output, String> {
        OPENED.with_borrow(|opened| {
            let (schema, operator) = opened.as_ref().ok_or("`process` was called before `open`")?;
            run(schema, operator, clock, input).map_err(|error| error.to_string())
        })
    }

    fn run(
        schema: &Rc<Schema>,
        operator: &Transform,
        clock: data::Clock,
        input: data::Batch,
    ) -> Result<transform::Output> {
        let clock = Clock { batch_id: clock.batch_id, now: clock.now, watermark: clock.watermark };
        let columns = input.columns.into_iter().map(|column| Buffers {
            validity: column.validity,
            offsets: column.offsets,
            values: column.values,
        });
        let input = Batch::new(Rc::clone(schema), clock, input.rows as usize, columns.collect())?;
        let finished = operator.process(input)?;
        let columns = finished.columns.into_iter().map(|column| data::Column {
            validity: column.validity,
            offsets: column.offsets,
            values: column.values,
        });
        let rejected = finished.rejected.into_iter();
        Ok(transform::Output {
            batch: data::Batch { rows: u32::try_from(finished.rows)?, columns: columns.collect() },
            rejected: rejected.map(|one| data::Rejection { row: one.row, reason: one.reason }).collect(),
        })
    }

    fn read_schema(fields: Vec<data::Field>) -> Result<Schema> {
        let fields = fields.into_iter().map(|field| {
            let data_type = DataType::from_format(&field.data_type).ok_or_else(|| {
                Error::new(format!(
                    "the column `{}` has a type unknown to the plugin: `{}`",
                    field.name, field.data_type
                ))
            })?;
            let read = Field::new(field.name, data_type);
            Ok(if field.nullable { read.nullable() } else { read })
        });
        Schema::of(fields.collect::<Result<Vec<_>>>()?)
    }

    fn write_schema(schema: &Schema) -> Vec<data::Field> {
        let fields = schema.fields().iter().map(|field| data::Field {
            name: field.name().to_owned(),
            data_type: field.data_type().format().to_owned(),
            nullable: field.is_nullable(),
        });
        fields.collect()
    }

    /// A trap carries no words; the host shows what stood on stderr before it.
    #[allow(clippy::print_stderr, reason = "it is where the host looks")]
    fn panics_name(operator: &str) {
        let operator = operator.to_owned();
        std::panic::set_hook(Box::new(move |info| eprintln!("operator `{operator}` {info}")));
    }
}

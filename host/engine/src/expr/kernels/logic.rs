//! NOT, and the tests that are never NULL.

use std::sync::Arc;

use arrow_arith::boolean;
use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray};

use crate::expr::value::Kernel;

/// `NOT x`.
pub(in crate::expr) fn not() -> Kernel {
    Arc::new(|args, _| Ok(Arc::new(boolean::not(args.values[0].array().as_boolean())?)))
}

/// `x IS NULL`.
pub(in crate::expr) fn is_null() -> Kernel {
    Arc::new(|args, _| Ok(Arc::new(boolean::is_null(args.values[0].array())?)))
}

/// `x IS NOT NULL`.
pub(in crate::expr) fn is_not_null() -> Kernel {
    Arc::new(|args, _| Ok(Arc::new(boolean::is_not_null(args.values[0].array())?)))
}

/// `x IS TRUE` or `x IS FALSE`.
pub(in crate::expr) fn is(wanted: bool) -> Kernel {
    Arc::new(move |args, _| {
        let array = args.values[0].array().as_boolean();
        let values = if wanted { array.values().clone() } else { !array.values() };
        let values = match array.nulls() {
            Some(nulls) => &values & nulls.inner(),
            None => values,
        };
        Ok(Arc::new(BooleanArray::new(values, None)))
    })
}

/// `NULLIF(a, b)`; the second argument is whether they are equal.
pub(in crate::expr) fn null_if() -> Kernel {
    Arc::new(|args, _| {
        let equal = args.values[1].clone().into_boolean(args.rows)?;
        arrow_select::nullif::nullif(&args.values[0].clone().into_column(args.rows)?, &equal)
    })
}

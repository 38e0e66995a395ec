//! Where an operator reads. A panic ends an instance, and all that its author gets are the words of the panic: they are
//! told with the value that was read last.

use std::cell::Cell;

/// A column that is read, by its place in the input's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// No batch has so many rows.
const NO_ROW: u32 = u32::MAX;

thread_local! {
    /// A column and a row.
    static LAST: Cell<(Place, u32)> = const { Cell::new((Place::NOWHERE, NO_ROW)) };
}

impl Place {
    /// No column: states, or a whole row.
    pub const NOWHERE: Self = Self(u32::MAX);

    #[allow(clippy::cast_possible_truncation, reason = "the host has at most 4,096 columns")]
    pub(crate) fn column(index: usize) -> Self {
        Self(index as u32)
    }

    /// The column's value in this row is read now. One store: it happens for each value.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "rows are counted in 32 bits by the contract")]
    pub(crate) fn reads(self, row: usize) {
        LAST.set((self, row as u32));
    }
}

/// Nothing was read yet.
#[cfg(any(target_family = "wasm", test))]
pub(crate) fn forget() {
    LAST.set((Place::NOWHERE, NO_ROW));
}

/// What was read last, in words; `names` are the columns of the input.
#[cfg(any(target_family = "wasm", test))]
pub(crate) fn last_read(names: &[String]) -> Option<String> {
    let (Place(column), row) = LAST.get();
    let row = (row != NO_ROW).then(|| format!("row {row}"))?;
    let column = names.get(column as usize).map(|name| format!("column `{name}`, "));
    Some(format!("{}{row}", column.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::columns::{Float64, Utf8};
    use crate::testing;

    #[test]
    fn what_was_read_last_is_told() {
        let batch = testing::batch(json!([{"s": "a", "x": 1.5}, {"s": "b", "x": 2.5}])).unwrap();
        let names = ["s".to_owned(), "x".to_owned()];
        let told = || last_read(&names);
        forget();
        assert_eq!(told(), None);
        let texts = batch.read(batch.schema().key::<Utf8>("s").unwrap()).unwrap();
        let _ = texts.iter().find(|text| *text == Some("b"));
        assert_eq!(told().as_deref(), Some("column `s`, row 1"));
        let numbers = batch.read(batch.schema().key::<Float64>("x").unwrap()).unwrap();
        assert_eq!(numbers.get(0), Some(1.5));
        assert_eq!(told().as_deref(), Some("column `x`, row 0"));
        let row = batch.rows().last().unwrap();
        assert_eq!(told().as_deref(), Some("row 1"));
        assert_eq!(row.text("s").unwrap(), Some("b"));
        assert_eq!(told().as_deref(), Some("column `s`, row 1"));
    }
}

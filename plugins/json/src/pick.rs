//! `pick`: values of a JSON document as typed columns.

use millstream_plugin::prelude::*;

use crate::cells::{Cell, CellBuilder, CellType};
use crate::pointers::{Found, Pointers};

/// Picks values out of a column of JSON text into typed columns.
///
/// A row whose text is not JSON, or where a value is missing or of another type, is rejected.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Pick {
    /// The column of JSON text.
    column: String,
    /// What to pick.
    fields: Vec<Picked>,
    /// Whether the input's columns are kept, before the new ones.
    #[serde(default = "yes")]
    keep_input: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Picked {
    /// The name of the new column.
    name: String,
    /// Where the value is: a JSON pointer (RFC 6901); by default the name as a key.
    pointer: Option<String>,
    /// What the value must be.
    #[serde(rename = "type")]
    cell_type: CellType,
    /// Whether it may be null or missing.
    #[serde(default)]
    nullable: bool,
}

fn yes() -> bool {
    true
}

impl Picked {
    fn pointer(&self) -> String {
        let key = || format!("/{}", self.name.replace('~', "~0").replace('/', "~1"));
        self.pointer.clone().unwrap_or_else(key)
    }
}

pub(crate) fn pick(config: Pick, input: &Schema) -> Result<Transform> {
    let column = input.key::<Utf8>(&config.column)?;
    if config.fields.is_empty() {
        bail!("config.fields is empty: say what to pick");
    }
    let paths: Vec<String> = config.fields.iter().map(Picked::pointer).collect();
    let pointers = Pointers::new(&paths)?;
    let kept = if config.keep_input { input.clone() } else { Schema::default() };
    let output = config.fields.iter().try_fold(kept, |schema, picked| {
        let field = Field::new(&picked.name, picked.cell_type.data_type());
        schema.with(if picked.nullable { field.nullable() } else { field })
    })?;
    Ok(Transform::new(output, move |batch, out| {
        let texts = batch.read(column)?;
        let mut found = Vec::new();
        let mut cells = Vec::new();
        let mut columns: Vec<_> =
            config.fields.iter().map(|picked| CellBuilder::new(picked.cell_type, batch.len())).collect();
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else {
                out.reject(row, format!("`{}` is null", config.column));
                continue;
            };
            let read = pointers
                .find(text, &mut found)
                .map_err(|error| format!("`{}` is not JSON: {error}", config.column));
            match read.and_then(|()| check(&config.fields, &paths, &mut found, &mut cells)) {
                Ok(()) => columns.iter_mut().zip(&cells).for_each(|(column, cell)| column.push(cell)),
                Err(reason) => out.reject(row, reason),
            }
        }
        config.fields.iter().zip(columns).try_for_each(|(picked, column)| column.set(out, &picked.name))?;
        if config.keep_input {
            out.keep(batch);
        }
        Ok(())
    }))
}

/// Turns what was found into cells: all of a row or none, so that columns stay of one length.
fn check<'a>(
    fields: &[Picked],
    paths: &[String],
    found: &mut [Found<'a>],
    cells: &mut Vec<Cell<'a>>,
) -> Result<(), String> {
    cells.clear();
    for ((picked, path), found) in fields.iter().zip(paths).zip(found) {
        let cell = match std::mem::take(found) {
            Found::Missing | Found::Null if picked.nullable => Cell::Null,
            Found::Missing => return Err(format!("{path} is missing")),
            Found::Null => return Err(format!("{path} is null")),
            value => {
                let kind = value.kind();
                let cell = picked.cell_type.cell(value);
                cell.ok_or_else(|| format!("{path} is {kind} that is no {}", picked.cell_type.data_type()))?
            }
        };
        cells.push(cell);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

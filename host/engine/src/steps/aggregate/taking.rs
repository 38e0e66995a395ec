//! Rows on their way into the table of their pane. A row that one function refuses, as a plugin may, is taken
//! by none of them and leaves nothing behind.

use super::table::failed;
use super::{Aggregate, RejectedRow, Rows, StepError, table_of};
use crate::steps::keys::{both, kept_rows};

impl Aggregate {
    /// Takes rows that belong to one window; answers with those that a plugin refuses.
    pub(super) fn take_rows(&mut self, start_us: i64, rows: &Rows) -> Result<Vec<RejectedRow>, StepError> {
        let mut refused = Vec::new();
        let mut kept = None;
        loop {
            let rest = kept.as_ref().unwrap_or(rows);
            if rest.count == 0 {
                return Ok(refused);
            }
            let more = self.try_rows(start_us, rest)?;
            if more.is_empty() {
                return Ok(refused);
            }
            // What one function refuses, no other may have.
            refused = both(rows.count, refused, &more);
            kept = Some(rows.select(kept_rows(rows.count, &refused))?);
        }
    }

    /// Takes the rows of one window if no function refuses any; answers with those that one refuses.
    fn try_rows(&mut self, start_us: i64, rows: &Rows) -> Result<Vec<RejectedRow>, StepError> {
        let keys = self.codec.encode(&rows.keys, rows.count).map_err(failed)?;
        let window = self.pane(start_us);
        let alone = self.is_direct();
        let tables = if alone { &mut self.state } else { &mut self.gathered };
        let table = table_of(tables, &mut self.spare, &self.plan, start_us).map_err(failed)?;
        let functions = &self.plan.config.functions;
        let before = table.len();
        table.find(&keys, &mut self.ids).map_err(failed)?;
        if self.plan.calls_plugins()
            && let Some((function, refused)) =
                table.refusals(&self.ids, functions, &rows.arguments).map_err(failed)?
        {
            let told = refused.into_iter().map(|row| {
                let group = table.describe(&self.plan, &self.codec, window, self.ids[row.row as usize]);
                let reason = format!("`{}` of {group}: {}", functions[function].name, row.reason);
                RejectedRow { reason, ..row }
            });
            let told = told.collect();
            table.truncate(before).map_err(failed)?;
            return Ok(told);
        }
        let updated = table.update(&self.ids, functions, &rows.arguments);
        updated.map_err(|error| table.of_group(&self.plan, &self.codec, window, "a function", error))?;
        if alone {
            table.touch(&self.ids);
        }
        Ok(Vec::new())
    }
}

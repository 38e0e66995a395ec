//! Plugins: name and version are unique, bytes are kept whole.

use rusqlite::{OptionalExtension, Row, params};

use super::{Catalog, CatalogError};

/// A plugin without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PluginRow {
    pub(crate) digest: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// JSON: what it says of itself.
    pub(crate) manifest: String,
    pub(crate) uploaded_at_us: i64,
    pub(crate) size_bytes: u64,
}

/// A plugin to store.
pub(crate) struct NewPlugin<'a> {
    pub(crate) digest: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) manifest: &'a str,
    pub(crate) bytes: &'a [u8],
}

const COLUMNS: &str = "SELECT digest, name, version, manifest, uploaded_at_us, size FROM plugins";

impl Catalog {
    /// Stores a plugin unless its bytes are there (under whatever version) or its name and version are taken; answers with
    /// the row that is there then.
    pub(crate) fn add_plugin(&self, plugin: &NewPlugin<'_>) -> Result<(PluginRow, bool), CatalogError> {
        let now_us = self.now_us();
        self.with(|db| {
            let added = db.execute(
                "INSERT INTO plugins (digest, name, version, manifest, uploaded_at_us, size, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
                params![
                    plugin.digest,
                    plugin.name,
                    plugin.version,
                    plugin.manifest,
                    now_us,
                    plugin.bytes.len() as i64,
                    plugin.bytes,
                ],
            )?;
            let row = db.query_row(
                &format!(
                    "{COLUMNS} WHERE digest = ?1 OR (name = ?2 AND version = ?3) ORDER BY digest = ?1 DESC LIMIT 1"
                ),
                [plugin.digest, plugin.name, plugin.version],
                plugin_row,
            )?;
            Ok((row, added == 1))
        })
    }

    /// All plugins, in order of name and upload.
    pub(crate) fn plugins(&self) -> Result<Vec<PluginRow>, CatalogError> {
        self.with(|db| {
            let mut statement =
                db.prepare_cached(&format!("{COLUMNS} ORDER BY name, uploaded_at_us, rowid"))?;
            statement.query_map([], plugin_row)?.collect()
        })
    }

    /// The bytes of a plugin.
    pub(crate) fn plugin_bytes(&self, digest: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        self.with(|db| {
            db.query_row("SELECT bytes FROM plugins WHERE digest = ?1", [digest], |row| row.get(0)).optional()
        })
    }

    /// Removes a plugin; pipelines that use it in their current version keep it: their names are
    /// the answer then, in the same transaction, so that none can be deployed in between.
    pub(crate) fn remove_plugin(&self, digest: &str) -> Result<Vec<String>, CatalogError> {
        self.with(|db| {
            let transaction = db.transaction()?;
            let users: Vec<String> = transaction
                .prepare(
                    "SELECT p.name FROM pipelines p JOIN pipeline_versions v ON v.pipeline = p.name AND v.version = p.version
                     WHERE EXISTS (SELECT 1 FROM json_each(v.digests) WHERE value = ?1) ORDER BY p.name",
                )?
                .query_map([digest], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            if users.is_empty() {
                transaction.execute("DELETE FROM plugins WHERE digest = ?1", [digest])?;
            }
            transaction.commit()?;
            Ok(users)
        })
    }
}

fn plugin_row(row: &Row<'_>) -> rusqlite::Result<PluginRow> {
    Ok(PluginRow {
        digest: row.get(0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        manifest: row.get(3)?,
        uploaded_at_us: row.get(4)?,
        size_bytes: row.get::<_, i64>(5)?.unsigned_abs(),
    })
}

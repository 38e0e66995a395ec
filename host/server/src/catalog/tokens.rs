//! Tokens: only their SHA-256 is kept.

use rusqlite::params;

use super::{Catalog, CatalogError};

/// A token that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) name: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) created_at_us: i64,
}

impl Catalog {
    /// Stores the hash of a token; false when the name is taken.
    pub(crate) fn add_token(&self, name: &str, hash: &[u8]) -> Result<bool, CatalogError> {
        let now_us = self.now_us();
        self.with(|db| {
            db.execute(
                "INSERT INTO tokens (hash, name, created_at_us) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![hash, name, now_us],
            )
            .map(|added| added == 1)
        })
    }

    /// All tokens, by name.
    pub(crate) fn tokens(&self) -> Result<Vec<TokenRow>, CatalogError> {
        self.with(|db| {
            db.prepare_cached("SELECT name, hash, created_at_us FROM tokens ORDER BY name")?
                .query_map([], |row| {
                    Ok(TokenRow { name: row.get(0)?, hash: row.get(1)?, created_at_us: row.get(2)? })
                })?
                .collect()
        })
    }

    /// Removes a token; false when there is none of that name.
    pub(crate) fn remove_token(&self, name: &str) -> Result<bool, CatalogError> {
        self.with(|db| db.execute("DELETE FROM tokens WHERE name = ?1", [name]).map(|removed| removed == 1))
    }
}

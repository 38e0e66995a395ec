//! Pipelines: every version of their specs, and whether they should run.

use rusqlite::{Row, params};

use super::{Catalog, CatalogError};

/// What a pipeline's owner asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It runs, also after the server's restart.
    Running,
    /// It does not.
    Stopped,
}

impl Wanted {
    const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// A pipeline with its current version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PipelineRow {
    pub(crate) name: String,
    /// Random; another pipeline of the same name has another.
    pub(crate) id: String,
    pub(crate) wanted: Wanted,
    pub(crate) created_at_us: i64,
    pub(crate) current: VersionRow,
}

/// One version of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) version: u64,
    /// JSON, as it was sent.
    pub(crate) spec: String,
    /// The plugins it was deployed with.
    pub(crate) digests: Vec<String>,
    pub(crate) created_at_us: i64,
}

impl Catalog {
    /// Makes a pipeline, or gives it a new version; both with `wanted`. `id` is taken for a new one.
    pub(crate) fn put_pipeline(
        &self,
        name: &str,
        id: &str,
        spec: &str,
        digests: &[String],
        wanted: Wanted,
    ) -> Result<PipelineRow, CatalogError> {
        let now_us = self.now_us();
        let digests = serde_json::to_string(digests).unwrap_or_else(|_| "[]".to_owned());
        self.with(|db| {
            let transaction = db.transaction()?;
            transaction.execute(
                "INSERT INTO pipelines (name, id, version, wanted, created_at_us) VALUES (?1, ?2, 1, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET version = version + 1, wanted = excluded.wanted",
                params![name, id, wanted.name(), now_us],
            )?;
            transaction.execute(
                "INSERT INTO pipeline_versions (pipeline, version, spec, digests, created_at_us)
                 SELECT name, version, ?2, ?3, ?4 FROM pipelines WHERE name = ?1",
                params![name, spec, digests, now_us],
            )?;
            let row = transaction.query_row(&format!("{SELECT} WHERE p.name = ?1"), [name], pipeline_row)?;
            transaction.commit()?;
            Ok(row)
        })
    }

    /// All pipelines, by name.
    pub(crate) fn pipelines(&self) -> Result<Vec<PipelineRow>, CatalogError> {
        self.with(|db| {
            db.prepare(&format!("{SELECT} ORDER BY p.name"))?.query_map([], pipeline_row)?.collect()
        })
    }

    /// Notes what is wanted.
    pub(crate) fn set_wanted(&self, name: &str, wanted: Wanted) -> Result<(), CatalogError> {
        self.with(|db| {
            db.execute("UPDATE pipelines SET wanted = ?2 WHERE name = ?1", [name, wanted.name()]).map(|_| ())
        })
    }

    /// Forgets a pipeline and its versions.
    pub(crate) fn remove_pipeline(&self, name: &str) -> Result<(), CatalogError> {
        self.with(|db| db.execute("DELETE FROM pipelines WHERE name = ?1", [name]).map(|_| ()))
    }
}

const SELECT: &str =
    "SELECT p.name, p.id, p.wanted, p.created_at_us, v.version, v.spec, v.digests, v.created_at_us
    FROM pipelines p JOIN pipeline_versions v ON v.pipeline = p.name AND v.version = p.version";

fn pipeline_row(row: &Row<'_>) -> rusqlite::Result<PipelineRow> {
    let wanted: String = row.get(2)?;
    let digests: String = row.get(6)?;
    Ok(PipelineRow {
        name: row.get(0)?,
        id: row.get(1)?,
        wanted: if wanted == Wanted::Running.name() { Wanted::Running } else { Wanted::Stopped },
        created_at_us: row.get(3)?,
        current: VersionRow {
            version: row.get::<_, i64>(4)?.unsigned_abs(),
            spec: row.get(5)?,
            digests: serde_json::from_str(&digests).unwrap_or_default(),
            created_at_us: row.get(7)?,
        },
    })
}

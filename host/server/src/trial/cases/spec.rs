//! What a case says: its files, and the document in `NAME.yaml`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::document::{self, Syntax};
use crate::trial::{TrialError, TrialSpec};

/// What time it is in a case that does not say: 2024-01-01T00:00:00Z, the same whenever it is run.
const NOW_US: i64 = 1_704_067_200_000_000;

/// A case, by its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    folder: PathBuf,
}

/// What `NAME.yaml` says.
#[derive(Clone, Debug)]
pub struct CaseSpec {
    /// What is tried.
    pub trial: TrialSpec,
    /// The operator must fail (at `open` or in a call) with a message that contains this.
    pub error: Option<String>,
}

impl Case {
    /// The case of this name in a folder.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), folder: folder.to_owned() }
    }

    /// `NAME.yaml`.
    #[must_use]
    pub fn spec_file(&self) -> PathBuf {
        self.file("yaml")
    }

    /// `NAME.in.ndjson`: the rows.
    #[must_use]
    pub fn input_file(&self) -> PathBuf {
        self.file("in.ndjson")
    }

    /// `NAME.out.ndjson`: what must come out.
    #[must_use]
    pub fn output_file(&self) -> PathBuf {
        self.file("out.ndjson")
    }

    /// `NAME.dead.ndjson`: rows that cannot be used; none when there is no such file.
    #[must_use]
    pub fn dead_file(&self) -> PathBuf {
        self.file("dead.ndjson")
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// Reads `NAME.yaml`; without one everything has its default.
    ///
    /// # Errors
    /// What is wrong, with the file and the key.
    pub fn spec(&self) -> Result<CaseSpec, TrialError> {
        let file = self.spec_file();
        let at = |error: &dyn std::fmt::Display| TrialError(format!("{}: {error}", file.display()));
        let mut document = match fs::read(&file) {
            Ok(bytes) => document::read(&bytes, Syntax::Yaml).map_err(|error| at(&error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Value::Object(serde_json::Map::new())
            }
            Err(error) => return Err(at(&error)),
        };
        if document.is_null() {
            document = Value::Object(serde_json::Map::new());
        }
        let error = match document.as_object_mut().and_then(|keys| keys.shift_remove("error")) {
            None => None,
            Some(Value::String(words)) => Some(words),
            Some(_) => return Err(at(&"error: a text that the message must contain")),
        };
        let mut trial = TrialSpec::from_json(document).map_err(|error| at(&error))?;
        trial.now_us.get_or_insert(NOW_US);
        Ok(CaseSpec { trial, error })
    }
}

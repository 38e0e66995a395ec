//! Where everything that the commands say comes out: answers on standard output, errors and notes on
//! standard error.

use std::io::{self, Write};

use serde_json::Value;

use super::args::Format;
use super::error::CliError;
use super::table;

/// The commands' only way to say something.
pub(super) struct Output {
    format: Format,
    answers: Box<dyn Write>,
}

impl Output {
    /// Standard output and standard error.
    pub(super) fn standard(format: Format) -> Self {
        Self { format, answers: Box::new(io::stdout()) }
    }

    /// What reads the answers is a program.
    pub(super) fn is_for_programs(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// A list of documents: a table of these fields, or the list as it is.
    pub(super) fn list(&mut self, documents: &Value, columns: &[(&str, &str)]) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.json(documents),
            Format::Table => {
                let rows = documents.as_array().map(Vec::as_slice).unwrap_or_default();
                self.text(&table::table(rows, columns))
            }
        }
    }

    /// One document: indented for people, on one line for programs.
    pub(super) fn document(&mut self, document: &Value) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.json(document),
            Format::Table => self.text(&table::outline(document)),
        }
    }

    /// A sentence for people; a document for programs.
    pub(super) fn done(&mut self, sentence: &str, document: &Value) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.json(document),
            Format::Table => self.text(&format!("{sentence}\n")),
        }
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CliError> {
        let written = self.answers.write_all(text.as_bytes()).and_then(|()| self.answers.flush());
        written.map_err(|error| CliError::writing(&error))
    }

    /// A remark that is no part of the answer.
    #[allow(clippy::print_stderr, reason = "the one place that speaks to the person at the terminal")]
    pub(super) fn note(&mut self, remark: &str) {
        eprintln!("{remark}");
    }

    /// Why the command failed.
    pub(super) fn error(&mut self, error: &CliError) {
        self.note(&format!("error: {error}"));
    }

    fn json(&mut self, document: &Value) -> Result<(), CliError> {
        self.text(&format!("{document}\n"))
    }
}

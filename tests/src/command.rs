//! The command line, as a person uses it.

use std::process::{Command, Output};

use crate::Server;

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it ended with success.
    pub ok: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { ok: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Runs `millstream` to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn command(arguments: &[&str]) -> Said {
    Command::new(crate::binary()).args(arguments).output().expect("the binary runs").into()
}

impl Server {
    /// Runs `millstream` against this server.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Said {
        command(&[arguments, &["--server", &self.url]].concat())
    }
}

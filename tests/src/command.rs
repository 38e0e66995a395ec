//! The command line, as a person uses it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::Server;

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it ended with success.
    pub ok: bool,
    /// The status that it ended with; none when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            ok: output.status.success(),
            status: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
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

/// Runs `millstream` to its end, in this environment beside its own.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn command_in(environment: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = Command::new(crate::binary());
    command.args(arguments).envs(environment.iter().copied());
    command.output().expect("the binary runs").into()
}

/// Runs `millstream` to its end, with this on its standard input.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn command_with_input(arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(crate::binary())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // On a thread of its own: neither side waits for the other's pipe. One that reads nothing ends early.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let said = child.wait_with_output().expect("it runs to its end").into();
    writer.join().expect("it writes or is refused");
    said
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

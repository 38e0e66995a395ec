//! The commands. Everything that a running server does is asked of it over REST; `serve` and `run`
//! hold the engine themselves, and `token` writes the catalog of a data folder.

mod args;
mod client;
mod error;
mod ingest;
mod output;
mod pipeline;
mod plugin;
mod run;
mod serve;
mod state;
mod table;
mod token;

use std::process::ExitCode;

use clap::Parser;

use crate::config;

use args::{Args, Command};
use client::Client;
use error::CliError;
use output::Output;

/// Runs the program: exit code 0 when it was done, 1 when it failed, 2 when it was asked wrongly; `plugin run`
/// ends with 3 when rows could not be used.
#[must_use]
pub fn main() -> ExitCode {
    // Clap ends the process itself with 2 on wrong arguments, 0 on --help.
    let args = Args::parse();
    let mut output = Output::standard(args.output);
    match dispatch(args, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Reader) => ExitCode::SUCCESS,
        Err(CliError::Said(status)) => ExitCode::from(status),
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: Args, output: &mut Output) -> Result<(), CliError> {
    let client = || {
        let server = args.server.clone().unwrap_or_else(config::server_url);
        Client::new(&server, args.token.clone().or_else(config::token))
    };
    match args.command {
        Command::Serve(serve) => serve::serve(&serve),
        Command::Run(run) => run::run(&run, output),
        Command::Plugin(command) => plugin::plugin(command, &client(), output),
        Command::Pipeline(command) => pipeline::pipeline(command, &client(), output),
        Command::Token(command) => token::token(&command, output),
        Command::Query(query) => state::query(&query, &client(), output),
        Command::Ingest(ingest) => ingest::ingest(&ingest, &client(), output),
    }
}

#[cfg(test)]
mod tests;

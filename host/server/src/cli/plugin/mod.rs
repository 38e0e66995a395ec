//! `millstream plugin`: what a plugin's author does. What needs no server (`run`, `test`) holds the engine itself; the others ask a server.

mod args;
mod cases;
mod project;
mod run;
mod server;

use super::client::Client;
use super::error::CliError;
use super::output::Output;

pub(super) use args::PluginCommand;

pub(super) fn plugin(command: PluginCommand, client: &Client, output: &mut Output) -> Result<(), CliError> {
    match command {
        PluginCommand::Run(run) => run::run(&run, output),
        PluginCommand::Test(test) => cases::test(&test, output),
        PluginCommand::Push { files } => server::push(&files, client, output),
        PluginCommand::List => server::list(client, output),
        PluginCommand::Show { plugin } => server::show(&plugin, client, output),
        PluginCommand::Delete { plugin } => server::delete(&plugin, client, output),
    }
}

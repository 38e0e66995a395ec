//! `millstream plugin`: what a plugin's author does. What needs no server (`new`, `build`, `run`, `test`, `bench`, `wit`) holds the engine itself; the others ask a server.

mod args;
mod bench;
mod build;
mod cases;
mod component;
mod new;
mod project;
mod run;
mod server;
mod toolchain;
mod wit;

use super::client::Client;
use super::error::CliError;
use super::output::Output;

pub(super) use args::PluginCommand;

pub(super) fn plugin(command: PluginCommand, client: &Client, output: &mut Output) -> Result<(), CliError> {
    match command {
        PluginCommand::New(new) => new::new(&new, output),
        PluginCommand::Build { dir } => build::build(&dir, output).map(drop),
        PluginCommand::Wit { dir } => wit::wit(dir.as_deref(), output),
        PluginCommand::Run(run) => run::run(&run, output),
        PluginCommand::Test(test) => cases::test(&test, output),
        PluginCommand::Bench(bench) => bench::bench(&bench, output),
        PluginCommand::Push { files } => server::push(&files, client, output),
        PluginCommand::List => server::list(client, output),
        PluginCommand::Show { plugin } => server::show(&plugin, client, output),
        PluginCommand::Delete { plugin } => server::delete(&plugin, client, output),
    }
}

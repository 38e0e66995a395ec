//! `millstream plugin`: what a plugin's author does. What needs no server (`new`, `build`, `run`, `test`, `bench`, `wit`) holds the engine itself; the others ask a server.

mod args;
mod bench;
mod build;
mod cases;
mod component;
mod manifest;
mod new;
mod project;
mod push;
mod run;
mod server;
mod toolchain;
mod watch;
mod wit;

use super::client::Client;
use super::error::CliError;
use super::output::Output;

pub(super) use args::PluginCommand;

pub(super) fn plugin(command: PluginCommand, client: &Client, output: &mut Output) -> Result<(), CliError> {
    match command {
        PluginCommand::New(new) => new::new(&new, output),
        PluginCommand::Build { dir, watch: false } => build::build(&dir, output).map(drop),
        PluginCommand::Build { dir, watch: true } => {
            watch::watch(&dir, output, |output| build::build(&dir, output).map(drop))
        }
        PluginCommand::Wit { dir } => wit::wit(dir.as_deref(), output),
        PluginCommand::Run(run) => run::run(&run, output),
        PluginCommand::Test(test) if test.watch => watch::watch(&test.dir, output, |output| {
            build::build(&test.dir, output)?;
            cases::test(&test, output)
        }),
        PluginCommand::Test(test) => cases::test(&test, output),
        PluginCommand::Bench(bench) => bench::bench(&bench, output),
        PluginCommand::Push { files, watch: false } => push::push(&files, client, output),
        PluginCommand::Push { files, watch: true } => push::push_and_watch(&files, client, output),
        PluginCommand::List => server::list(client, output),
        PluginCommand::Show { plugin } => server::show(&plugin, client, output),
        PluginCommand::Delete { plugin } => server::delete(&plugin, client, output),
    }
}

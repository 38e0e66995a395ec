//! Whole-system tests: a module a concern.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, and says what it saw"
)]

mod cases;
mod command_line;
mod connectors;
mod dead_letters;
mod docs;
mod early;
mod faults;
mod join_specs;
mod logging;
mod looking;
mod memory;
mod observing;
mod plugin_aggregates;
mod plugin_bench;
mod plugin_cases;
mod plugin_projects;
mod plugin_run;
mod plugin_tools;
mod plugin_watch;
mod plugins;
mod run_command;
mod size;
mod specs;
mod sql;
mod states;
mod streams;
mod support;
mod tables;
mod tokens;

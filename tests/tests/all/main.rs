//! Whole-system tests: a module a concern.

mod cases;
mod command_line;
mod dead_letters;
mod faults;
mod observing;
mod plugins;
mod run_command;
mod specs;
mod streams;
mod support;
mod tokens;

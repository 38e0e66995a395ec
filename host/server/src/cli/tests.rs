use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::args::{Args, Command, DeadLetters, Format, Pipeline};

#[test]
fn the_commands_are_sound() {
    Args::command().debug_assert();
}

#[test]
fn options_of_all_commands_can_stand_anywhere() {
    let args = Args::try_parse_from(["millstream", "pipeline", "list", "-o", "json", "--server", "http://x"])
        .unwrap();
    assert_eq!((args.output, args.server.as_deref()), (Format::Json, Some("http://x")));
}

#[test]
fn serve_listens_on_loopback() {
    let args = Args::try_parse_from(["millstream", "serve"]).unwrap();
    let Command::Serve(serve) = args.command else { panic!("{args:?}") };
    assert!(serve.listen.ip().is_loopback());
    assert_eq!(serve.listen.port(), 7070);
}

#[test]
fn run_takes_many_plugins() {
    let args = Args::try_parse_from(["millstream", "run", "a.yaml", "--plugin", "a.wasm", "--plugin", "dir"])
        .unwrap();
    let Command::Run(run) = args.command else { panic!("{args:?}") };
    assert_eq!(run.plugins.len(), 2);
}

#[test]
fn dead_letters_have_their_own_commands() {
    let words = ["millstream", "pipeline", "dead-letters", "replay", "p", "--kind", "late"];
    let args = Args::try_parse_from(words).unwrap();
    let Command::Pipeline(Pipeline::DeadLetters(DeadLetters::Replay { which, .. })) = args.command else {
        panic!("{args:?}")
    };
    assert_eq!(which.kind.as_deref(), Some("late"));
}

#[test]
fn what_is_missing_or_unknown_is_a_usage_error() {
    for words in [
        &["millstream"][..],
        &["millstream", "plugin", "show"],
        &["millstream", "serve", "--listen", "x"],
        &["millstream", "srve"],
    ] {
        let error = Args::try_parse_from(words).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{words:?}");
        assert_eq!(error.exit_code(), 2, "{words:?}");
    }
}

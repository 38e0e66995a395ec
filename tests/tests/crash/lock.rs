//! One data directory, one server.

use std::process::{Command, Output};

use millstream_tests::{Server, binary};

/// A second server on the same directory; it must end by itself.
fn second(server: &Server) -> Output {
    let command = ["serve", "--listen", "127.0.0.1:0", "--data-dir"];
    Command::new(binary()).args(command).arg(&server.dir).output().unwrap()
}

#[test]
fn a_second_server_is_refused_and_a_killed_one_leaves_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let refused = second(&server);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains(&dir.path().display().to_string()), "{said}");
    assert!(said.contains(&format!("process {}", server.pid())), "{said}");
    assert_eq!(server.get("/healthz").status, 200, "the first goes on");

    server.kill();
    let server = Server::start(dir.path());
    let said = String::from_utf8_lossy(&second(&server).stderr).into_owned();
    assert!(said.contains(&format!("process {}", server.pid())), "{said}");
    server.stop();
}

//! Killing a server again and again while a pipeline works.

use std::time::Duration;

use millstream_tests::{Server, eventually};

use crate::random::Random;
use crate::support::committed;

/// How long a server lives at most after it was seen at work.
const LIFE_MAX: Duration = Duration::from_millis(150);

/// Kills the server `kills` times at random moments, with a new life on the same folder after each;
/// `feed` is called before each kill and gives work for at least three batches. Gives the last life.
pub(crate) fn kill_again_and_again(
    random: &mut Random,
    first: Server,
    pipeline: &str,
    kills: u64,
    mut feed: impl FnMut(&Server, u64),
) -> Server {
    let dir = first.dir.clone();
    let mut server = first;
    for number in 0..kills {
        // Looked at before there is more to do, so that new commits are sure to come.
        let seen = committed(&server, pipeline);
        feed(&server, number);
        wait_for_a_moment(random, &server, pipeline, seen);
        server.kill();
        server = Server::start(&dir);
    }
    server
}

/// Some kills come during recovery, some at the first new commit, most at any time later.
fn wait_for_a_moment(random: &mut Random, server: &Server, pipeline: &str, seen: u64) {
    if random.below(4) > 0 {
        let more = 1 + random.below(3);
        eventually("the next commits", || (committed(server, pipeline) >= seen + more).then_some(()));
    }
    random.pause(LIFE_MAX);
}

//! How long a pipeline waits after a failure, and when it gives up and asks a person.

use std::time::Duration;

use super::failure::Persistence;

/// The first pause after a failure; it doubles up to the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// So many attempts without a batch between them, and a person is asked: about three minutes.
const ATTEMPTS_MAX: u32 = 14;

/// Failures in a row, without a batch between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    /// All of them: pauses grow with them.
    failures: u32,
    /// Those that should have passed by themselves: patience ends with them.
    counted: u32,
}

impl Patience {
    /// How long to wait after one more failure; none when it is time to give up. A full disk is
    /// waited for for ever: it passes when a person makes room, and that is enough.
    pub(crate) fn pause(&mut self, persistence: Persistence) -> Option<Duration> {
        match persistence {
            Persistence::Lasting => return None,
            Persistence::Passing if self.counted >= ATTEMPTS_MAX => return None,
            Persistence::Passing => self.counted += 1,
            Persistence::UntilRoom => {}
        }
        self.failures = self.failures.saturating_add(1);
        Some(PAUSE_MIN.saturating_mul(1 << (self.failures - 1).min(16)).min(PAUSE_MAX))
    }

    /// How many failures there were in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_should_pass_is_given_up_in_the_end() {
        let mut patience = Patience::default();
        let pauses: Vec<Duration> = std::iter::from_fn(|| patience.pause(Persistence::Passing)).collect();
        assert_eq!(pauses.len(), 14);
        assert_eq!(pauses[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(pauses[13], PAUSE_MAX);
        assert_eq!(Patience::default().pause(Persistence::Lasting), None);
    }

    #[test]
    fn a_full_disk_is_waited_for_for_ever_with_the_longest_pause() {
        let mut patience = Patience::default();
        for _ in 0..100_000 {
            assert!(patience.pause(Persistence::UntilRoom).is_some());
        }
        assert_eq!(patience.pause(Persistence::UntilRoom), Some(PAUSE_MAX));
        assert_eq!(patience.failures(), 100_001);
        // What fails while there is room again has its own attempts.
        assert!(patience.pause(Persistence::Passing).is_some());
    }
}

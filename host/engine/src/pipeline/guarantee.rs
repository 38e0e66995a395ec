//! What a pipeline can promise each sink: the least of what its parts can give, with the reasons.

use super::connect::Replay;
use super::spec::Delivery;
use super::status::Guarantee;
use crate::sink::SinkPromise;

/// A source, as far as a guarantee depends on it.
pub(crate) struct SourceShare<'a> {
    pub(crate) name: &'a str,
    pub(crate) replay: &'a Replay,
}

/// What a sink gets from these sources.
pub(crate) fn of_sink(
    sink: &str,
    promise: SinkPromise,
    promise_reason: &str,
    sources: &[SourceShare<'_>],
    asked: Delivery,
) -> Guarantee {
    let possible = match promise {
        SinkPromise::Transactional | SinkPromise::Idempotent => Delivery::ExactlyOnce,
        SinkPromise::Plain => Delivery::AtLeastOnce,
    };
    let mut reasons: Vec<String> = sources.iter().map(|source| source_reason(source, asked)).collect();
    reasons.push(
        "steps: a batch run again gives the same bytes (plan, clock and seed are durable first)".into(),
    );
    reasons.push(match promise {
        SinkPromise::Transactional => format!("{sink}: transactional ({promise_reason})"),
        SinkPromise::Idempotent => format!("{sink}: idempotent ({promise_reason})"),
        SinkPromise::Plain => {
            format!("{sink}: plain, a batch written again is there twice ({promise_reason})")
        }
    });
    if asked == Delivery::AtMostOnce {
        reasons.push("asked for at-most-once: nothing is journaled or run again after a crash".into());
    }
    Guarantee { sink: sink.to_owned(), possible, delivery: asked.min(possible), reasons }
}

fn source_reason(source: &SourceShare<'_>, asked: Delivery) -> String {
    let name = source.name;
    match source.replay {
        Replay::Replayable => format!("{name}: replayable (its data stays where it is)"),
        Replay::Journaled { .. } if asked == Delivery::AtMostOnce => {
            format!(
                "{name}: not journaled under at-most-once; what was received and not yet used dies with the process"
            )
        }
        Replay::Journaled { caveat: None } => format!("{name}: journaled before it is acknowledged"),
        Replay::Journaled { caveat: Some(caveat) } => format!("{name}: journaled on arrival; {caveat}"),
    }
}

/// Why what was asked for cannot be had, and the way out; none if it can.
pub(crate) fn refusal(guarantee: &Guarantee, asked: Delivery) -> Option<String> {
    (asked > guarantee.possible).then(|| {
        format!(
            "{asked} was asked for, but this sink can have {} at most: {}. Set `delivery: {}`, use a transactional or \
             idempotent sink (sqlite, file), or watch the rows with a tap instead of this sink",
            guarantee.possible,
            guarantee.reasons.last().map_or("", String::as_str),
            guarantee.possible
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(replay: &Replay) -> Vec<SourceShare<'_>> {
        vec![SourceShare { name: "s", replay }]
    }

    #[test]
    fn a_plain_sink_cannot_have_exactly_once_and_the_refusal_says_the_way_out() {
        let found = of_sink(
            "out",
            SinkPromise::Plain,
            "a stream of text",
            &sources(&Replay::Replayable),
            Delivery::ExactlyOnce,
        );
        assert_eq!((found.possible, found.delivery), (Delivery::AtLeastOnce, Delivery::AtLeastOnce));
        let refusal = refusal(&found, Delivery::ExactlyOnce).unwrap();
        assert!(refusal.contains("at-least-once") && refusal.contains("a stream of text"), "{refusal}");
    }

    #[test]
    fn what_was_asked_for_is_given_when_it_is_less() {
        let found = of_sink(
            "out",
            SinkPromise::Transactional,
            "",
            &sources(&Replay::Replayable),
            Delivery::AtLeastOnce,
        );
        assert_eq!((found.possible, found.delivery), (Delivery::ExactlyOnce, Delivery::AtLeastOnce));
        assert_eq!(refusal(&found, Delivery::AtLeastOnce), None);
    }

    #[test]
    fn the_caveat_of_a_raw_socket_is_among_the_reasons() {
        let replay = Replay::Journaled { caveat: Some("what the kernel held is gone".into()) };
        let found =
            of_sink("out", SinkPromise::Idempotent, "upsert", &sources(&replay), Delivery::ExactlyOnce);
        assert!(found.reasons[0].contains("what the kernel held is gone"), "{found:?}");
    }
}

//! `sessions`: rows of a key with less than a gap between them, given up once the gap has passed.

use millstream_plugin::prelude::*;
use serde::Serialize;

/// One row for each session of a key: rows with less than a gap of time between them.
///
/// A session is over when the event-time clock has passed its last row by the gap.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SessionsSpec {
    /// The timestamp column.
    time: String,
    /// The gap, in milliseconds.
    gap_ms: u32,
}

pub(crate) struct Sessions {
    time: String,
    gap_us: i64,
}

pub(crate) fn sessions(config: SessionsSpec, _keys: &Schema, input: &Schema) -> Result<Sessions> {
    input.key::<Timestamp>(&config.time)?;
    if config.gap_ms == 0 {
        bail!("config.gap_ms is 0: every row would be a session");
    }
    Ok(Sessions { time: config.time, gap_us: i64::from(config.gap_ms) * 1_000 })
}

/// Times in microseconds since the Unix epoch.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Session {
    start: i64,
    end: i64,
    count: i64,
}

impl Sessions {
    /// When the session is over, if nothing comes.
    fn over(&self, session: &Session) -> i64 {
        session.end.saturating_add(self.gap_us)
    }

    /// Adds a row to the open sessions, which it may join.
    fn add(&self, open: &mut Vec<Session>, at: i64) {
        let mut joined = Session { start: at, end: at, count: 1 };
        open.retain(|session| {
            let apart = self.over(session) <= joined.start || self.over(&joined) <= session.start;
            if !apart {
                joined = Session {
                    start: joined.start.min(session.start),
                    end: joined.end.max(session.end),
                    count: joined.count + session.count,
                };
            }
            apart
        });
        let place = open.partition_point(|session| session.start < joined.start);
        open.insert(place, joined);
    }
}

impl Keyed for Sessions {
    /// Those that are not over, by time. More than one only while rows come out of order.
    type State = Vec<Session>;

    fn output(&self) -> Result<Schema> {
        Schema::of([
            Field::new("start", DataType::Timestamp),
            Field::new("end", DataType::Timestamp),
            Field::new("count", DataType::Int64),
        ])
    }

    fn on_row(&self, key: &mut KeyView<'_, Vec<Session>>, row: Row<'_>) -> Result<()> {
        let Some(at) = row.timestamp(&self.time)? else {
            key.reject(row, format!("`{}` is null", self.time));
            return Ok(());
        };
        let open = key.state.get_or_insert_default();
        self.add(open, at);
        let next = self.over(&open[0]);
        key.set_timer(next);
        Ok(())
    }

    fn on_timer(&self, key: &mut KeyView<'_, Vec<Session>>, at: i64) -> Result<()> {
        // The clock may be further than the timer.
        let now = key.clock().watermark.map_or(at, |watermark| watermark.max(at));
        let open = key.state.take().unwrap_or_default();
        let (over, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|session| self.over(session) <= now);
        for Session { start, end, count } in over {
            key.emit((start, end, count))?;
        }
        if let Some(first) = open.first() {
            key.set_timer(self.over(first));
            *key.state = Some(open);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use millstream_plugin::testing::{self, Keeper};
    use millstream_plugin::{Batch, DataType, Field, Schema};
    use serde_json::json;

    use crate::plugin;

    fn rows(rows: &[(&str, Option<i64>)]) -> Batch {
        let fields = [Field::new("user", DataType::Utf8), Field::new("at", DataType::Timestamp).nullable()];
        let rows = rows.iter().map(|(user, at)| json!({"user": user, "at": at})).collect();
        testing::batch_of(Schema::of(fields).unwrap(), rows).unwrap()
    }

    fn keeper() -> Keeper {
        let config = json!({"time": "at", "gap_ms": 1});
        Keeper::open(&plugin(), "sessions", config, &["user"], rows(&[]).schema()).unwrap()
    }

    #[test]
    fn a_session_ends_when_the_gap_has_passed() {
        let mut keeper = keeper();
        let input = rows(&[("a", Some(0)), ("b", Some(500)), ("a", Some(900))]);
        assert_eq!(keeper.turn(None, input).unwrap().rows(), json!([]));
        assert_eq!((keeper.states(), keeper.timers()), (2, vec![1_500, 1_900]));
        assert_eq!(keeper.advance(1_499).unwrap().rows(), json!([]));
        let ended = keeper.advance(1_500).unwrap().rows();
        assert_eq!(ended, json!([{"user": "b", "start": 500, "end": 500, "count": 1}]));
        let ended = keeper.turn(Some(5_000), rows(&[("a", Some(5_001))])).unwrap().rows();
        assert_eq!(ended, json!([{"user": "a", "start": 0, "end": 900, "count": 2}]));
        assert_eq!((keeper.states(), keeper.timers()), (1, vec![6_001]));
    }

    #[test]
    fn nothing_is_kept_of_keys_that_are_silent() {
        let mut keeper = keeper();
        keeper.turn(None, rows(&[("a", Some(0)), ("b", Some(0))])).unwrap();
        assert_eq!(keeper.advance(1_000).unwrap().output.len(), 2);
        assert_eq!((keeper.states(), keeper.timers()), (0, vec![]));
    }

    #[test]
    fn rows_out_of_order_open_join_and_part_sessions() {
        let mut keeper = keeper();
        let input = rows(&[("a", Some(3_000)), ("a", Some(0)), ("a", Some(1_000)), ("a", Some(1_500))]);
        keeper.turn(None, input).unwrap();
        // 3000 alone, 0 alone (a gap apart from 1000), 1000 and 1500 together; then 2200 joins two.
        keeper.turn(None, rows(&[("a", Some(2_200))])).unwrap();
        let ended = keeper.advance(1_200).unwrap().rows();
        assert_eq!(ended, json!([{"user": "a", "start": 0, "end": 0, "count": 1}]));
        let ended = keeper.advance(4_000).unwrap().rows();
        assert_eq!(ended, json!([{"user": "a", "start": 1_000, "end": 3_000, "count": 4}]));
    }

    #[test]
    fn rows_without_a_time_are_rejected() {
        let ran = keeper().turn(None, rows(&[("a", Some(0)), ("a", None)])).unwrap();
        assert_eq!(ran.reasons(), [(1, "`at` is null")]);
    }

    #[test]
    fn the_config_is_checked() {
        let open =
            |config| Keeper::open(&plugin(), "sessions", config, &["user"], rows(&[]).schema()).unwrap_err();
        assert!(open(json!({"time": "at", "gap_ms": 0})).message().contains("gap_ms is 0"));
        assert!(open(json!({"time": "user", "gap_ms": 1})).message().contains("must be timestamp"));
    }
}

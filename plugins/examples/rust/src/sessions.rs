//! `sessions`: rows of a key with less than a gap between them, given up once the gap has passed.

use millstream_plugin::prelude::*;
use serde::Serialize;

/// One row for each session of a key: rows with less than a gap of time between them.
///
/// A session is over when the event-time clock has passed its last row by the gap.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsConfig {
    /// The timestamp column.
    time: String,
    /// The gap, in milliseconds.
    gap_ms: u32,
}

pub(crate) struct Sessions {
    time: String,
    gap_us: i64,
}

pub(crate) fn sessions(config: SessionsConfig, _keys: &Schema, input: &Schema) -> Result<Sessions> {
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

//! Tumbling windows by the clock of a time zone: days begin at local midnight, and last 23 or 25 hours
//! where clocks are changed.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::{Tumbling, Window, WindowError};

const DAY_US: i64 = 86_400_000_000;
const MINUTE_US: i64 = 60_000_000;

/// Times as far from 1970 as this are cut as in UTC: no clock in any zone is known there, and what follows
/// would leave the calendar.
const KNOWN_US: i64 = 8_000 * 365 * DAY_US;

/// Windows of one size by the clock of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoned {
    /// Windows of local time, taken for UTC.
    local: Tumbling,
    zone: Tz,
}

/// The time zone of this name.
///
/// # Errors
/// A message with the nearest name that is known.
pub fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let nearest = TZ_VARIANTS.iter().map(|zone| (strsim::damerau_levenshtein(name, zone.name()), zone.name()));
        let nearest = nearest.min().filter(|(distance, known)| *distance <= 1 + known.len() / 3);
        let hint = nearest.map_or(String::new(), |(_, known)| format!(": did you mean `{known}`?"));
        format!("unknown time zone `{name}`{hint} (zones have the names of the IANA database, such as Europe/Berlin)")
    })
}

impl Zoned {
    /// Windows that begin where these would if local time were UTC.
    ///
    /// # Errors
    /// When days cannot be cut into windows of this size, nor windows into days.
    pub fn new(local: Tumbling, zone: Tz) -> Result<Self, WindowError> {
        let size_us = local.size_us();
        let fits = size_us % DAY_US == 0 || (size_us >= MINUTE_US && DAY_US % size_us == 0);
        if fits { Ok(Self { local, zone }) } else { Err(WindowError::Zone { size_us }) }
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The window that a time belongs to. An hour that clocks show twice belongs to the window that was open
    /// last; a window whose hours are left out has no time at all.
    #[must_use]
    pub fn window(&self, time_us: i64) -> Window {
        let Some(ahead_us) = self.ahead_us(time_us) else { return self.local.window(time_us) };
        let mut local = self.local.window(time_us.saturating_add(ahead_us));
        let mut start_us = self.first(local.start_us);
        let mut end_us = self.first(local.end_us);
        while end_us <= time_us && local.end_us < KNOWN_US {
            local = self.local.window(local.end_us);
            (start_us, end_us) = (end_us, self.first(local.end_us));
        }
        Window { start_us, end_us }
    }

    /// How far local time is ahead of UTC; none where nobody knows.
    fn ahead_us(&self, time_us: i64) -> Option<i64> {
        let near = (-KNOWN_US..KNOWN_US).contains(&time_us);
        let time = DateTime::from_timestamp_micros(time_us).filter(|_| near)?.naive_utc();
        let ahead_s = self.zone.offset_from_utc_datetime(&time).fix().local_minus_utc();
        Some(i64::from(ahead_s) * 1_000_000)
    }

    /// The first time at which clocks show `local_us` or later.
    fn first(&self, local_us: i64) -> i64 {
        match naive(local_us).map(|local| self.zone.from_local_datetime(&local)) {
            None => local_us,
            Some(MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _)) => {
                time.timestamp_micros()
            }
            Some(MappedLocalTime::None) => self.end_of_gap(local_us),
        }
    }

    /// The time at which clocks jump over `local_us`.
    fn end_of_gap(&self, local_us: i64) -> i64 {
        let ahead = |time_us: i64| self.ahead_us(time_us).unwrap_or(0);
        // No clock is a day and more ahead or behind.
        let (mut before_us, mut after_us) = (local_us - DAY_US, local_us + DAY_US);
        while after_us - before_us > 1 {
            let middle_us = before_us + (after_us - before_us) / 2;
            if middle_us + ahead(middle_us) >= local_us {
                after_us = middle_us;
            } else {
                before_us = middle_us;
            }
        }
        after_us
    }
}

fn naive(local_us: i64) -> Option<NaiveDateTime> {
    let near = (-KNOWN_US..KNOWN_US).contains(&local_us);
    DateTime::from_timestamp_micros(local_us).filter(|_| near).map(|time| time.naive_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn days(name: &str, size_us: i64, offset_us: i64) -> Zoned {
        Zoned::new(Tumbling::new(size_us, offset_us).unwrap(), zone(name).unwrap()).unwrap()
    }

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn window(start: &str, end: &str) -> Window {
        Window { start_us: at(start), end_us: at(end) }
    }

    #[test]
    fn days_have_23_or_25_hours_where_clocks_change() {
        let berlin = days("Europe/Berlin", DAY_US, 0);
        let spring = window("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00");
        assert_eq!(berlin.window(at("2026-03-29T12:00:00+02:00")), spring);
        assert_eq!(spring.end_us - spring.start_us, 23 * HOUR_US);
        let autumn = window("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00");
        assert_eq!(berlin.window(at("2026-10-25T00:00:00+02:00")), autumn);
        assert_eq!(berlin.window(at("2026-10-25T23:59:59+01:00")), autumn);
        assert_eq!(autumn.end_us - autumn.start_us, 25 * HOUR_US);
        let plain = window("2026-07-01T00:00:00+02:00", "2026-07-02T00:00:00+02:00");
        assert_eq!(berlin.window(at("2026-07-01T22:30:00+02:00")), plain);
    }

    #[test]
    fn a_week_may_begin_on_monday() {
        // The first of January 1970 was a Thursday.
        let weeks = days("Europe/Berlin", 7 * DAY_US, 4 * DAY_US);
        let week = window("2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00");
        assert_eq!(weeks.window(at("2026-03-29T23:00:00+02:00")), week);
    }

    #[test]
    fn hours_that_clocks_show_twice_or_not_at_all_are_in_one_window_or_none() {
        let hours = days("Europe/Berlin", HOUR_US, 0);
        let twice = window("2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00");
        assert_eq!(hours.window(at("2026-10-25T02:30:00+02:00")), twice);
        assert_eq!(hours.window(at("2026-10-25T02:30:00+01:00")), twice);
        let after = window("2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00");
        assert_eq!(hours.window(at("2026-03-29T03:00:00+02:00")), after);
    }

    #[test]
    fn a_day_without_midnight_begins_when_clocks_have_jumped_over_it() {
        // Chile's clocks go from 24:00 to 01:00.
        let days = days("America/Santiago", DAY_US, 0);
        let day = window("2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00");
        assert_eq!(days.window(at("2026-09-06T12:00:00-03:00")), day);
    }

    #[test]
    fn unknown_zones_are_answered_with_the_nearest_and_sizes_that_fit_no_day_are_refused() {
        let error = zone("Europe/Berln").unwrap_err();
        assert!(error.contains("did you mean `Europe/Berlin`?"), "{error}");
        assert!(zone("").unwrap_err().starts_with("unknown time zone"));
        for size_us in [5 * HOUR_US, 25 * HOUR_US, 1_000] {
            let local = Tumbling::new(size_us, 0).unwrap();
            assert_eq!(Zoned::new(local, Tz::UTC), Err(WindowError::Zone { size_us }));
        }
    }

    proptest! {
        #[test]
        fn windows_of_every_zone_are_side_by_side_and_each_time_lies_in_its_own(
            zone in proptest::sample::select(&TZ_VARIANTS[..]),
            near in prop_oneof![Just(0i64), -70_000i64..70_000],
            within_us in 0..DAY_US,
            size_us in prop_oneof![
                Just(DAY_US), Just(7 * DAY_US), Just(HOUR_US), Just(6 * HOUR_US), Just(30 * MINUTE_US),
            ],
            offset_minutes in 0i64..60,
        ) {
            let time_us = near * DAY_US + within_us;
            let windows = Zoned::new(Tumbling::new(size_us, offset_minutes * MINUTE_US % size_us).unwrap(), zone).unwrap();
            let window = windows.window(time_us);
            prop_assert!(window.contains(time_us), "{window:?}");
            prop_assert_eq!(windows.window(window.start_us), window);
            prop_assert_eq!(windows.window(window.end_us - 1), window);
            prop_assert_eq!(windows.window(window.end_us).start_us, window.end_us);
            prop_assert_eq!(windows.window(window.start_us - 1).end_us, window.start_us);
        }

        #[test]
        fn in_utc_they_are_plain_ones(time_us: i64, days in 1i64..10) {
            let plain = Tumbling::new(days * DAY_US, 0).unwrap();
            prop_assert_eq!(Zoned::new(plain, Tz::UTC).unwrap().window(time_us), plain.window(time_us));
        }
    }
}

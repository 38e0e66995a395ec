//! Timestamps and dates as text that sorts as time does: RFC 3339 in UTC, always with six digits of
//! the second (`2026-11-22T13:04:58.000000Z`). Years outside 0000..=9999 have a sign and six digits.

const US_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from the first of March of the year 0 to the Unix epoch.
const EPOCH_DAYS: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// A buffer that texts are written to. Keeps the newest one: windows repeat the same timestamp
/// over thousands of rows.
#[derive(Debug, Default)]
pub struct CivilText {
    timestamp_us: Option<i64>,
    text: String,
}

impl CivilText {
    /// A timestamp in microseconds since the Unix epoch.
    pub fn timestamp(&mut self, us: i64) -> &str {
        if self.timestamp_us != Some(us) {
            self.text.clear();
            write_timestamp(us, &mut self.text);
            self.timestamp_us = Some(us);
        }
        &self.text
    }

    /// A date in days since the Unix epoch.
    pub fn date(&mut self, days: i32) -> &str {
        self.timestamp_us = None;
        self.text.clear();
        write_date(i64::from(days), &mut self.text);
        &self.text
    }
}

/// Appends a timestamp in microseconds since the Unix epoch.
pub fn write_timestamp(us: i64, out: &mut String) {
    let seconds = us.div_euclid(US_PER_SECOND);
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    write_date(seconds.div_euclid(SECONDS_PER_DAY), out);
    out.push('T');
    digits(of_day / 3600, 2, out);
    out.push(':');
    digits(of_day / 60 % 60, 2, out);
    out.push(':');
    digits(of_day % 60, 2, out);
    out.push('.');
    digits(us.rem_euclid(US_PER_SECOND), 6, out);
    out.push('Z');
}

/// Appends a date in days since the Unix epoch.
pub fn write_date(days: i64, out: &mut String) {
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        digits(year, 4, out);
    } else {
        out.push(if year < 0 { '-' } else { '+' });
        digits(year.abs(), if year.abs() < 1_000_000 { 6 } else { 7 }, out);
    }
    out.push('-');
    digits(month, 2, out);
    out.push('-');
    digits(day, 2, out);
}

/// Year, month and day in the proleptic Gregorian calendar. Counting years from March puts the
/// leap day last, so that the lengths of months follow one line: (153 m + 2) / 5.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_DAYS;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Appends `value`, which is not negative, in exactly `width` digits.
fn digits(value: i64, width: usize, out: &mut String) {
    let mut text = [b'0'; 20];
    let mut rest = value;
    for digit in text[..width].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend(text[..width].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        let mut text = CivilText::default();
        assert_eq!(text.timestamp(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text.timestamp(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text.timestamp(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text.date(19_782), "2024-02-29");
        assert_eq!(text.timestamp(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text.timestamp(i64::MAX), "+294247-01-10T04:00:54.775807Z");
        assert_eq!(text.timestamp(i64::MIN), "-290308-12-21T19:59:05.224192Z");
        assert_eq!(text.date(i32::MAX), "+5881580-07-11");
        assert_eq!(text.date(i32::MIN), "-5877641-06-23");
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar(us in -62_135_596_800_000_000i64..253_402_300_799_999_999) {
            let expected = DateTime::from_timestamp_micros(us).unwrap();
            let mut text = CivilText::default();
            prop_assert_eq!(text.timestamp(us), expected.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        }

        #[test]
        fn agrees_on_dates(days in -719_162i32..2_932_896) {
            let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
            let expected = epoch + chrono::Duration::days(i64::from(days));
            let mut text = CivilText::default();
            prop_assert_eq!(text.date(days), expected.format("%Y-%m-%d").to_string());
        }
    }
}

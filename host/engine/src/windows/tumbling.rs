//! Tumbling windows: all of time cut into pieces of one size.

use std::fmt;

use super::Window;

/// Windows of one size, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tumbling {
    size_us: i64,
    offset_us: i64,
}

impl Tumbling {
    /// Windows of `size_us` microseconds that begin `offset_us` after multiples of the size since the
    /// Unix epoch.
    ///
    /// # Errors
    /// When the size is not positive, or the offset is not within the size.
    pub fn new(size_us: i64, offset_us: i64) -> Result<Self, WindowError> {
        if size_us <= 0 {
            return Err(WindowError::Size { size_us });
        }
        if offset_us.unsigned_abs() >= size_us.unsigned_abs() {
            return Err(WindowError::Offset { size_us, offset_us });
        }
        Ok(Self { size_us, offset_us })
    }

    /// The window that a time belongs to. Before the epoch as after it; where a window reaches beyond
    /// the times that exist, it ends with them.
    #[must_use]
    pub fn window(&self, time_us: i64) -> Window {
        // 128 bits: the offset or the size may lead beyond the first and the last of all times.
        let (size, offset) = (i128::from(self.size_us), i128::from(self.offset_us));
        let since = i128::from(time_us) - offset;
        let start = since - since.rem_euclid(size) + offset;
        Window { start_us: clamp(start), end_us: clamp(start + size) }
    }

    /// Size of a window, in microseconds.
    #[must_use]
    pub fn size_us(&self) -> i64 {
        self.size_us
    }

    /// How far windows begin from multiples of their size, in microseconds.
    #[must_use]
    pub fn offset_us(&self) -> i64 {
        self.offset_us
    }
}

fn clamp(time_us: i128) -> i64 {
    time_us.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// What is wrong with a window's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// The size is not positive.
    Size {
        /// The size, in microseconds.
        size_us: i64,
    },
    /// The slide is not positive, or greater than the size.
    Slide {
        /// The size, in microseconds.
        size_us: i64,
        /// The slide, in microseconds.
        slide_us: i64,
    },
    /// The offset is not smaller than the size.
    Offset {
        /// The size, in microseconds.
        size_us: i64,
        /// The offset, in microseconds.
        offset_us: i64,
    },
    /// By the clock of a time zone there are no such windows.
    Zone {
        /// The size, in microseconds.
        size_us: i64,
    },
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { size_us } => write!(f, "a window's size must be positive, but is {size_us} us"),
            Self::Slide { size_us, slide_us } if *slide_us <= 0 => {
                write!(f, "windows of {size_us} us must slide forwards, but the slide is {slide_us} us")
            }
            Self::Slide { size_us, slide_us } => write!(
                f,
                "windows of {size_us} us every {slide_us} us leave gaps, in which rows would belong to no window: the \
                 slide must be at most the size"
            ),
            Self::Offset { size_us, offset_us } => {
                write!(f, "a window's offset ({offset_us} us) must be smaller than its size ({size_us} us)")
            }
            Self::Zone { size_us } => write!(
                f,
                "windows of {} s do not fit the days of a time zone: with `zone` they last whole days, or a part of which \
                 a day has a whole number, of a minute or more",
                size_us / 1_000_000
            ),
        }
    }
}

impl std::error::Error for WindowError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_before_1970_belongs_to_the_window_that_begins_before_it() {
        let windows = Tumbling::new(10, 0).unwrap();
        assert_eq!(windows.window(-1), Window { start_us: -10, end_us: 0 });
        assert_eq!(windows.window(-10), Window { start_us: -10, end_us: 0 });
        assert_eq!(windows.window(0), Window { start_us: 0, end_us: 10 });
    }

    #[test]
    fn an_offset_moves_where_windows_begin() {
        let windows = Tumbling::new(10, 3).unwrap();
        assert_eq!(windows.window(2), Window { start_us: -7, end_us: 3 });
        assert_eq!(windows.window(3), Window { start_us: 3, end_us: 13 });
        assert_eq!(Tumbling::new(10, -7).unwrap().window(3), windows.window(3));
    }

    #[test]
    fn windows_at_the_ends_of_time_end_with_it() {
        let windows = Tumbling::new(i64::MAX, 5).unwrap();
        assert_eq!(windows.window(i64::MAX).end_us, i64::MAX);
        assert_eq!(windows.window(i64::MIN).start_us, i64::MIN);
        let seconds = Tumbling::new(1_000_000, 0).unwrap();
        let first = seconds.window(i64::MIN);
        assert_eq!(seconds.window(first.start_us), first);
        assert_eq!(seconds.window(first.end_us).start_us, first.end_us);
        assert_eq!(seconds.window(i64::MAX).end_us, i64::MAX);
    }

    #[test]
    fn numbers_that_make_no_window_are_refused() {
        assert_eq!(Tumbling::new(0, 0), Err(WindowError::Size { size_us: 0 }));
        assert_eq!(Tumbling::new(5, 5), Err(WindowError::Offset { size_us: 5, offset_us: 5 }));
        assert_eq!(Tumbling::new(5, i64::MIN), Err(WindowError::Offset { size_us: 5, offset_us: i64::MIN }));
    }

    proptest! {
        #[test]
        fn every_time_lies_in_its_window(
            time_us: i64,
            size_us in 1..=i64::MAX,
            offset_us: i64,
        ) {
            let windows = Tumbling::new(size_us, offset_us % size_us).unwrap();
            let window = windows.window(time_us);
            prop_assert!(window.contains(time_us));
            prop_assert_eq!(windows.window(window.start_us), window);
        }
    }
}

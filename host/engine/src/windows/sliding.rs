//! Windows of one size that begin at regular times, side by side or overlapping, and the panes that
//! they are made of: a row is put into one pane, and a window is the sum of its panes.

use super::{Tumbling, Window, WindowError, Zoned};

/// Windows of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The longest pieces that no window cuts.
    panes: Tumbling,
    /// Where windows begin: a window at each start of these.
    slides: Tumbling,
    size_us: i64,
    /// Side by side, by the clock of a zone: then these are both panes and windows.
    zoned: Option<Zoned>,
}

impl From<Tumbling> for Windows {
    fn from(tumbling: Tumbling) -> Self {
        Self { panes: tumbling, slides: tumbling, size_us: tumbling.size_us(), zoned: None }
    }
}

impl Windows {
    /// Windows side by side, by the clock of a time zone.
    ///
    /// # Errors
    /// When days cannot be cut into windows of this size, nor windows into days.
    pub fn zoned(local: Tumbling, zone: chrono_tz::Tz) -> Result<Self, WindowError> {
        Ok(Self { zoned: Some(Zoned::new(local, zone)?), ..Self::from(local) })
    }
}

impl Windows {
    /// Windows of `size_us` microseconds, one every `slide_us`, the first `offset_us` after the Unix epoch.
    ///
    /// # Errors
    /// When a length is not positive, windows would leave gaps, or the offset is not within the slide.
    pub fn sliding(size_us: i64, slide_us: i64, offset_us: i64) -> Result<Self, WindowError> {
        if size_us <= 0 {
            return Err(WindowError::Size { size_us });
        }
        if slide_us <= 0 || slide_us > size_us {
            return Err(WindowError::Slide { size_us, slide_us });
        }
        let slides = Tumbling::new(slide_us, offset_us)?;
        let pane_us = greatest_common_divisor(size_us, slide_us);
        Ok(Self { panes: Tumbling::new(pane_us, offset_us % pane_us)?, slides, size_us, zoned: None })
    }

    /// The pane that a time belongs to.
    #[must_use]
    pub fn pane(&self, time_us: i64) -> Window {
        self.zoned.map_or_else(|| self.panes.window(time_us), |zoned| zoned.window(time_us))
    }

    /// Whether each window is one pane.
    #[must_use]
    pub fn are_panes(&self) -> bool {
        self.panes == self.slides && self.panes.size_us() == self.size_us
    }

    /// The last window that a pane is part of; when that is closed, the pane is not needed any more.
    #[must_use]
    pub fn last_of(&self, pane: Window) -> Window {
        if self.zoned.is_some() {
            return pane;
        }
        self.starting(self.slides.window(pane.start_us).start_us)
    }

    /// The windows that a pane is part of, the latest first.
    pub fn of(&self, pane: Window) -> impl Iterator<Item = Window> {
        let windows = *self;
        let last = self.last_of(pane);
        let before = move |window: &Window| {
            if windows.zoned.is_some() {
                return None;
            }
            let start_us = window.start_us.checked_sub(windows.slides.size_us())?;
            Some(windows.starting(start_us)).filter(|window| window.contains(pane.start_us))
        };
        std::iter::successors(Some(last), before)
    }

    fn starting(&self, start_us: i64) -> Window {
        if self.are_panes() {
            return self.panes.window(start_us);
        }
        Window { start_us, end_us: start_us.saturating_add(self.size_us) }
    }
}

impl std::fmt::Display for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (slide_us, offset_us) = (self.slides.size_us(), self.slides.offset_us());
        if self.are_panes() {
            write!(f, "tumbling {slide_us} us from {offset_us} us")?;
            self.zoned.map_or(Ok(()), |zoned| write!(f, " in {}", zoned.zone().name()))
        } else {
            write!(f, "sliding {} us by {slide_us} us from {offset_us} us", self.size_us)
        }
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_in_as_many_windows_as_slides_fit_the_size() {
        let windows = Windows::sliding(10, 4, 0).unwrap();
        let pane = windows.pane(9);
        assert_eq!(pane, Window { start_us: 8, end_us: 10 });
        let starts: Vec<i64> = windows.of(pane).map(|window| window.start_us).collect();
        assert_eq!(starts, [8, 4, 0]);
        assert_eq!(windows.last_of(pane), Window { start_us: 8, end_us: 18 });
    }

    #[test]
    fn lengths_that_make_no_windows_are_refused() {
        assert_eq!(Windows::sliding(0, 1, 0), Err(WindowError::Size { size_us: 0 }));
        assert_eq!(Windows::sliding(5, 0, 0), Err(WindowError::Slide { size_us: 5, slide_us: 0 }));
        assert_eq!(Windows::sliding(5, 6, 0), Err(WindowError::Slide { size_us: 5, slide_us: 6 }));
        assert_eq!(Windows::sliding(5, 2, 2), Err(WindowError::Offset { size_us: 2, offset_us: 2 }));
    }

    proptest! {
        #[test]
        fn the_windows_of_a_pane_are_those_that_contain_its_times(
            time_us in -1_000i64..1_000,
            slide_us in 1i64..50,
            more_us in 0i64..200,
            offset_us: i64,
        ) {
            let (size_us, offset_us) = (slide_us + more_us, offset_us % slide_us);
            let windows = Windows::sliding(size_us, slide_us, offset_us).unwrap();
            let pane = windows.pane(time_us);
            prop_assert!(pane.contains(time_us));
            let expected: Vec<i64> = (time_us - size_us..=time_us + slide_us)
                .rev()
                .filter(|start| (start - offset_us).rem_euclid(slide_us) == 0)
                .filter(|start| *start <= time_us && time_us < start + size_us)
                .collect();
            let found: Vec<i64> = windows.of(pane).map(|window| window.start_us).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(windows.last_of(pane).start_us, expected[0]);
        }
    }
}

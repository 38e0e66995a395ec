//! Who stays in memory: those that batches touched last.

/// Batches after which all are as old as can be.
const AGE_MAX: usize = 64;

/// A choice of as many as there is room for: all up to an age, and of those a batch older the first.
#[derive(Debug)]
pub struct Recent {
    age: usize,
    left: usize,
}

impl Recent {
    /// The `keep` youngest of those with these ages, in batches.
    pub fn new(ages: impl IntoIterator<Item = u32>, keep: usize) -> Self {
        let mut by_age = [0; AGE_MAX + 1];
        ages.into_iter().for_each(|age| by_age[(age as usize).min(AGE_MAX)] += 1);
        let mut left = keep;
        let age = by_age.iter().position(|count| match left.checked_sub(*count) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        Self { age: age.unwrap_or(usize::MAX), left }
    }

    /// Whether the next one stays, which has this age; asked in the same order.
    pub fn keeps(&mut self, age: u32) -> bool {
        let age = (age as usize).min(AGE_MAX);
        let stays = age < self.age || (age == self.age && self.left > 0);
        self.left -= usize::from(stays && age == self.age);
        stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_stay_and_of_one_age_the_first() {
        let ages = [3, 0, 900, 1, 3, 70, 3];
        let kept = |keep: usize| -> Vec<u32> {
            let mut recent = Recent::new(ages, keep);
            ages.into_iter().filter(|age| recent.keeps(*age)).collect()
        };
        assert!(kept(0).is_empty());
        assert_eq!(kept(4), [3, 0, 1, 3]);
        assert_eq!(kept(6), [3, 0, 900, 1, 3, 3]);
        assert_eq!(kept(9), ages);
    }
}

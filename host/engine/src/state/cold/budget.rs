//! How much memory the state of a pipeline may take, shared by its steps and workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The budget of a pipeline.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: u64,
    used: AtomicU64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Bytes that all may use together.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }
}

/// What one step on one worker uses of a budget.
#[derive(Debug)]
pub struct Share {
    budget: Arc<MemoryBudget>,
    own: u64,
}

impl Share {
    /// A share that uses nothing yet.
    #[must_use]
    pub const fn new(budget: Arc<MemoryBudget>) -> Self {
        Self { budget, own: 0 }
    }

    /// Takes note that this share uses so many bytes now. When all together are over the limit, the
    /// answer is what this share should go down to: half of what is its part, so that it does not
    /// have to give way again at once.
    pub fn uses(&mut self, bytes: u64) -> Option<u64> {
        // Numbers only: nobody reads other memory by them.
        let before = self.budget.used.fetch_add(bytes.wrapping_sub(self.own), Ordering::Relaxed);
        let total = before.wrapping_add(bytes.wrapping_sub(self.own));
        self.own = bytes;
        let part = u128::from(bytes) * u128::from(self.budget.limit) / u128::from(total.max(1));
        (total > self.budget.limit).then(|| u64::try_from(part / 2).unwrap_or(u64::MAX))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_give_way_in_proportion_once_all_together_are_over_the_limit() {
        let budget = Arc::new(MemoryBudget::new(1000));
        let (mut large, mut small) = (Share::new(Arc::clone(&budget)), Share::new(Arc::clone(&budget)));
        assert_eq!(large.uses(900), None);
        assert_eq!(small.uses(100), None);
        assert_eq!(large.uses(1900), Some(475));
        assert_eq!(small.uses(100), Some(25));
        assert_eq!(large.uses(475), None);
        drop(large);
        assert_eq!(small.uses(1000), None);
        assert_eq!(small.uses(1001), Some(500));
    }
}

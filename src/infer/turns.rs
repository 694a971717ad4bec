//! How many networks run on large pictures at the same time: each of them holds hundreds of megabytes meanwhile.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::engine::{Network, Tensor};
use crate::error::Result;

/// Numbers of an input from which a run is a large one: three channels of some 1100x600.
const LARGE: usize = 2_000_000;

/// The large runs that may still begin.
pub struct LargeRuns {
    free: Mutex<usize>,
    ended: Condvar,
}

impl LargeRuns {
    /// At most so many at a time, and at least one.
    pub fn new(most: usize) -> Self {
        Self { free: Mutex::new(most.max(1)), ended: Condvar::new() }
    }

    /// Waits until one more may begin; it ends when what this gives is dropped.
    fn begin(&self) -> LargeRun<'_> {
        let waiting = self.ended.wait_while(self.free(), |free| *free == 0);
        *waiting.unwrap_or_else(|poisoned| poisoned.into_inner()) -= 1;
        LargeRun(self)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

struct LargeRun<'a>(&'a LargeRuns);

impl Drop for LargeRun<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.ended.notify_one();
    }
}

/// A network whose large runs wait for those of others.
pub struct InTurns {
    pub network: Box<dyn Network>,
    pub large_runs: Arc<LargeRuns>,
}

impl Network for InTurns {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn run(&mut self, input: Tensor) -> Result<Vec<Tensor>> {
        let _large_run = (input.data.len() >= LARGE).then(|| self.large_runs.begin());
        self.network.run(input)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Counts the runs of all its kind that go on at the same time, and remembers the most.
    struct Counts(Arc<(AtomicUsize, AtomicUsize)>);

    impl Network for Counts {
        fn name(&self) -> &str {
            "counts"
        }

        fn run(&mut self, _: Tensor) -> Result<Vec<Tensor>> {
            let (now, most) = &*self.0;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![])
        }
    }

    fn network(large_runs: &Arc<LargeRuns>, counts: &Arc<(AtomicUsize, AtomicUsize)>) -> InTurns {
        InTurns { network: Box::new(Counts(Arc::clone(counts))), large_runs: Arc::clone(large_runs) }
    }

    fn input(numbers: usize) -> Tensor {
        Tensor::new(vec![numbers], vec![0.0; numbers])
    }

    #[test]
    fn large_runs_wait_for_each_other() {
        // None at all would wait for ever.
        for (most, expected) in [(0, 1), (1, 1), (3, 3)] {
            let (large_runs, counts) = (Arc::new(LargeRuns::new(most)), Arc::default());
            std::thread::scope(|scope| {
                for mut network in (0..8).map(|_| network(&large_runs, &counts)) {
                    scope.spawn(move || network.run(input(LARGE)));
                }
            });
            let seen = counts.1.load(Ordering::SeqCst);
            assert!((1..=expected).contains(&seen), "{seen} at a time, {expected} may be");
        }
    }

    #[test]
    fn small_runs_wait_for_none() {
        let large_runs = Arc::new(LargeRuns::new(1));
        let _going_on = large_runs.begin();
        assert!(network(&large_runs, &Arc::default()).run(input(LARGE - 1)).is_ok());
    }
}

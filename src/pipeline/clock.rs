//! Clocks for the parts of a phase.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::types::progress::{Observer, Phase};
use crate::types::timing::{Part, Spent};

fn cpu_secs(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Does the work and tells the observer what it took.
pub fn timed<T>(observer: &dyn Observer, phase: Phase, part: Part, work: impl FnOnce() -> T) -> T {
    let clock = if part == Part::Whole { ClockId::ProcessCPUTime } else { ClockId::ThreadCPUTime };
    let (wall, cpu) = (Instant::now(), cpu_secs(clock));
    let done = work();
    let (wall_secs, cpu_secs) = (wall.elapsed().as_secs_f64(), cpu_secs(clock) - cpu);
    observer.spent(Spent { phase, part, calls: 1, wall_secs, cpu_secs });
    done
}

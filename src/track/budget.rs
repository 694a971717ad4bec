//! How often something extra may be asked for, whatever the clip shows.

/// Times that may be asked for at once after a quiet time.
const MOST_SAVED: f32 = 2.0;

/// An allowance that grows with every frame, up to a few times at once: in the long run it bounds what is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    saved: f32,
    a_frame: f32,
}

impl Allowance {
    /// One time in `every` frames in the long run, and `saved` times at once at the start.
    pub fn new(every: u64, saved: f32) -> Self {
        Self { saved, a_frame: 1.0 / every.max(1) as f32 }
    }

    /// A frame more has come.
    pub fn save(&mut self) {
        self.saved = (self.saved + self.a_frame).min(MOST_SAVED);
    }

    pub fn has_one(self) -> bool {
        self.saved >= 1.0
    }

    /// Uses up one time, if there is one: tells whether there was.
    pub fn take(&mut self) -> bool {
        let has_one = self.has_one();
        self.saved -= if has_one { 1.0 } else { 0.0 };
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_at_once_and_in_the_long_run() {
        // Frames that pass before as many as possible are taken, in every so many frames; how many these are.
        for (quiet, every, taken) in [(0, 10, 1), (9, 10, 1), (10, 10, 2), (1000, 10, 2), (1, 1, 2), (0, 0, 1)] {
            let mut allowance = Allowance::new(every, 1.0);
            (0..quiet).for_each(|_| allowance.save());
            assert_eq!((0..9).filter(|_| allowance.take()).count(), taken, "{quiet} frames, one in {every}");
            assert!(!allowance.has_one());
        }
        let mut allowance = Allowance::new(48, 2.0);
        let taken = (0..4800).filter(|_| {
            allowance.save();
            allowance.take()
        });
        assert!((100..=102).contains(&taken.count()));
    }
}

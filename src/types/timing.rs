//! Where the time of one file goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::progress::Phase;

/// A part of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The whole phase; its processor time holds that of all threads, the decoder's and the encoder's own among them.
    Whole,
    Decode,
    /// Scaling for the networks, cuts, camera motion.
    Prepare,
    Faces,
    /// Text and codes.
    Text,
    Documents,
    Track,
    /// Masks into the frame, conversion, digest.
    Mask,
    Encode,
    /// The finished frame against plan and digest.
    Compare,
    /// The reserved networks.
    Search,
}

/// Time spent in a part of a phase, summed over threads: parts run side by side, so their wall times may add up to more
/// than the whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    pub phase: Phase,
    pub part: Part,
    /// Times that the part was entered: mostly frames.
    pub calls: u64,
    pub wall_secs: f64,
    /// Of the threads that called; work that they handed on counts in the whole only.
    pub cpu_secs: f64,
}

/// Adds to the entry of the same phase and part, or makes one.
pub fn add(spent: &mut Vec<Spent>, more: Spent) {
    match spent.iter_mut().find(|s| (s.phase, s.part) == (more.phase, more.part)) {
        Some(s) => {
            s.calls += more.calls;
            s.wall_secs += more.wall_secs;
            s.cpu_secs += more.cpu_secs;
        }
        None => spent.push(more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_same_part_add_up() {
        let one = |phase, part| Spent { phase, part, calls: 1, wall_secs: 0.5, cpu_secs: 0.25 };
        let mut spent = Vec::new();
        for part in [Part::Decode, Part::Faces, Part::Decode] {
            add(&mut spent, one(Phase::Analyze, part));
        }
        add(&mut spent, one(Phase::Render, Part::Decode));
        let rows: Vec<_> = spent.iter().map(|s| (s.phase, s.part, s.calls, s.cpu_secs)).collect();
        let expected = [
            (Phase::Analyze, Part::Decode, 2, 0.5),
            (Phase::Analyze, Part::Faces, 1, 0.25),
            (Phase::Render, Part::Decode, 1, 0.25),
        ];
        assert_eq!(rows, expected);
    }
}

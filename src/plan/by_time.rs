//! What stands when, asked for by frame, so that things of a scene of hours are compared with their contemporaries alone.

use crate::types::time::{FrameIndex, FrameSpan};

/// Frames of a bucket: most things last for some of these, and few begin within one.
const BUCKET: u64 = 64;

/// Things that stand for a span of frames each.
pub struct ByTime<'a, T> {
    things: Vec<(FrameSpan, &'a T)>,
    /// Number of the bucket of the earliest frame.
    first: u64,
    /// Of each stretch of frames, the things that stand in some of them, ascending.
    buckets: Vec<Vec<u32>>,
}

impl<'a, T> ByTime<'a, T> {
    /// Of things with their spans; those that stand in no frame are never found.
    pub fn new(things: impl IntoIterator<Item = (FrameSpan, &'a T)>) -> Self {
        let things: Vec<_> = things.into_iter().filter(|(span, _)| !span.is_empty()).collect();
        let first = things.iter().map(|(span, _)| span.start / BUCKET).min().unwrap_or(0);
        let behind = things.iter().map(|(span, _)| (span.end - 1) / BUCKET + 1).max().unwrap_or(0);
        let mut buckets = vec![Vec::new(); behind.saturating_sub(first) as usize];
        for (i, (span, _)) in things.iter().enumerate() {
            let (from, to) = (span.start / BUCKET - first, (span.end - 1) / BUCKET - first);
            buckets[from as usize..=to as usize].iter_mut().for_each(|bucket| bucket.push(i as u32));
        }
        Self { things, first, buckets }
    }

    /// What stands in the frame, in the order in which it was given.
    pub fn at(&self, frame: FrameIndex) -> impl Iterator<Item = &'a T> + '_ {
        let number = (frame / BUCKET).checked_sub(self.first).and_then(|number| usize::try_from(number).ok());
        let bucket = number.and_then(|number| self.buckets.get(number)).map_or(&[][..], Vec::as_slice);
        let things = bucket.iter().map(|&i| self.things[i as usize]);
        things.filter(move |(span, _)| span.contains(frame)).map(|(_, thing)| thing)
    }

    /// What stands in some frame of the span, each once, in the order in which it was given.
    pub fn during(&self, span: FrameSpan) -> Vec<&'a T> {
        let number = |frame: FrameIndex| (frame / BUCKET).saturating_sub(self.first) as usize;
        let behind = if span.is_empty() { 0 } else { number(span.end - 1) + 1 };
        let near = self.buckets.iter().take(behind).skip(number(span.start)).flatten();
        let mut near: Vec<u32> = near.copied().filter(|&i| self.things[i as usize].0.overlaps(span)).collect();
        near.sort_unstable();
        near.dedup();
        near.into_iter().map(|i| self.things[i as usize].1).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_of_many_are_looked_at() {
        // Two things that last, and others that come one after another.
        let spans: Vec<FrameSpan> = (0..20_000).map(|i| FrameSpan::new(20 * i, 20 * i + 25)).collect();
        let long = [FrameSpan::new(0, 400_000), FrameSpan::new(100, 400_000)];
        let by_time = ByTime::new(spans.iter().chain(&long).map(|s| (*s, s)));
        let most = by_time.buckets.iter().map(Vec::len).max();
        assert!(most <= Some(9), "{most:?} of them in a bucket");
    }

    proptest! {
        #[test]
        fn what_stands_is_found(
            spans in prop::collection::vec((0u64..700, 0u64..200), 0..40),
            asked in (0u64..1000, 0u64..300),
        ) {
            let spans: Vec<FrameSpan> = spans.iter().map(|(start, len)| FrameSpan::new(500 + start, 500 + start + len)).collect();
            let by_time = ByTime::new(spans.iter().map(|s| (*s, s)));
            let asked = FrameSpan::new(asked.0 + 300, asked.0 + 300 + asked.1);
            let during: Vec<&FrameSpan> = spans.iter().filter(|s| !s.is_empty() && !asked.is_empty() && s.overlaps(asked)).collect();
            prop_assert_eq!(by_time.during(asked), during);
            let at: Vec<&FrameSpan> = spans.iter().filter(|s| s.contains(asked.start)).collect();
            prop_assert_eq!(by_time.at(asked.start).collect::<Vec<_>>(), at);
        }
    }
}

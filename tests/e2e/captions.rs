//! Text that comes and goes in a clip.

use crate::common::{Pixels, Scratch};

/// Where a word of the specimen card is shown, and the word itself in it.
const PLACE: [usize; 2] = [230, 200];
const WORD: [usize; 4] = [PLACE[0] + 12, PLACE[1] + 6, 140, 20];

/// A clip of 60 frames, ten a second, that shows the word from the one frame to the other; redacted, and decoded again.
/// Text is looked for every 1.6 seconds: at frames 0, 16, 32, 48 and the last one.
fn redacted_with_caption(first: usize, last: usize) -> Pixels {
    let scratch = Scratch::new();
    scratch.copy("demo/id-card.jpg", "card.jpg");
    let shown = format!(
        "[1]crop=168:34:508:178[word];[0][word]overlay={}:{}:enable='between(n,{first},{last})':shortest=1",
        PLACE[0], PLACE[1]
    );
    let input = "-f lavfi -i color=0x50606c:s=640x360:r=10 -loop 1 -framerate 10 -i card.jpg";
    scratch.ffmpeg(&format!("{input} -filter_complex {shown} -frames:v 60 -c:v libx264 -crf 12"), "clip.mp4");
    let call = "redact clip.mp4 -o out --targets text --documents off --format json";
    let run = scratch.withhold(call.split(' ')).ends_with(0);
    let report = &run.reports()[0];
    assert_eq!(report["regions"]["text"], 1, "what stays at its place is one region: {report}");
    let look = Pixels::gray(&scratch.path("out/clip.mp4"));
    assert_eq!(look.frames(), 60);
    for frame in first..=last {
        assert!(look.masked_share(frame, WORD) > 0.97, "frame {frame} shows the caption");
    }
    look
}

#[test]
fn a_caption_is_hidden_from_its_first_frame_to_its_last() {
    let look = redacted_with_caption(33, 47);
    assert!(look.masked_share(5, WORD) < 0.03, "long before it comes nothing is hidden");
}

#[test]
fn a_caption_between_two_looks_is_hidden() {
    redacted_with_caption(20, 23);
}

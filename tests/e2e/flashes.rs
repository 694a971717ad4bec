//! What is shown for one frame only.

use crate::common::{Pixels, Scratch, fixture};

#[test]
fn a_face_in_any_single_frame_is_masked() {
    let scratch = Scratch::new();
    let portrait = fixture("demo/portrait.jpg");
    // Odd ones are between the frames in which faces are looked for anyway.
    for frame in [7, 13, 16] {
        let face = format!("[1]scale=200:-1[face];[0][face]overlay=240:60:enable='eq(n,{frame})'");
        let args = format!(
            "-f lavfi -i color=c=0x405060:s=640x360:r=25 -i {} -filter_complex {face} -frames:v 25 -c:v libx264",
            portrait.display()
        );
        let name = format!("flash{frame}.mp4");
        scratch.ffmpeg(&args, &name);
        scratch.withhold(["redact", &name, "-o", &format!("out{frame}"), "--targets", "faces"]).ends_with(0);
        let output = Pixels::rgb(&scratch.path(format!("out{frame}")).join(&name));
        assert_eq!(output.frames(), 25);
        let share = output.masked_share(frame, [310, 110, 70, 80]);
        assert!(share > 0.95, "frame {frame}: {share} of the face is masked");
    }
}

//! What must survive: times, geometry, colour description, depth where asked for.

use std::path::Path;

use crate::common::{Pixels, Scratch, frame_times, stream_types, video_field};
use crate::formats::{assert_bare, assert_same_frames};

const PICTURE: &str = "-f lavfi -i testsrc2=s=160x120:r=25";

/// Source, encoding, pixel format of the output, further arguments.
#[test]
fn odd_sources_come_out_with_all_their_frames() {
    let table = [
        (
            "vfr.mkv",
            "-vf select='not(mod(n,3))+eq(mod(n,7),1)' -fps_mode vfr -frames:v 12 -c:v libx264 -bf 3",
            "yuv420p",
        ),
        ("open-gop.ts", "-frames:v 30 -c:v libx264 -bf 3 -g 10 -x264-params open-gop=1", "yuv420p"),
        ("mpeg2.mpg", "-frames:v 24 -c:v mpeg2video -bf 2 -g 8", "yuv420p"),
        ("interlaced.mpg", "-frames:v 12 -c:v mpeg2video -flags +ildct+ilme -top 1", "yuv420p"),
        ("field-pairs.mkv", "-frames:v 12 -c:v libx264 -flags +ildct+ilme", "yuv420p"),
        ("wide-chroma.mov", "-frames:v 6 -pix_fmt yuv422p10le -c:v prores_ks", "yuv420p"),
        ("full-chroma.mp4", "-frames:v 6 -pix_fmt yuv444p -c:v libx264", "yuv420p"),
        ("ten-bit.mkv", "-frames:v 6 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none", "yuv420p"),
        ("gray.mkv", "-frames:v 6 -pix_fmt gray -c:v ffv1", "yuv420p"),
        ("gray16.mkv", "-frames:v 6 -pix_fmt gray16le -c:v ffv1", "yuv420p"),
        ("rgb.mkv", "-frames:v 6 -pix_fmt bgr0 -c:v ffv1", "yuv420p"),
        ("paletted.mov", "-frames:v 6 -pix_fmt pal8 -c:v qtrle", "yuv420p"),
        ("raw.avi", "-frames:v 4 -pix_fmt bgr24 -c:v rawvideo", "yuv420p"),
        ("motion-jpeg.avi", "-frames:v 6 -pix_fmt yuvj422p -c:v mjpeg", "yuvj420p"),
        ("old.wmv", "-frames:v 6 -c:v wmv2", "yuv420p"),
        ("flash.flv", "-frames:v 6 -c:v flv", "yuv420p"),
        ("free.ogv", "-frames:v 6 -c:v libtheora", "yuv420p"),
        (
            "alt-ref.webm",
            "-frames:v 30 -c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 8 -deadline realtime",
            "yuv420p",
        ),
        ("alpha.webm", "-vf format=yuva420p -frames:v 6 -c:v libvpx-vp9 -cpu-used 8 -deadline realtime", "yuv420p"),
    ];
    for (name, args, pixels) in table {
        let scratch = Scratch::new();
        let source = scratch.ffmpeg(&format!("{PICTURE} {args}"), name);
        scratch.redact_region(&source, "out", "").ends_with(0);
        let output = scratch.path("out").join(Path::new(name).with_extension("mp4"));
        assert_same_frames(&source, &output);
        assert_bare(&output);
        assert_eq!(stream_types(&output), ["video"], "{name}");
        assert_eq!(video_field(&output, "pix_fmt"), pixels, "{name}");
        let look = Pixels::gray(&output);
        for frame in 0..look.frames() {
            assert!(look.masked_share(frame, [20, 20, 40, 24]) > 0.98, "{name}: frame {frame} shows the region");
        }
    }
}

/// Unspecified and limited range are the same to every player.
fn range(told: String) -> String {
    if told == "unknown" { "tv".into() } else { told }
}

#[test]
fn geometry_and_colour_description_are_kept() {
    let described = |p: &str, t: &str, m: &str| format!("-color_primaries {p} -color_trc {t} -colorspace {m}");
    let hd = described("bt709", "bt709", "bt709");
    let sd = described("smpte170m", "smpte170m", "smpte170m");
    let pq = described("bt2020", "smpte2084", "bt2020nc");
    let hlg = described("bt2020", "arib-std-b67", "bt2020nc");
    let h264 = "-frames:v 5 -c:v libx264 -pix_fmt yuv420p";
    let h265 = "-frames:v 5 -c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le";
    let table = [
        ("sd.mp4", format!("{h264} {sd} -vf setsar=16/15"), "yuv420p"),
        ("hd.mp4", format!("{h264} {hd} -color_range tv"), "yuv420p"),
        ("full.mp4", format!("{h264} {hd} -color_range pc -vf scale=out_range=pc,setsar=1/2"), "yuvj420p"),
        ("pq.mp4", format!("{h265} {pq}"), "yuv420p10le"),
        ("hlg.mkv", format!("{h265} {hlg} -vf setsar=4/3"), "yuv420p10le"),
    ];
    for (name, args, pixels) in table {
        let scratch = Scratch::new();
        let source = scratch.ffmpeg(&format!("{PICTURE} {args}"), name);
        scratch.redact_region(&source, "out", "").ends_with(0);
        let output = scratch.path("out").join(Path::new(name).with_extension("mp4"));
        for field in ["color_primaries", "color_transfer", "color_space", "sample_aspect_ratio", "width", "height"] {
            assert_eq!(video_field(&source, field), video_field(&output, field), "{name}: {field}");
        }
        let told = |path: &Path| range(video_field(path, "color_range"));
        assert_eq!(told(&source), told(&output), "{name}");
        assert_eq!(video_field(&output, "pix_fmt"), pixels, "{name}");
        // The picture beside the mask is the source's.
        let (before, after) = (Pixels::rgb(&source), Pixels::rgb(&output));
        let off = (0..160).map(|x| before.at(2, x, 100)[1].abs_diff(after.at(2, x, 100)[1])).max();
        assert!(off < Some(40), "{name}: {off:?}");
    }
}

#[test]
fn clips_come_out_as_players_show_them() {
    let scratch = Scratch::new();
    scratch.clip(4, "-c:v libx264 -vf setsar=4/3", "stored.mp4");
    for degrees in [90, 180, 270] {
        let copy = format!("-i stored.mp4 -c copy -metadata:s:v rotate={degrees}");
        let source = scratch.ffmpeg(&copy, "turned.mp4");
        // ffmpeg turns what it decodes.
        let upright = scratch.ffmpeg("-i turned.mp4 -c:v ffv1", "upright.mkv");
        let args = ["redact", source.to_str().unwrap(), "-o", "out", "--overwrite", "--targets", "none"];
        scratch.withhold(args).ends_with(0);
        let output = scratch.path("out/turned.mp4");
        assert!(Pixels::gray(&upright).mean_difference(&Pixels::gray(&output)) < 4.0, "{degrees}");
        let aspect = if degrees == 180 { "4:3" } else { "3:4" };
        assert_eq!(video_field(&output, "sample_aspect_ratio"), aspect, "{degrees}");
    }
}

#[test]
fn depth_and_chroma_are_kept_when_asked() {
    let table = [
        ("a.mkv", "yuv422p", "yuv422p"),
        ("b.mkv", "yuv444p", "yuv444p"),
        ("c.mkv", "yuv420p10le", "yuv420p10le"),
        ("d.mkv", "yuv422p10le", "yuv422p10le"),
        ("e.mkv", "yuv444p10le", "yuv444p10le"),
    ];
    for (name, format, expected) in table {
        let scratch = Scratch::new();
        let source = scratch.ffmpeg(&format!("{PICTURE} -frames:v 4 -pix_fmt {format} -c:v ffv1"), name);
        scratch.redact_region(&source, "out", "--keep-depth").ends_with(0);
        let output = scratch.path("out").join(Path::new(name).with_extension("mp4"));
        assert_eq!(video_field(&output, "pix_fmt"), expected);
        assert_same_frames(&source, &output);
    }
}

#[test]
fn every_codec_that_is_here() {
    let scratch = Scratch::new();
    let source = scratch.clip(8, "-c:v libx264 -bf 2", "clip.mp4");
    let doctor = scratch.withhold(["doctor"]);
    for (codec, name) in [("h264", "h264"), ("h265", "hevc"), ("vp9", "vp9"), ("av1", "av1")] {
        let run = scratch.redact_region(&source, "out", &format!("--codec {codec} --overwrite"));
        if !doctor.stdout.contains(&format!("{name} (")) {
            run.ends_with(3).tells(&["error", codec]);
            continue;
        }
        run.ends_with(0);
        let output = scratch.path("out/clip.mp4");
        assert_eq!(video_field(&output, "codec_name"), name);
        assert_same_frames(&source, &output);
        assert_bare(&output);
        assert!(Pixels::gray(&output).masked_share(5, [20, 20, 40, 24]) > 0.98, "{codec}");
    }
    // Quality and preset reach the encoder; what it does not know is an error.
    let size = |more: &str| {
        scratch.redact_region(&source, "out", &format!("{more} --overwrite")).ends_with(0);
        std::fs::metadata(scratch.path("out/clip.mp4")).unwrap().len()
    };
    assert!(size("--crf 40 --preset medium") < size("--crf 10 --preset ultrafast"));
    scratch.redact_region(&source, "out", "--preset quickly --overwrite").ends_with(2).tells(&["error", "quickly"]);
    scratch.redact_region(&source, "out", "--crf 99 --overwrite").ends_with(2).tells(&["error", "99"]);
}

#[test]
fn an_edit_list_hides_what_it_cut_away() {
    let scratch = Scratch::new();
    scratch.clip(50, "-c:v libx264 -bf 2 -g 25", "whole.mp4");
    let source = scratch.ffmpeg("-ss 1.2 -i whole.mp4 -c copy", "cut.mp4");
    scratch.redact_region(&source, "out", "").ends_with(0);
    let output = scratch.path("out/cut.mp4");
    assert_same_frames(&source, &output);
    let packets = video_field(&output, "nb_frames").parse::<usize>().unwrap();
    assert_eq!(packets, frame_times(&output).len(), "frames that are not shown are in the file");
}

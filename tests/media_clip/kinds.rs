//! Every kind of source keeps its frames, times and picture.

use super::common::*;
use serde_json::Value;
use tempfile::TempDir;
use withhold::types::geometry::Size;

struct Case {
    name: &'static str,
    /// Arguments of `ffmpeg` that make the source.
    make: &'static str,
    keep_depth: bool,
    /// Of the source.
    interlaced: bool,
    size: Size,
    format: &'static str,
}

const fn case(name: &'static str, make: &'static str, width: u32, height: u32) -> Case {
    Case { name, make, keep_depth: false, interlaced: false, size: Size::new(width, height), format: "yuv420p" }
}

fn cases() -> Vec<Case> {
    vec![
        case(
            "b-frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libx264 -bf 3 -pix_fmt yuv420p a.mp4",
            128,
            96,
        ),
        case(
            "open gop",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libx264 -bf 2 -g 12 -flags -cgop -pix_fmt yuv420p -x264-params open-gop=1 a.mkv",
            128,
            96,
        ),
        case(
            "variable rate",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=3,gblur=sigma=2 -vf select='not(mod(n,7))+not(mod(n,5))' -vsync vfr -c:v libx264 -pix_fmt yuv420p a.mp4",
            128,
            96,
        ),
        case(
            "ntsc ticks",
            "-f lavfi -i testsrc2=s=128x96:r=30000/1001:d=1,gblur=sigma=2 -c:v mpeg4 -bf 2 a.mkv",
            128,
            96,
        ),
        case(
            "late start",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -vf setpts=PTS+3.37/TB -c:v libx264 -pix_fmt yuv420p a.mkv",
            128,
            96,
        ),
        case(
            "odd size",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2,format=yuv444p,crop=127:95 -c:v libx264 -pix_fmt yuv444p a.mp4",
            128,
            96,
        ),
        case(
            "odd size ffv1",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2,format=yuv444p,crop=127:95 -c:v ffv1 -pix_fmt yuv420p a.mkv",
            128,
            96,
        ),
        Case {
            keep_depth: true,
            format: "yuv444p",
            ..case(
                "kept 4:4:4 odd",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2,format=yuv444p,crop=127:95 -c:v libx264 -pix_fmt yuv444p a.mp4",
                127,
                95,
            )
        },
        Case {
            keep_depth: true,
            format: "yuv422p10le",
            ..case(
                "kept 4:2:2 10 bit",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv422p10 a.mp4",
                128,
                96,
            )
        },
        Case {
            keep_depth: true,
            format: "yuv420p10le",
            ..case(
                "kept 10 bit",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10 a.mp4",
                128,
                96,
            )
        },
        case(
            "4:2:2",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv422p a.mp4",
            128,
            96,
        ),
        case(
            "10 bit",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv420p10 a.mp4",
            128,
            96,
        ),
        case(
            "full range",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v mjpeg -q:v 2 -pix_fmt yuvj422p a.avi",
            128,
            96,
        ),
        case(
            "tagged",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv420p -color_range pc -colorspace bt709 -color_trc bt709 -color_primaries bt709 a.mp4",
            128,
            96,
        ),
        Case {
            format: "yuv420p10le",
            ..case(
                "hdr",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10 -colorspace bt2020nc -color_trc smpte2084 -color_primaries bt2020 a.mp4",
                128,
                96,
            )
        },
        case("gray", "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v ffv1 -pix_fmt gray a.mkv", 128, 96),
        case(
            "gray 16 big-endian",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v png -pix_fmt gray16be a.mov",
            128,
            96,
        ),
        case("gif", "-f lavfi -i testsrc2=s=128x96:r=10:d=1,gblur=sigma=2 a.gif", 128, 96),
        case(
            "palette in mov",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=1,gblur=sigma=2 -c:v png -pix_fmt pal8 a.mov",
            128,
            96,
        ),
        case(
            "palette qtrle",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=1,gblur=sigma=2 -c:v qtrle -pix_fmt rgb24 a.mov",
            128,
            96,
        ),
        case(
            "rgb 16",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt rgb565le a.nut",
            128,
            96,
        ),
        case(
            "monochrome bits",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt monow a.nut",
            128,
            96,
        ),
        case(
            "yuyv",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt yuyv422 a.avi",
            128,
            96,
        ),
        case(
            "nv12",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt nv12 a.nut",
            128,
            96,
        ),
        case(
            "uyvy",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt uyvy422 a.avi",
            128,
            96,
        ),
        case(
            "bottom up",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt bgr24 a.avi",
            128,
            96,
        ),
        case(
            "wide pixels",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -vf setsar=16/11 -c:v libx264 -pix_fmt yuv420p a.mp4",
            128,
            96,
        ),
        Case {
            interlaced: true,
            ..case(
                "interlaced",
                "-f lavfi -i testsrc2=s=128x96:r=50:d=1,gblur=sigma=2 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -q:v 2 -flags +ildct+ilme -bf 2 a.ts",
                128,
                96,
            )
        },
        Case {
            interlaced: true,
            ..case(
                "interlaced 4:2:2",
                "-f lavfi -i testsrc2=s=128x96:r=50:d=1,gblur=sigma=2 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -pix_fmt yuv422p -q:v 2 -flags +ildct+ilme a.ts",
                128,
                96,
            )
        },
        Case {
            interlaced: true,
            ..case(
                "interlaced, rows not in fours",
                "-f lavfi -i testsrc2=s=128x98:r=50:d=1,gblur=sigma=2 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -q:v 2 -flags +ildct+ilme -bf 2 a.ts",
                128,
                100,
            )
        },
        Case {
            interlaced: true,
            keep_depth: true,
            format: "yuv422p",
            ..case(
                "kept interlaced 4:2:2, rows not in fours",
                "-f lavfi -i testsrc2=s=128x98:r=50:d=1,gblur=sigma=2 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -pix_fmt yuv422p -q:v 2 -flags +ildct+ilme a.ts",
                128,
                98,
            )
        },
        case(
            "vp8 with hidden frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libvpx -auto-alt-ref 1 -lag-in-frames 10 -b:v 300k a.webm",
            128,
            96,
        ),
        case(
            "vp9 with hidden frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 10 -b:v 300k a.webm",
            128,
            96,
        ),
        case("flv", "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -c:v flv1 -q:v 2 a.flv", 128, 96),
        case(
            "packed b-frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -c:v mpeg4 -q:v 2 -bf 2 a.avi",
            128,
            96,
        ),
        case(
            "program stream",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -c:v mpeg1video -q:v 2 -bf 2 a.mpg",
            128,
            96,
        ),
    ]
}

#[test]
fn every_kind_of_source_keeps_its_frames_times_and_picture() {
    for case in cases() {
        let dir = TempDir::new().expect("a folder");
        let source = ffmpeg(dir.path(), case.make);
        let target = dir.path().join("out.mp4");
        let (info, count) =
            transcode(&source, &target, case.keep_depth, fast()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let times = frame_times(&target);
        assert_eq!(times.len() as u64, count, "{}", case.name);
        assert_eq!(times, frame_times(&source), "{}", case.name);
        let entries =
            "stream=width,height,pix_fmt,sample_aspect_ratio,color_range,color_space,color_transfer,color_primaries";
        let (from, to) = (&ffprobe(&source, entries)["streams"][0], &ffprobe(&target, entries)["streams"][0]);
        assert_eq!(
            (to["width"].as_u64(), to["height"].as_u64()),
            (Some(case.size.width.into()), Some(case.size.height.into())),
            "{}",
            case.name
        );
        assert_eq!(
            to["pix_fmt"].as_str().map(|f| f.replace("yuvj", "yuv")).as_deref(),
            Some(case.format),
            "{}",
            case.name
        );
        let ratio = |v: &Value| v["sample_aspect_ratio"].as_str().filter(|r| *r != "1:1").map(str::to_owned);
        assert_eq!(ratio(to), ratio(from), "{}", case.name);
        let is_yuv =
            from["pix_fmt"].as_str().is_some_and(|f| ["yuv", "yuyv", "nv12", "uyvy"].iter().any(|y| f.starts_with(y)));
        // Some codecs tell colours in each frame only.
        let keys = "frame=color_range,color_space,color_transfer,color_primaries";
        let frame = ffprobe(&source, keys)["frames"][0].clone();
        let told = |v: &Value| v.as_str().filter(|t| *t != "unknown" && *t != "tv").map(str::to_owned);
        for key in ["color_range", "color_space", "color_transfer", "color_primaries"] {
            if is_yuv {
                assert_eq!(told(&to[key]), told(&frame[key]), "{} {key}", case.name);
            }
        }
        if !is_yuv {
            assert_eq!(to["color_space"], "bt709", "{}", case.name);
        }
        assert_eq!(info.interlaced, case.interlaced, "{}", case.name);
        let flag = ffprobe(&target, "frame=interlaced_frame")["frames"][0]["interlaced_frame"].as_u64();
        assert_eq!(flag, Some(case.interlaced.into()), "{}", case.name);
        assert_untagged(&target);
        let (a, b) = (first_picture(&source), first_picture(&target));
        let display = info.display();
        let off = difference((&a, display.width as usize), (&b, case.size.width as usize));
        // Dithered palettes are noise that chroma subsampling averages.
        let limit = if case.name == "gif" || case.name.starts_with("palette in") { 16.0 } else { 6.0 };
        assert!(off < limit, "{}: the picture differs by {off:.1} levels", case.name);
    }
}

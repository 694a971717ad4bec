//! Clips of the FFmpeg command, and ways to change them byte by byte.

use std::path::Path;
use std::process::Command;

use withhold::types::limits::Limits;
use withhold::verify::structure::{Expect, Facts, Mp4Facts, inspect};

/// Muxer options of a finished file.
pub const MUX: &str = "-map_metadata -1 -fflags +bitexact -flags +bitexact -empty_hdlr_name 1";
pub const VIDEO: &str = "-f lavfi -i testsrc=s=322x184:r=25:d=1 -pix_fmt yuv420p";
/// The same with sound.
pub const BOTH: &str = "-f lavfi -i testsrc=s=322x184:r=25:d=1 -f lavfi -i sine=d=1 -pix_fmt yuv420p";
pub const H264: &str = "-c:v libx264 -preset veryfast -threads 1";
pub const NO_SEI: &str = "-bsf:v filter_units=remove_types=6";

pub fn ffmpeg(folder: &Path, line: &str, output: &str) -> Vec<u8> {
    let path = folder.join(output);
    let done = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"])
        .args(line.split_whitespace())
        .arg(&path)
        .current_dir(folder)
        .output()
        .expect("the ffmpeg command runs");
    assert!(done.status.success(), "ffmpeg {line}: {}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(path).unwrap()
}

/// Encodes, then copies into MP4, so that the muxer knows no encoder's name.
pub fn clip(encode: &str, mux: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), &format!("{VIDEO} {encode} -fflags +bitexact -flags +bitexact"), "video.nut");
    ffmpeg(folder.path(), &format!("-i video.nut -c copy {MUX} {mux}"), "out.mp4")
}

/// A clean H.264 clip with its index at the end, so that the index can grow without moving samples.
pub fn plain() -> Vec<u8> {
    clip(&format!("{H264} {NO_SEI}"), "")
}

pub fn read(data: &[u8], audio: bool) -> withhold::Result<Mp4Facts> {
    match inspect(&data.to_vec(), &Expect { audio, limits: Limits::default() })? {
        Facts::Clip(facts) => Ok(facts),
        Facts::Photo(_) => panic!("a clip was read as a photo"),
    }
}

/// Range of a box along a path of kinds.
pub fn find(data: &[u8], path: &[&str]) -> std::ops::Range<usize> {
    let (mut start, mut end) = (0, data.len());
    let mut found = 0..0;
    for kind in path {
        let mut at = start;
        loop {
            assert!(at + 8 <= end, "no box {kind}");
            let size = u32::from_be_bytes(data[at..at + 4].try_into().unwrap()) as usize;
            if &data[at + 4..at + 8] == kind.as_bytes() {
                found = at..at + size;
                (start, end) = (at + 8, at + size);
                break;
            }
            at += size;
        }
    }
    found
}

pub fn boxed(kind: &str, content: &[u8]) -> Vec<u8> {
    let mut out = (content.len() as u32 + 8).to_be_bytes().to_vec();
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(content);
    out
}

/// Appends to the content of a box and enlarges it and all around it.
pub fn grow(mut data: Vec<u8>, path: &[&str], more: &[u8]) -> Vec<u8> {
    let at = find(&data, path).end;
    for depth in 1..=path.len() {
        let range = find(&data, &path[..depth]);
        let size = (range.len() + more.len()) as u32;
        data[range.start..range.start + 4].copy_from_slice(&size.to_be_bytes());
        if depth < path.len() {
            // Keep the walk right while only outer sizes are new.
            assert!(range.end >= at);
        }
    }
    data.splice(at..at, more.iter().copied());
    data
}

/// Changes one byte inside a box, at an offset behind its header.
pub fn patch(mut data: Vec<u8>, path: &[&str], offset: usize, value: u8) -> Vec<u8> {
    let start = find(&data, path).start + 8 + offset;
    assert_ne!(data[start], value, "the patch changes nothing");
    data[start] = value;
    data
}

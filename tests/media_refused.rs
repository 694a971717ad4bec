//! Clips that can't be read are refused with the reason, not with what a decoder happens to stumble over.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use withhold::ErrorKind;
use withhold::media::clip::{self, DecodeOptions};

/// A small clip in the container that `name` asks for, tagged with a title of the video track.
fn clip(dir: &Path, name: &str, title: &str) -> PathBuf {
    let status = Command::new("ffmpeg")
        .current_dir(dir)
        .args(["-v", "error", "-y", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4", "-c:v", "libx264"])
        .args(["-metadata:s:v", &format!("title={title}"), name])
        .status();
    assert!(status.expect("the ffmpeg command is needed").success(), "{name}");
    dir.join(name)
}

/// Puts `new` in the place of the only `old`, of the same length.
fn replace(path: &Path, old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let mut bytes = fs::read(path).expect("the clip");
    let places: Vec<usize> = (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    bytes[places[0]..places[0] + old.len()].copy_from_slice(new);
    fs::write(path, bytes).expect("is written");
}

fn refusal(path: &Path) -> (ErrorKind, String) {
    let opened = clip::open(File::open(path).expect("opens"), path, &DecodeOptions::default());
    let error = opened.err().expect("is refused");
    (error.kind(), error.to_string())
}

#[test]
fn encrypted_matroska_is_called_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let title = "T".repeat(33);
    let path = clip(dir.path(), "encrypted.mkv", &title);
    // RFC 9559: ContentEncodings with one ContentEncoding of type 1, AES and a key id, where the track's Name stood.
    let mut encodings = b"\x6D\x80\xA1\x62\x40\x9E\x50\x33\x81\x01\x50\x35\x97\x47\xE1\x81\x05\x47\xE2\x90".to_vec();
    encodings.extend([0x5A; 16]);
    replace(&path, &[b"\x53\x6E\xA1", title.as_bytes()].concat(), &encodings);
    let (kind, message) = refusal(&path);
    assert_eq!(kind, ErrorKind::Unsupported, "{message}");
    assert!(message.contains("is encrypted"), "{message}");
}

#[test]
fn an_unknown_codec_is_named_by_its_code() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = clip(dir.path(), "unknown.mp4", "x");
    replace(&path, b"avc1\0\0\0\0\0\0\0\x01", b"zzz9\0\0\0\0\0\0\0\x01");
    let (kind, message) = refusal(&path);
    assert_eq!(kind, ErrorKind::Unsupported, "{message}");
    assert!(message.contains("(zzz9)"), "{message}");
}

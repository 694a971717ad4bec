//! What a file is, told from its first bytes and never from its name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::photo::PhotoFormat;
use super::photo_structure::{self as structure, PositionedReader};
use crate::error::{Error, ErrorKind, Result, Stage};

/// Bytes looked at for a container's magic.
const HEAD_BYTES: usize = 16 << 10;

/// What the content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    Jpeg,
    Png {
        animated: bool,
    },
    WebP {
        animated: bool,
    },
    Tiff,
    Bmp,
    Gif {
        animated: bool,
    },
    Heic,
    Avif,
    /// A picture of a kind that is refused by this name.
    OtherPhoto(&'static str),
    /// The magic of a container of video or sound; whether a video stream is inside, its demuxer tells.
    MaybeClip,
    NotMedia,
}

impl Sniffed {
    /// Whether it is a picture that moves: frames in time, finished as a video file.
    pub fn is_clip(&self) -> bool {
        matches!(
            self,
            Sniffed::MaybeClip
                | Sniffed::Png { animated: true }
                | Sniffed::WebP { animated: true }
                | Sniffed::Gif { animated: true }
        )
    }

    /// Whether the image decoders of [`super::anim`] read it, not the video demuxers.
    pub fn is_animated_picture(&self) -> bool {
        self.is_clip() && *self != Sniffed::MaybeClip
    }

    /// Format in which the finished photo is written; `None` for clips and what is no media.
    pub fn photo_format(&self) -> Option<PhotoFormat> {
        match self {
            Sniffed::Jpeg | Sniffed::Heic | Sniffed::Avif => Some(PhotoFormat::Jpeg),
            Sniffed::Png { animated: false } | Sniffed::Gif { animated: false } | Sniffed::Bmp => {
                Some(PhotoFormat::Png)
            }
            Sniffed::WebP { animated: false } => Some(PhotoFormat::WebP),
            Sniffed::Tiff => Some(PhotoFormat::Tiff),
            _ => None,
        }
    }

    /// Extension of the finished file, without the dot: the source's own when it fits what is written, else the usual
    /// one. `None` for what is refused.
    pub fn output_extension(&self, source_extension: &str) -> Option<String> {
        if self.is_clip() {
            return Some("mp4".to_owned());
        }
        let fitting: &[&str] = match self.photo_format()? {
            PhotoFormat::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            PhotoFormat::Png => &["png"],
            PhotoFormat::WebP => &["webp"],
            PhotoFormat::Tiff => &["tif", "tiff"],
        };
        let fits = fitting.iter().any(|e| e.eq_ignore_ascii_case(source_extension));
        Some(if fits { source_extension } else { fitting[0] }.to_owned())
    }
}

/// Tells what `file` is by its content. Reads by position: the descriptor's offset stays where it is.
///
/// # Errors
/// `Io` when reading fails.
pub fn sniff(file: &File) -> Result<Sniffed> {
    sniff_inner(file).map_err(|e| Error::new(Stage::Open, ErrorKind::Io, "the file can't be read").because(e))
}

fn sniff_inner(file: &File) -> io::Result<Sniffed> {
    let mut head = vec![0; HEAD_BYTES];
    let filled = fill(file, &mut head)?;
    head.truncate(filled);
    let mut reader = PositionedReader::buffered(file);
    Ok(match photo_magic(&head) {
        Some(Sniffed::Png { .. }) => Sniffed::Png { animated: structure::png(&mut reader, false)?.animated },
        Some(Sniffed::Jpeg) if structure::is_jpeg_stream(&mut reader)? => Sniffed::MaybeClip,
        Some(Sniffed::Gif { .. }) => Sniffed::Gif { animated: structure::gif(&mut reader, 2)?.animated },
        Some(photo) => photo,
        None if is_clip_magic(&head) => Sniffed::MaybeClip,
        None => Sniffed::NotMedia,
    })
}

fn fill(file: &File, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match file.read_at(&mut buf[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Whether `head` has `magic` at `offset`.
fn has(head: &[u8], offset: usize, magic: &[u8]) -> bool {
    head.get(offset..offset + magic.len()) == Some(magic)
}

fn photo_magic(head: &[u8]) -> Option<Sniffed> {
    if has(head, 0, b"\xFF\xD8\xFF") {
        return Some(Sniffed::Jpeg);
    }
    if has(head, 0, b"\x89PNG\r\n\x1A\n") {
        return Some(Sniffed::Png { animated: false });
    }
    if has(head, 0, b"GIF87a") || has(head, 0, b"GIF89a") {
        return Some(Sniffed::Gif { animated: false });
    }
    if has(head, 0, b"RIFF") && has(head, 8, b"WEBP") {
        let animated = has(head, 12, b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0);
        return Some(Sniffed::WebP { animated });
    }
    if is_bmp(head) {
        return Some(Sniffed::Bmp);
    }
    if has(head, 4, b"ftyp") {
        return heif_brand(head);
    }
    tiff_or_raw(head).or_else(|| other_photo(head).map(Sniffed::OtherPhoto))
}

/// `BM` alone is too short a magic: the size of the header behind it must be one of the known ones.
fn is_bmp(head: &[u8]) -> bool {
    has(head, 0, b"BM")
        && head.get(14..18).is_some_and(|s| {
            matches!(u32::from_le_bytes([s[0], s[1], s[2], s[3]]), 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)
        })
}

/// Pictures in the ISO base media format, by major brand, or by compatible brands when that only says "some picture".
fn heif_brand(head: &[u8]) -> Option<Sniffed> {
    let size = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let brands: Vec<&[u8]> = head.get(16..size.min(head.len())).unwrap_or(&[]).chunks_exact(4).collect();
    let major = head.get(8..12)?;
    let any = |names: &[&[u8]]| names.contains(&major) || brands.iter().any(|b| names.contains(b));
    let heic: [&[u8]; 4] = [b"heic", b"heix", b"heim", b"heis"];
    match major {
        b"heic" | b"heix" | b"heim" | b"heis" => Some(Sniffed::Heic),
        b"avif" => Some(Sniffed::Avif),
        b"mif1" | b"mif2" | b"miaf" if any(&heic) => Some(Sniffed::Heic),
        b"mif1" | b"mif2" | b"miaf" if any(&[b"avif"]) => Some(Sniffed::Avif),
        b"mif1" | b"mif2" | b"miaf" => Some(Sniffed::OtherPhoto("HEIF with a codec other than HEVC")),
        b"crx " => Some(Sniffed::OtherPhoto("Canon CR3 raw")),
        b"jxl " => Some(Sniffed::OtherPhoto("JPEG XL")),
        b"jp2 " | b"jpx " | b"jph " => Some(Sniffed::OtherPhoto("JPEG 2000")),
        _ => None,
    }
}

fn tiff_or_raw(head: &[u8]) -> Option<Sniffed> {
    let classic = has(head, 0, b"II\x2A\0") || has(head, 0, b"MM\0\x2A");
    if classic && has(head, 8, b"CR\x02") {
        return Some(Sniffed::OtherPhoto("Canon CR2 raw"));
    }
    (classic || has(head, 0, b"II\x2B\0") || has(head, 0, b"MM\0\x2B")).then_some(Sniffed::Tiff)
}

fn other_photo(head: &[u8]) -> Option<&'static str> {
    const TABLE: [(usize, &[u8], &str); 16] = [
        (0, b"\xFF\x0A", "JPEG XL"),
        (0, b"\0\0\0\x0CJXL ", "JPEG XL"),
        (0, b"\0\0\0\x0CjP  ", "JPEG 2000"),
        (0, b"\xFF\x4F\xFF\x51", "JPEG 2000"),
        (0, b"8BPS", "Photoshop"),
        (0, b"\x76\x2F\x31\x01", "OpenEXR"),
        (0, b"#?RADIANCE", "Radiance HDR"),
        (0, b"qoif", "QOI"),
        (0, b"DDS ", "DDS"),
        (0, b"\0\0\x01\0", "Windows icon"),
        (0, b"FUJIFILMCCD-RAW", "Fujifilm raw"),
        (0, b"IIRO", "Olympus raw"),
        (0, b"IIU\0", "Panasonic raw"),
        (0, b"FOVb", "Sigma raw"),
        (0, b"II\xBC\x01", "JPEG XR"),
        (0, b"gimp xcf", "GIMP"),
    ];
    // An icon's magic is also how an MPEG start code begins: there the count of pictures and a zero byte must follow.
    let icon_fits = head.len() > 22 && matches!(head[4], 1..=64) && head[5] == 0 && head[9] == 0;
    TABLE
        .iter()
        .find(|(offset, magic, name)| has(head, *offset, magic) && (*name != "Windows icon" || icon_fits))
        .map(|(_, _, name)| *name)
}

fn is_clip_magic(head: &[u8]) -> bool {
    const TABLE: [(usize, &[u8]); 38] = [
        (0, b"\x1A\x45\xDF\xA3"),
        (0, b"FLV\x01"),
        (0, b"OggS"),
        (0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11"),
        (0, b"\x06\x0E\x2B\x34\x02\x05\x01\x01"),
        (0, b"DKIF"),
        (0, b"YUV4MPEG2"),
        (0, b".RMF"),
        (0, b"nut/multimedia container"),
        (0, b"\xB7\xD8\x00\x20\x37\x49\xDA\x11"),
        (0, b"\x1F\x07\x00"),
        (0, b"\0\0\0\0\x01\xBC"),
        (0, b"BBCD\0"),
        (0, b"FORM"),
        (0, b"ID3"),
        (0, b"fLaC"),
        (0, b"#!AMR"),
        (0, b"caff"),
        (0, b"\x0B\x77"),
        (0, b"wvpk"),
        (0, b"MAC "),
        (0, b".snd"),
        (0, b"BIK"),
        (0, b"KB2"),
        (0, b"SMK2"),
        (0, b"SMK4"),
        (0, b"THP\0"),
        (0, b"TTA1"),
        (0, b"\x7F\xFE\x80\x01"),
        // AV1 as low-overhead units: a temporal delimiter, then a sequence header.
        (0, b"\x12\x00\x0A"),
        (4, b"ftyp"),
        (4, b"moov"),
        (4, b"moof"),
        (4, b"styp"),
        (4, b"sidx"),
        (4, b"pnot"),
        (0, b"CWS"),
        (0, b"FWS"),
    ];
    let riff = has(head, 0, b"RIFF") || has(head, 0, b"RIFX") || has(head, 0, b"RF64");
    let riff_clip = riff && [b"AVI ", b"AVIX", b"WAVE", b"CDXA", b"AMV "].iter().any(|kind| has(head, 8, *kind));
    TABLE.iter().any(|(offset, magic)| has(head, *offset, magic))
        || riff_clip
        || is_iso_box_chain(head)
        || is_start_code_stream(head)
        || is_mpeg_audio(head)
        || is_transport_stream(head)
}

/// QuickTime files may begin with a box of data or padding.
fn is_iso_box_chain(head: &[u8]) -> bool {
    let padding = [b"mdat", b"wide", b"free", b"skip", b"uuid"];
    let size = head.get(..4).map_or(0, |s| u32::from_be_bytes([s[0], s[1], s[2], s[3]]));
    padding.iter().any(|name| has(head, 4, *name)) && (size <= 1 || size >= 8)
}

/// MPEG program streams and bare MPEG-1/2/4, H.264, H.265 and VC-1 streams begin with a start code.
fn is_start_code_stream(head: &[u8]) -> bool {
    let zeros = head.iter().take_while(|b| **b == 0).count();
    if !(2..=8).contains(&zeros) || head.get(zeros) != Some(&1) {
        return false;
    }
    match head.get(zeros + 1) {
        // Pack, system, sequence, visual object, picture and entry point headers.
        Some(0xBA | 0xBB | 0xB3 | 0xB0 | 0xB5 | 0x0F | 0x00..=0x01 | 0x20) => true,
        // H.264: access unit delimiter, SEI, parameter sets, slices; H.265: the same with its two-byte header.
        Some(&unit) => {
            let h264 = unit & 0x80 == 0 && matches!(unit & 0x1F, 1 | 5..=9 | 15);
            let h265 = unit & 0x81 == 0 && matches!(unit >> 1, 32..=35 | 39) && head.get(zeros + 2) == Some(&1);
            h264 || h265
        }
        None => false,
    }
}

/// ADTS and MPEG audio layers: a sync word of eleven bits with no reserved value behind it.
fn is_mpeg_audio(head: &[u8]) -> bool {
    let Some(&[a, b, c, _]) = head.first_chunk::<4>() else { return false };
    let adts = a == 0xFF && b & 0xF6 == 0xF0;
    let layered =
        a == 0xFF && b & 0xE0 == 0xE0 && b & 0x18 != 0x08 && b & 0x06 != 0 && c >> 4 != 0xF && c & 0x0C != 0x0C;
    adts || layered
}

/// Whether `head` is printable UTF-8; its last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let is_whole = std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    is_whole && !head.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace())
}

/// Sync bytes at packet distance; leading junk is passed over as demuxers do. The sync byte is a letter: lines of equal
/// length have it at one distance, too, but packets are no text.
fn is_transport_stream(head: &[u8]) -> bool {
    const PACKETS: usize = 5;
    if is_text(head) {
        return false;
    }
    [188, 192, 204].into_iter().any(|packet| {
        let starts = head.len().saturating_sub(packet * (PACKETS - 1));
        (0..starts).any(|start| (0..PACKETS).all(|n| head[start + n * packet] == 0x47))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_head_may_be_cut_off_anywhere() {
        let head = b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf";
        for len in 0..=head.len() {
            let sniffed = sniff(&file_of(&head[..len])).unwrap();
            assert!(sniffed != Sniffed::Heic || len >= 24, "{len} bytes name no codec");
        }
    }

    #[test]
    fn magic_table() {
        let ts: Vec<u8> = (0..188 * 6).map(|i| if i % 188 == 0 { 0x47 } else { 0xFF }).collect();
        let lines = format!("G{}\n", "x".repeat(186)).repeat(20).into_bytes();
        let junk_ts: Vec<u8> = b"junk".iter().copied().chain(ts.iter().copied()).collect();
        let bmp: Vec<u8> = b"BM".iter().copied().chain([0; 12]).chain([40, 0, 0, 0]).collect();
        let table: Vec<(&str, &[u8], Sniffed)> = vec![
            ("jpeg", b"\xFF\xD8\xFF\xE0", Sniffed::Jpeg),
            ("tiff le", b"II\x2A\0\x08\0\0\0", Sniffed::Tiff),
            ("bigtiff be", b"MM\0\x2B\0\x08\0\0", Sniffed::Tiff),
            ("cr2", b"II\x2A\0\x10\0\0\0CR\x02\0", Sniffed::OtherPhoto("Canon CR2 raw")),
            ("bmp", &bmp, Sniffed::Bmp),
            ("text that begins like a bmp", b"BMW drivers are people too", Sniffed::NotMedia),
            ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Sniffed::Heic),
            ("mif1 with heic", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Sniffed::Heic),
            ("mif1 with avif", b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Sniffed::Avif),
            ("avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", Sniffed::Avif),
            ("mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp42", Sniffed::MaybeClip),
            ("quicktime that begins with data", b"\0\0\x10\0mdat....", Sniffed::MaybeClip),
            ("matroska", b"\x1A\x45\xDF\xA3\x01", Sniffed::MaybeClip),
            ("avi", b"RIFF\0\0\0\0AVI LIST", Sniffed::MaybeClip),
            ("ts", &ts, Sniffed::MaybeClip),
            ("ts behind junk", &junk_ts, Sniffed::MaybeClip),
            ("text whose lines of 188 bytes hold a G", &lines, Sniffed::NotMedia),
            ("program stream", b"\0\0\x01\xBA\x44", Sniffed::MaybeClip),
            ("h264", b"\0\0\0\x01\x67\x42", Sniffed::MaybeClip),
            ("h265", b"\0\0\0\x01\x40\x01", Sniffed::MaybeClip),
            ("jpeg xl", b"\xFF\x0A\0\0", Sniffed::OtherPhoto("JPEG XL")),
            ("photoshop", b"8BPS\0\x01", Sniffed::OtherPhoto("Photoshop")),
            ("text", b"Hello, I am a text file.", Sniffed::NotMedia),
            ("pdf", b"%PDF-1.7", Sniffed::NotMedia),
            ("empty", b"", Sniffed::NotMedia),
            ("one byte", b"\xFF", Sniffed::NotMedia),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(sniff(&file_of(bytes)).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn offset_does_not_move() {
        let mut file = file_of(b"GIF89a\x01\x00\x01\x00\x00\x00\x00");
        file.seek(SeekFrom::Start(3)).unwrap();
        sniff(&file).unwrap();
        assert_eq!(file.stream_position().unwrap(), 3);
    }

    #[test]
    fn extensions() {
        let table = [
            (Sniffed::Jpeg, "JPG", Some("JPG")),
            (Sniffed::Jpeg, "jpeg", Some("jpeg")),
            (Sniffed::Jpeg, "png", Some("jpg")),
            (Sniffed::Png { animated: false }, "jpg", Some("png")),
            (Sniffed::Png { animated: true }, "png", Some("mp4")),
            (Sniffed::Gif { animated: false }, "gif", Some("png")),
            (Sniffed::Gif { animated: true }, "gif", Some("mp4")),
            (Sniffed::WebP { animated: false }, "webp", Some("webp")),
            (Sniffed::Bmp, "bmp", Some("png")),
            (Sniffed::Tiff, "tiff", Some("tiff")),
            (Sniffed::Tiff, "", Some("tif")),
            (Sniffed::Heic, "heic", Some("jpg")),
            (Sniffed::MaybeClip, "MOV", Some("mp4")),
            (Sniffed::OtherPhoto("QOI"), "qoi", None),
            (Sniffed::NotMedia, "txt", None),
        ];
        for (sniffed, source, expected) in table {
            assert_eq!(sniffed.output_extension(source).as_deref(), expected, "{sniffed:?} {source}");
        }
    }
}

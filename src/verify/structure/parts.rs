//! What segments and chunks of photo formats carry beside the picture, and what stands behind a picture's end. Used by
//! the strict readers and by the lenient ones alike.

use super::tags::{Carrier, tell_name};
use super::{Findings, exif, fourcc, iptc, xmp};
use crate::types::finding::Rule;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const XMP_MORE: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";

/// An application segment or comment of a JPEG file.
pub(super) fn jpeg_segment(marker: u8, body: &[u8], found: &mut Findings) {
    let mut other = |what: &str| found.push(Rule::Metadata, format!("the JPEG holds {what}"));
    match marker {
        0xe0 if body.starts_with(b"JFXX\0") => found.push(Rule::MetadataPreview, "the JFXX segment holds a thumbnail"),
        0xe0 if body.starts_with(b"JFIF\0") && body.get(12..14).is_some_and(|t| t != [0, 0]) => {
            found.push(Rule::MetadataPreview, "the JFIF header holds a thumbnail");
        }
        0xe0 if body.starts_with(b"JFIF\0") => other("a resolution (JFIF)"),
        0xe1 if body.starts_with(b"Exif\0") => {
            exif::tell(body.get(6..).unwrap_or_default(), "EXIF", exif::Whole::Block, found)
        }
        0xe1 if body.starts_with(XMP) => xmp::tell(&body[XMP.len()..], found),
        0xe1 if body.starts_with(XMP_MORE) => xmp::tell(&body[XMP_MORE.len()..], found),
        0xe2 if body.starts_with(b"ICC_PROFILE\0") => other("a colour profile"),
        0xe2 if body.starts_with(b"MPF\0") => {
            found.push(Rule::ExtraPicture, "the JPEG refers to further pictures behind its end (MPF)");
        }
        0xe2 if body.starts_with(b"FPXR\0") => found.push(Rule::EmbeddedFile, "the JPEG holds FlashPix streams"),
        0xeb => found.push(Rule::Metadata, "the JPEG holds content credentials (JUMBF)"),
        0xed if body.starts_with(b"Photoshop 3.0\0") => iptc::tell_photoshop(&body[14..], found),
        // Early digital cameras.
        0xec if !body.starts_with(b"Ducky") => found.push(Rule::MetadataDevice, "the JPEG holds picture info (APP12)"),
        0xee if body.starts_with(b"Adobe") => other("Adobe's colour segment"),
        0xfe => found.push(Rule::MetadataComment, "the JPEG holds a comment"),
        _ => other(&format!("application data (APP{})", marker.wrapping_sub(0xe0))),
    }
}

/// A chunk of a PNG file that is not needed to show the picture.
pub(super) fn png_chunk(kind: &[u8; 4], body: &[u8], found: &mut Findings) {
    match kind {
        b"tEXt" | b"zTXt" | b"iTXt" => png_text(kind, body, found),
        b"eXIf" => exif::tell(body, "EXIF", exif::Whole::Block, found),
        b"tIME" => found.push(Rule::MetadataTime, "the PNG tells when it was changed"),
        b"iCCP" => found.push(Rule::Metadata, "the PNG holds a colour profile"),
        b"pHYs" | b"sCAL" => found.push(Rule::Metadata, "the PNG tells a resolution or scale"),
        b"sRGB" | b"gAMA" | b"cHRM" | b"sBIT" | b"bKGD" | b"hIST" | b"sPLT" | b"cICP" | b"mDCV" | b"cLLI" => {
            found.push(Rule::Metadata, "the PNG holds settings of its colours");
        }
        b"caBX" => found.push(Rule::Metadata, "the PNG holds content credentials (JUMBF)"),
        b"acTL" | b"fcTL" | b"fdAT" => found.push(Rule::ExtraPicture, "the PNG holds further frames"),
        b"tRNS" => found.push(Rule::HiddenPixels, "the PNG has transparent colours: hidden pixels keep their colour"),
        _ => found.push(Rule::UnknownPart, format!("PNG chunk {} of {} bytes", fourcc(kind), body.len())),
    }
}

fn png_text(kind: &[u8; 4], body: &[u8], found: &mut Findings) {
    let end = body.iter().position(|b| *b == 0).unwrap_or(body.len());
    let keyword = String::from_utf8_lossy(&body[..end]).into_owned();
    let text = body.get(end + 1..).unwrap_or_default();
    if keyword == "XML:com.adobe.xmp" {
        return xmp::tell(text, found);
    }
    let mut carrier = Carrier::new(format!("PNG text ({})", fourcc(kind)));
    match keyword.strip_prefix("Raw profile type ") {
        Some(profile) => raw_profile(profile, kind, text, &mut carrier, found),
        None => tell_name(&mut carrier, &keyword),
    }
    carrier.finish(found);
}

/// ImageMagick keeps EXIF, IPTC and XMP as hexadecimal text: a name, a length, then the digits.
fn raw_profile(profile: &str, kind: &[u8; 4], text: &[u8], carrier: &mut Carrier, found: &mut Findings) {
    carrier.tell(Rule::Metadata, "a raw profile");
    let mut plain = text.to_vec();
    if kind == b"zTXt" {
        plain.clear();
        let mut inflate = flate2::Decompress::new(true);
        let mut out = vec![0; 1 << 20];
        let _ = inflate.decompress(text.get(1..).unwrap_or_default(), &mut out, flate2::FlushDecompress::Finish);
        plain.extend_from_slice(&out[..(inflate.total_out() as usize).min(out.len())]);
    }
    let digits = plain.split(|b| *b == b'\n').skip(3).flatten().filter_map(|b| char::from(*b).to_digit(16));
    let digits: Vec<u8> = digits.map(|d| d as u8).collect();
    let (pairs, _) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    match profile {
        "exif" | "APP1" if bytes.starts_with(b"Exif\0\0") => exif::tell(&bytes[6..], "EXIF", exif::Whole::Block, found),
        "iptc" | "8bim" => iptc::tell_photoshop(&bytes, found),
        "xmp" => xmp::tell(&bytes, found),
        _ => {}
    }
}

/// A chunk of a WebP file that is not its picture.
pub(super) fn webp_chunk(kind: &[u8], body: &[u8], found: &mut Findings) {
    match kind {
        // Some writers keep the prefix that EXIF has in JPEG files.
        b"EXIF" => exif::tell(body.strip_prefix(b"Exif\0\0").unwrap_or(body), "EXIF", exif::Whole::Block, found),
        b"XMP " => xmp::tell(body, found),
        b"ICCP" => found.push(Rule::Metadata, "the WebP holds a colour profile"),
        b"ALPH" => found.push(Rule::HiddenPixels, "the picture has an alpha channel: hidden pixels keep their colour"),
        b"ANIM" | b"ANMF" => found.push(Rule::ExtraPicture, "the WebP holds further frames"),
        kind => found.push(Rule::UnknownPart, format!("WebP chunk {} of {} bytes", fourcc(kind), body.len())),
    }
}

/// What stands behind the end of a picture.
pub(super) fn trailer(tail: &[u8], found: &mut Findings) {
    if tail.is_empty() {
        return;
    }
    let len = tail.len();
    let has = |what: &[u8]| tail.windows(what.len()).any(|w| w == what);
    // A box `ftyp` begins a clip; Samsung's trailers name themselves.
    if has(b"ftypmp4")
        || has(b"ftypisom")
        || has(b"ftypqt")
        || has(b"ftypavc")
        || has(b"ftypM4V")
        || has(b"MotionPhoto_Data")
    {
        found.push(Rule::MotionPhoto, format!("a clip in the {len} bytes behind the end of the picture"));
    } else if has(&[0xff, 0xd8, 0xff]) {
        found.push(Rule::ExtraPicture, format!("a further JPEG in the {len} bytes behind the end of the picture"));
    } else if has(b"PK\x03\x04") || has(b"%PDF-") || has(b"Rar!\x1a\x07") || has(b"7z\xbc\xaf\x27\x1c") {
        found.push(
            Rule::EmbeddedFile,
            format!("an archive or document in the {len} bytes behind the end of the picture"),
        );
    } else {
        found.push(Rule::TrailingBytes, format!("{len} bytes behind the end of the picture"));
    }
}

//! MP4 as FFmpeg's muxer writes it: one video track, at most one of audio, an index and the samples.

use super::bytes::{Cursor, ReadAt, read_vec, size_of};
use super::mp4_boxes::{
    Child, EMPTY_USER_DATA, Edit, check_btrt, check_dinf, children, read_edts, read_ftyp, read_hdlr, read_mdhd,
    read_mvhd, read_tkhd,
};
use super::mp4_codec::{Codec, names_encoder, read_config};
use super::mp4_table::{RawTables, Samples};
use super::{Expect, Findings, checked_size, damaged, fourcc, mp4_tags, over_limit};
use crate::error::Result;
use crate::types::finding::{Finding, Rule};
use crate::types::geometry::Size;

/// Index of a clip at most: some 16 bytes a sample.
const MAX_INDEX_BYTES: u64 = 512 << 20;
/// Bytes of a box of tags that are looked through.
const MAX_TAG_BYTES: u64 = 16 << 20;
/// One coded picture at most.
const MAX_SAMPLE_BYTES: u64 = 512 << 20;
/// Audio samples that an edit list may hide at either end: what encoders need to warm up and to fill their last block.
const MAX_HIDDEN_AUDIO_SECS: f64 = 0.2;

/// What the strict reader saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Mp4Facts {
    /// Code of the sample entry: `avc1`, `hvc1`, `vp09`, `av01`.
    pub codec: String,
    /// Size of the decoded picture in pixels (no rotation is possible: that is a finding).
    pub size: Size,
    /// Ticks per second of [`Mp4Facts::pts`].
    pub timescale: u32,
    /// Time at which each frame is shown, ascending, ticks; 0 is the start of the presentation.
    pub pts: Vec<i64>,
    /// When the last frame ends, ticks.
    pub end: i64,
    pub sample_count: u64,
    /// Frames (in decoding order, from 0) at which decoding can start.
    pub sync_samples: Vec<u64>,
    pub has_audio: bool,
    pub findings: Vec<Finding>,
}

/// What was read of one video track.
struct VideoTrack {
    codec_name: String,
    codec: Option<Codec>,
    size: Size,
    timescale: u32,
    edit: Edit,
    samples: Samples,
}

#[derive(Default)]
struct Movie {
    video: Option<VideoTrack>,
    audio: Option<Samples>,
    /// Bytes that chunks of all tracks claim: start and length.
    claimed: Vec<(u64, u64)>,
}

/// Accounts for every byte of an MP4 file.
///
/// # Errors
/// `Damaged` when the structure contradicts itself, `Limit`, `Io`.
pub fn inspect(file: &dyn ReadAt, expect: &Expect) -> Result<Mp4Facts> {
    let mut found = Findings::default();
    let (index, payload) = read_top_level(file, &mut found)?;
    let mut movie = read_moov(&index, expect, &mut found)?;
    check_tiling(&mut movie.claimed, payload, &mut found);
    let mut video = movie.video.ok_or_else(|| damaged("the file has no video track"))?;
    let count = video.samples.sizes.len() as u64;
    if count > expect.limits.frames {
        return Err(over_limit(format!("{count} frames are more than {}", expect.limits.frames)));
    }
    check_video_samples(file, &mut video, &mut found)?;
    if let Some(audio) = &movie.audio {
        check_audio_samples(file, audio, &mut found)?;
    }
    let (pts, end) = presentation(&video, &mut found)?;
    let sync_samples = video.samples.sync.unwrap_or_else(|| (0..count).collect());
    Ok(Mp4Facts {
        codec: video.codec_name,
        size: video.size,
        timescale: video.timescale,
        pts,
        end,
        sample_count: count,
        sync_samples,
        has_audio: movie.audio.is_some(),
        findings: found.into_vec(),
    })
}

/// Content of `moov`, start and end of the content of `mdat`.
fn read_top_level(file: &dyn ReadAt, found: &mut Findings) -> Result<(Vec<u8>, (u64, u64))> {
    let total = size_of(file)?;
    let (mut at, mut moov, mut mdat) = (0u64, None, None);
    let mut frees = 0;
    while at < total {
        let complete = moov.is_some() && mdat.is_some();
        let head = read_vec(file, at, (total - at).min(16), 16)?;
        let Some((kind, start, end)) = top_header(&head, at, total) else {
            if !complete {
                return Err(damaged("a box does not fit into the file"));
            }
            found.push(Rule::TrailingBytes, format!("{} bytes behind the end of the file's structure", total - at));
            break;
        };
        match &kind {
            b"ftyp" if at == 0 => read_ftyp(&read_vec(file, start, end - start, 1024)?, found)?,
            b"moov" if moov.is_none() => moov = Some(read_vec(file, start, end - start, MAX_INDEX_BYTES)?),
            b"mdat" if mdat.is_none() => mdat = Some((start, end)),
            // The muxer keeps eight bytes so that it can enlarge the size of `mdat`.
            b"free" if start == end && frees == 0 => frees += 1,
            other => {
                let data = read_vec(file, start, (end - start).min(MAX_TAG_BYTES), MAX_TAG_BYTES)?;
                mp4_tags::unexpected(other, &data, end - at, "beside the index", found);
            }
        }
        at = end;
    }
    match (moov, mdat) {
        (Some(moov), Some(mdat)) => Ok((moov, mdat)),
        _ => Err(damaged("the file has no index or no samples")),
    }
}

/// Kind, start and end of the content of the box whose header `head` stands at `at`.
fn top_header(head: &[u8], at: u64, total: u64) -> Option<([u8; 4], u64, u64)> {
    let mut c = Cursor::new(head, "a box header");
    let short = u64::from(c.u32().ok()?);
    let kind: [u8; 4] = c.take(4).ok()?.try_into().ok()?;
    let (header, size) = if short == 1 { (16, c.u64().ok()?) } else { (8, short) };
    let end = at.checked_add(size)?;
    (size >= header && end <= total).then_some((kind, at + header, end))
}

fn read_moov(data: &[u8], expect: &Expect, found: &mut Findings) -> Result<Movie> {
    let mut movie = Movie::default();
    let boxes = children(data, "the moov box")?;
    let header = boxes.iter().find(|b| b.kind == b"mvhd").ok_or_else(|| damaged("the file has no movie header"))?;
    let movie_timescale = read_mvhd(header.data, found)?;
    let (mut headers, mut user_data) = (0, 0);
    for Child { kind, data } in boxes {
        match kind {
            b"mvhd" => headers += 1,
            b"trak" => read_trak(data, movie_timescale, expect, &mut movie, found)?,
            b"udta" if data == EMPTY_USER_DATA && user_data == 0 => user_data += 1,
            other => mp4_tags::unexpected(other, data, data.len() as u64 + 8, "in the index", found),
        }
    }
    if headers != 1 {
        found.residue("the index has several movie headers");
    }
    Ok(movie)
}

/// Boxes of one track, flattened.
#[derive(Default)]
struct TrackBoxes<'a> {
    tkhd: Option<&'a [u8]>,
    mdhd: Option<&'a [u8]>,
    hdlr: Option<&'a [u8]>,
    stsd: Option<&'a [u8]>,
    edts: Option<&'a [u8]>,
    tables: RawTables<'a>,
}

/// Keeps a box that may stand only once.
fn once<'a>(slot: &mut Option<&'a [u8]>, b: &Child<'a>, found: &mut Findings) {
    if slot.replace(b.data).is_some() {
        found.residue(format!("box {} stands twice in a track", fourcc(b.kind)));
    }
}

fn collect<'a>(data: &'a [u8], inside: &'static str, out: &mut TrackBoxes<'a>, found: &mut Findings) -> Result<()> {
    for b in children(data, inside)? {
        match (inside, b.kind) {
            ("a trak box", b"tkhd") => once(&mut out.tkhd, &b, found),
            ("a trak box", b"edts") => once(&mut out.edts, &b, found),
            ("a trak box", b"mdia") => collect(b.data, "an mdia box", out, found)?,
            ("an mdia box", b"mdhd") => once(&mut out.mdhd, &b, found),
            ("an mdia box", b"hdlr") => once(&mut out.hdlr, &b, found),
            ("an mdia box", b"minf") => collect(b.data, "a minf box", out, found)?,
            ("a minf box", b"vmhd") if b.data == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0] => {}
            ("a minf box", b"smhd") if b.data == [0; 8] => {}
            ("a minf box", b"dinf") => check_dinf(b.data, found),
            ("a minf box", b"stbl") => collect(b.data, "an stbl box", out, found)?,
            ("an stbl box", b"stsd") => once(&mut out.stsd, &b, found),
            ("an stbl box", b"stts") => once(&mut out.tables.stts, &b, found),
            ("an stbl box", b"ctts") => once(&mut out.tables.ctts, &b, found),
            ("an stbl box", b"stss") => once(&mut out.tables.stss, &b, found),
            ("an stbl box", b"stsc") => once(&mut out.tables.stsc, &b, found),
            ("an stbl box", b"stsz") => once(&mut out.tables.stsz, &b, found),
            ("an stbl box", b"stco" | b"co64") => {
                if out.tables.chunks.replace((b.data, b.kind == b"co64")).is_some() {
                    found.residue("a track has two chunk offset tables");
                }
            }
            ("an stbl box", b"sdtp") => once(&mut out.tables.sdtp, &b, found),
            ("an stbl box", b"sgpd") => once(&mut out.tables.groups, &b, found),
            ("an stbl box", b"sbgp") => once(&mut out.tables.group_members, &b, found),
            // Which track another refers to: told with the other.
            ("a trak box", b"tref") => found.push(Rule::ExtraTrack, "a track refers to another"),
            (_, other) => mp4_tags::unexpected(other, b.data, b.data.len() as u64 + 8, &format!("in {inside}"), found),
        }
    }
    Ok(())
}

fn read_trak(
    data: &[u8],
    movie_timescale: u32,
    expect: &Expect,
    movie: &mut Movie,
    found: &mut Findings,
) -> Result<()> {
    let mut boxes = TrackBoxes::default();
    collect(data, "a trak box", &mut boxes, found)?;
    let missing = || damaged("a track has no header");
    let shown = read_tkhd(boxes.tkhd.ok_or_else(missing)?, found)?;
    let timescale = read_mdhd(boxes.mdhd.ok_or_else(missing)?, found)?;
    let kind = read_hdlr(boxes.hdlr.ok_or_else(missing)?, found)?;
    let mut edit = boxes.edts.map(|e| read_edts(e, found)).transpose()?.unwrap_or_default();
    // From here on in ticks of the track.
    let scale = |v: u64| (u128::from(v) * u128::from(timescale)).div_ceil(u128::from(movie_timescale));
    let clamp = |v: u128| u64::try_from(v).map_err(|_| damaged("an edit list overflows"));
    edit.lead_in = clamp(scale(edit.lead_in))?;
    if let Some((_, duration)) = &mut edit.shown {
        *duration = clamp(scale(*duration))?;
    }
    let samples = Samples::read(&boxes.tables)?;
    movie.claimed.extend_from_slice(&samples.chunks);
    let stsd = boxes.stsd.ok_or_else(missing)?;
    match kind {
        b"vide" if movie.video.is_none() => {
            let (codec_name, codec, size) = read_visual(stsd, shown, samples.bit_rate(timescale), expect, found)?;
            movie.video = Some(VideoTrack { codec_name, codec, size, timescale, edit, samples });
        }
        b"soun" if movie.audio.is_none() => {
            if !expect.audio {
                found.push(Rule::AudioPresent, "the file has an audio track");
            }
            read_audio_entry(stsd, samples.bit_rate(timescale), found)?;
            check_audio_edit(&edit, &samples, timescale, found);
            movie.audio = Some(samples);
        }
        b"vide" => found.push(Rule::ExtraTrack, "a second video track"),
        other => mp4_tags::track(other, sample_entry(stsd).map_or(&[], |e| e.kind), found),
    }
    Ok(())
}

/// The only sample entry of a track: its code and content.
fn sample_entry<'a>(stsd: &'a [u8]) -> Result<Child<'a>> {
    let mut c = Cursor::new(stsd, "an stsd box");
    if c.u32()? != 0 || c.u32()? != 1 {
        return Err(damaged("a track does not have exactly one sample description"));
    }
    let mut entries = children(c.rest(), "an stsd box")?;
    match (entries.pop(), entries.is_empty()) {
        (Some(entry), true) => Ok(entry),
        _ => Err(damaged("a track does not have exactly one sample description")),
    }
}

fn read_visual(
    stsd: &[u8],
    shown: (u32, u32),
    bit_rate: f64,
    expect: &Expect,
    found: &mut Findings,
) -> Result<(String, Option<Codec>, Size)> {
    let entry = sample_entry(stsd)?;
    let mut c = Cursor::new(entry.data, "a video sample description");
    let head = c.take(24)? == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let size = checked_size(c.u16()?.into(), c.u16()?.into(), &expect.limits)?;
    let middle = c.take(14)? == [0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1];
    if c.take(32)?.iter().any(|b| *b != 0) {
        found.push(Rule::EncoderString, "the video track names its encoder");
    }
    let tail = c.take(4)? == [0, 0x18, 0xff, 0xff];
    if !head || !middle || !tail {
        found.residue("the video sample description holds bytes that mean nothing");
    }
    let (mut codec, mut aspect) = (None, (1, 1));
    for b in children(c.rest(), "a video sample description")? {
        match (b.kind, b.data.len()) {
            (b"avcC" | b"hvcC" | b"vpcC" | b"av1C", _) if codec.is_none() => {
                codec = Some(read_config(b.kind, b.data, size, found)?)
            }
            (b"pasp", 8) => {
                let mut c = Cursor::new(b.data, "a pasp box");
                aspect = (c.u32()?, c.u32()?);
            }
            (b"colr", 11) if b.data.starts_with(b"nclx") => {}
            (b"btrt", 12) => check_btrt(b.data, bit_rate, found)?,
            // Field order, HDR mastering display and light level: numbers only.
            (b"fiel", 2) | (b"mdcv", 24) | (b"clli", 4) | (b"SmDm", 28) | (b"CoLL", 8) => {}
            (b"clap", _) => found.push(Rule::CroppedPicture, "a clean aperture hides part of the picture"),
            (other, n) => found
                .push(Rule::UnknownPart, format!("box {} of {n} bytes in the video sample description", fourcc(other))),
        }
    }
    check_shown(size, shown, aspect, found);
    if codec.is_none() {
        found.residue(format!("the video is coded as {}, which withhold does not write", fourcc(entry.kind)));
    }
    Ok((fourcc(entry.kind), codec, size))
}

/// The track header must show the whole picture, stretched by the sample aspect ratio.
fn check_shown(size: Size, shown: (u32, u32), aspect: (u32, u32), found: &mut Findings) {
    let stretched = f64::from(size.width) * f64::from(aspect.0) / f64::from(aspect.1.max(1));
    let (width, height) = (f64::from(shown.0) / 65536.0, f64::from(shown.1) / 65536.0);
    if (width - stretched).abs() > 1.0 || (height - f64::from(size.height)).abs() > 1.0 {
        found.push(Rule::CroppedPicture, "the track header shows the picture in another size than the decoder");
    }
}

fn read_audio_entry(stsd: &[u8], bit_rate: f64, found: &mut Findings) -> Result<()> {
    let entry = sample_entry(stsd)?;
    if !matches!(entry.kind, b"mp4a" | b"Opus") {
        found.residue(format!("audio is coded as {}, which withhold does not write", fourcc(entry.kind)));
    }
    let mut c = Cursor::new(entry.data, "an audio sample description");
    if c.take(16)? != [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0] {
        found.residue("the audio sample description holds bytes that mean nothing");
    }
    c.take(12)?;
    for b in children(c.rest(), "an audio sample description")? {
        match (b.kind, b.data.len()) {
            (b"esds", 0..=64) | (b"dOps", 11..=20) => {}
            (b"btrt", 12) => check_btrt(b.data, bit_rate, found)?,
            (other, n) => found
                .push(Rule::UnknownPart, format!("box {} of {n} bytes in the audio sample description", fourcc(other))),
        }
    }
    Ok(())
}

fn check_audio_edit(edit: &Edit, samples: &Samples, timescale: u32, found: &mut Findings) {
    let (Some((start, duration)), Some(last)) = (edit.shown, samples.times.last()) else { return };
    let most = MAX_HIDDEN_AUDIO_SECS * f64::from(timescale);
    let end = *last as f64 + f64::from(samples.last_delta);
    if start as f64 > most || end - start as f64 - duration as f64 > most {
        found.push(Rule::HiddenFrames, "an edit list hides sound that is in the file");
    }
}

/// Chunks must cover the content of `mdat` without gap and without overlap.
fn check_tiling(chunks: &mut [(u64, u64)], (start, end): (u64, u64), found: &mut Findings) {
    chunks.sort_unstable();
    let mut at = start;
    for &(chunk, len) in chunks.iter() {
        if chunk > at {
            found.push(Rule::UnusedData, format!("{} bytes at {at} belong to no sample", chunk - at));
        } else if chunk < at {
            found.residue(format!("samples share bytes at {chunk}, or lie outside of the mdat box"));
        }
        at = at.max(chunk.saturating_add(len));
    }
    if at < end {
        found.push(Rule::UnusedData, format!("{} bytes at {at} belong to no sample", end - at));
    } else if at > end {
        found.residue("samples reach beyond the mdat box");
    }
}

fn check_video_samples(file: &dyn ReadAt, video: &mut VideoTrack, found: &mut Findings) -> Result<()> {
    let Some(codec) = &mut video.codec else { return Ok(()) };
    for (i, (&offset, &size)) in video.samples.offsets.iter().zip(&video.samples.sizes).enumerate() {
        let data = read_vec(file, offset, size.into(), MAX_SAMPLE_BYTES)?;
        codec.check_sample(&data, i, found)?;
    }
    // Fragments have their samples elsewhere.
    if !video.samples.sizes.is_empty() {
        codec.finish(found);
    }
    if video.samples.sync.as_ref().is_some_and(|s| s.first() != Some(&0)) {
        found.frame_table("the clip does not begin with a key frame");
    }
    Ok(())
}

fn check_audio_samples(file: &dyn ReadAt, audio: &Samples, found: &mut Findings) -> Result<()> {
    for (&offset, &size) in audio.offsets.iter().zip(&audio.sizes) {
        if names_encoder(&read_vec(file, offset, size.into(), 1 << 20)?) {
            found.push(Rule::EncoderString, "the sound names its encoder");
            break;
        }
    }
    Ok(())
}

/// Times at which frames are shown and the end of the last; frames that an edit list hides are findings.
fn presentation(video: &VideoTrack, found: &mut Findings) -> Result<(Vec<i64>, i64)> {
    let overflow = || damaged("frame times overflow");
    let lead_in = i64::try_from(video.edit.lead_in).map_err(|_| overflow())?;
    let start = video.edit.shown.map_or(0, |(start, _)| start);
    let mut times = video.samples.times.clone();
    times.sort_unstable();
    let hidden = times.iter().filter(|t| match video.edit.shown {
        Some((start, duration)) => **t < start || t.saturating_sub(start).unsigned_abs() >= duration.max(1),
        None => **t < 0,
    });
    let hidden = hidden.count();
    if hidden > 0 {
        found.push(Rule::HiddenFrames, format!("an edit list hides {hidden} frames that are in the file"));
    }
    if times.windows(2).any(|w| w[0] == w[1]) {
        found.frame_table("two frames have the same time");
    }
    for t in &mut times {
        *t = t.checked_sub(start).and_then(|t| t.checked_add(lead_in)).ok_or_else(overflow)?;
    }
    let last = times.last().copied().unwrap_or(0);
    let end = last.checked_add(i64::from(video.samples.last_delta)).ok_or_else(overflow)?;
    Ok((times, end))
}

//! Sample tables of a track: sizes, places and times of its samples (ISO/IEC 14496-12, section 8.6 and 8.7).

use super::bytes::Cursor;
use super::{damaged, over_limit};
use crate::error::Result;

/// Samples of one size in a track at most: here a few bytes of file can ask for much memory.
const MAX_SAMPLES: u64 = 4 << 20;

/// One sample table as read, in decoding order.
#[derive(Default)]
pub(super) struct RawTables<'a> {
    pub stts: Option<&'a [u8]>,
    pub ctts: Option<&'a [u8]>,
    pub stsc: Option<&'a [u8]>,
    pub stsz: Option<&'a [u8]>,
    /// Chunk offsets, and whether they have 64 bits.
    pub chunks: Option<(&'a [u8], bool)>,
    pub stss: Option<&'a [u8]>,
    pub sdtp: Option<&'a [u8]>,
    /// Sample groups: descriptions and which samples belong to them.
    pub groups: Option<&'a [u8]>,
    pub group_members: Option<&'a [u8]>,
}

/// All samples of one track, in decoding order.
#[derive(Default)]
pub(super) struct Samples {
    /// Bytes of each sample.
    pub sizes: Vec<u32>,
    /// Place of each sample in the file.
    pub offsets: Vec<u64>,
    /// Composition time of each sample, ticks of the track's timescale.
    pub times: Vec<i64>,
    /// Length of all samples, ticks.
    pub duration: i64,
    /// Length of the last sample in decoding order, ticks.
    pub last_delta: u32,
    /// First byte and length of each chunk.
    pub chunks: Vec<(u64, u64)>,
    /// Numbers of sync samples from 0; `None` when every sample is one.
    pub sync: Option<Vec<u64>>,
}

impl Samples {
    /// Bits a second on average, by their count of ticks.
    pub(super) fn bit_rate(&self, timescale: u32) -> f64 {
        let bits: u64 = self.sizes.iter().map(|s| u64::from(*s) * 8).sum();
        bits as f64 * f64::from(timescale) / self.duration.max(1) as f64
    }

    pub(super) fn read(raw: &RawTables<'_>) -> Result<Samples> {
        let need = |table: Option<&'_ [u8]>, name: &str| -> Result<Vec<u8>> {
            table.map(<[u8]>::to_vec).ok_or_else(|| damaged(format!("a track has no {name} table")))
        };
        let sizes = read_sizes(&need(raw.stsz, "stsz")?)?;
        let (times, duration, last_delta) = read_times(&need(raw.stts, "stts")?, raw.ctts, sizes.len())?;
        let (table, long) = raw.chunks.ok_or_else(|| damaged("a track has no chunk offset table"))?;
        let (offsets, chunks) = read_places(&need(raw.stsc, "stsc")?, table, long, &sizes)?;
        check_side_tables(raw, sizes.len())?;
        let sync = raw.stss.map(|t| read_sync(t, sizes.len())).transpose()?;
        Ok(Samples { sizes, offsets, times, duration, last_delta, chunks, sync })
    }
}

/// Cursor behind the version and flags of a full box, which must be zero where `plain`; and the version.
fn full<'a>(data: &'a [u8], what: &'static str) -> Result<(Cursor<'a>, u8)> {
    let mut c = Cursor::new(data, what);
    let version = c.u8()?;
    if c.take(3)? != [0; 3] {
        return Err(damaged(format!("{what} has unknown flags")));
    }
    Ok((c, version))
}

/// Count of entries; it must explain all bytes that follow.
fn entries(c: &mut Cursor<'_>, entry_bytes: usize, what: &str) -> Result<usize> {
    let count = c.u32()? as usize;
    if count.checked_mul(entry_bytes) != Some(c.len()) {
        return Err(damaged(format!("{what} does not have the length that its count says")));
    }
    Ok(count)
}

/// Count of samples and the value that they have in common. A run of none could hold any value.
fn run(c: &mut Cursor<'_>, what: &str) -> Result<(u32, u32)> {
    match (c.u32()?, c.u32()?) {
        (0, _) => Err(damaged(format!("{what} has an entry for no sample"))),
        entry => Ok(entry),
    }
}

fn read_sizes(data: &[u8]) -> Result<Vec<u32>> {
    let (mut c, _) = full(data, "the stsz table")?;
    let fixed = c.u32()?;
    if fixed == 0 {
        let count = entries(&mut c, 4, "the stsz table")?;
        return (0..count).map(|_| c.u32()).collect();
    }
    let count = c.u32()?;
    if !c.is_empty() {
        return Err(damaged("the stsz table is longer than it says"));
    }
    if u64::from(count) > MAX_SAMPLES {
        return Err(over_limit(format!("a track of {count} samples is too long")));
    }
    Ok(vec![fixed; count as usize])
}

/// Time of each sample, length of all and of the last.
fn read_times(stts: &[u8], ctts: Option<&[u8]>, samples: usize) -> Result<(Vec<i64>, i64, u32)> {
    let (mut c, _) = full(stts, "the stts table")?;
    let mut times = Vec::with_capacity(samples);
    let (mut now, mut last_delta) = (0i64, 0u32);
    for _ in 0..entries(&mut c, 8, "the stts table")? {
        let (count, delta) = run(&mut c, "the stts table")?;
        if count as usize > samples - times.len() {
            return Err(damaged("the stts table names more samples than there are"));
        }
        for _ in 0..count {
            times.push(now);
            now = now.checked_add(i64::from(delta)).ok_or_else(|| damaged("sample times overflow"))?;
        }
        last_delta = delta;
    }
    if times.len() != samples {
        return Err(damaged("the stts table names fewer samples than there are"));
    }
    if let Some(ctts) = ctts {
        add_offsets(ctts, &mut times)?;
    }
    Ok((times, now, last_delta))
}

fn add_offsets(ctts: &[u8], times: &mut [i64]) -> Result<()> {
    let (mut c, version) = full(ctts, "the ctts table")?;
    let mut rest = times.iter_mut();
    for _ in 0..entries(&mut c, 8, "the ctts table")? {
        let (count, raw) = run(&mut c, "the ctts table")?;
        let offset = if version == 0 { i64::from(raw) } else { i64::from(raw as i32) };
        for _ in 0..count {
            let time = rest.next().ok_or_else(|| damaged("the ctts table names more samples than there are"))?;
            *time = time.checked_add(offset).ok_or_else(|| damaged("sample times overflow"))?;
        }
    }
    match rest.next() {
        None => Ok(()),
        Some(_) => Err(damaged("the ctts table names fewer samples than there are")),
    }
}

type Places = (Vec<u64>, Vec<(u64, u64)>);

fn read_places(stsc: &[u8], stco: &[u8], long: bool, sizes: &[u32]) -> Result<Places> {
    let (mut c, _) = full(stco, "the chunk offset table")?;
    let count = entries(&mut c, if long { 8 } else { 4 }, "the chunk offset table")?;
    let starts: Vec<u64> = (0..count).map(|_| c.word(long)).collect::<Result<_>>()?;
    let (mut c, _) = full(stsc, "the stsc table")?;
    let runs = entries(&mut c, 12, "the stsc table")?;
    let runs: Vec<[u32; 3]> = (0..runs).map(|_| Ok([c.u32()?, c.u32()?, c.u32()?])).collect::<Result<_>>()?;
    if runs.iter().any(|r| r[2] != 1) {
        return Err(damaged("the stsc table refers to a sample description that is not there"));
    }
    let ascending = runs.windows(2).all(|w| w[0][0] < w[1][0]);
    if !ascending || runs.first().map_or(count > 0, |r| r[0] != 1) || runs.last().is_some_and(|r| r[0] as usize > count)
    {
        return Err(damaged("the stsc table does not fit the chunks"));
    }
    let mut offsets = Vec::with_capacity(sizes.len());
    let mut chunks = Vec::with_capacity(count);
    let (mut run, mut left) = (0, sizes);
    for (i, &start) in starts.iter().enumerate() {
        while runs.get(run + 1).is_some_and(|r| r[0] as usize <= i + 1) {
            run += 1;
        }
        let (mine, rest) = left
            .split_at_checked(runs[run][1] as usize)
            .ok_or_else(|| damaged("the chunks hold more samples than there are"))?;
        let mut at = start;
        for &size in mine {
            offsets.push(at);
            at = at.checked_add(u64::from(size)).ok_or_else(|| damaged("a sample's place overflows"))?;
        }
        chunks.push((start, at - start));
        left = rest;
    }
    if !left.is_empty() {
        return Err(damaged("the chunks hold fewer samples than there are"));
    }
    Ok((offsets, chunks))
}

/// Tables that only hint at decoding: they must be as long as their purpose needs.
fn check_side_tables(raw: &RawTables<'_>, samples: usize) -> Result<()> {
    if raw.sdtp.is_some_and(|t| t.len() != samples + 4) {
        return Err(damaged("the sdtp table does not have a byte for each sample"));
    }
    // How far decoding rolls in (`roll`, `prol`): one description of two bytes.
    let rolls = |kind: &[u8]| matches!(kind, b"roll" | b"prol");
    if let Some(t) = raw.groups {
        let mut c = Cursor::new(t, "a sample group description");
        if c.u32()? != 1 << 24 || !rolls(c.take(4)?) || c.u32()? != 2 || c.u32()? != 1 || c.len() != 2 {
            return Err(damaged("a sample group is not one that withhold writes"));
        }
    }
    if let Some(t) = raw.group_members {
        let (mut c, _) = full(t, "the sbgp table")?;
        if !rolls(c.take(4)?) {
            return Err(damaged("a sample group is not one that withhold writes"));
        }
        let mut members = 0u64;
        for _ in 0..entries(&mut c, 8, "the sbgp table")? {
            let (count, group) = run(&mut c, "the sbgp table")?;
            members += u64::from(count);
            // In none, or as the one description says.
            if group > 1 {
                return Err(damaged("the sbgp table names a group that is not described"));
            }
        }
        if members != samples as u64 {
            return Err(damaged("the sbgp table does not name each sample once"));
        }
    }
    Ok(())
}

fn read_sync(stss: &[u8], samples: usize) -> Result<Vec<u64>> {
    let (mut c, _) = full(stss, "the stss table")?;
    let count = entries(&mut c, 4, "the stss table")?;
    let numbers: Vec<u64> = (0..count).map(|_| Ok(u64::from(c.u32()?).wrapping_sub(1))).collect::<Result<_>>()?;
    let fits = numbers.windows(2).all(|w| w[0] < w[1]) && numbers.last().is_none_or(|n| *n < samples as u64);
    if fits { Ok(numbers) } else { Err(damaged("the stss table names samples that are not there")) }
}

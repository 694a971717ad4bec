//! Which files of an archive a run is about: by name, by age, and by share of the work.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result, Stage};

/// One of several runs that share an archive without a coordinator: `2/8` is the second of eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u64,
    pub count: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("takes I/N with I from 1 to N: the Ith of N runs".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Shard {
    /// Whether a file belongs to this run: a stable hash of its path below the folder that was named, so that every
    /// machine and every order of files gives the same shares.
    pub fn takes(self, relative: &Path) -> bool {
        let hash = Sha256::digest(relative.as_os_str().as_bytes());
        let number = hash.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        number % self.count == self.index - 1
    }
}

/// What is picked of the files that were found.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
    since: Option<SystemTime>,
    pub shard: Option<Shard>,
}

impl Selection {
    /// Patterns as in `.gitignore`: without a slash they speak of names at any depth, else of paths below the folder
    /// that was named.
    ///
    /// # Errors
    /// `Usage` for a pattern that is none.
    pub fn new(
        include: &[String],
        exclude: &[String],
        since: Option<SystemTime>,
        shard: Option<Shard>,
    ) -> Result<Self> {
        Ok(Self { include: patterns("--include", include)?, exclude: patterns("--exclude", exclude)?, since, shard })
    }

    /// Whether anything is left out, so that nothing may be left.
    pub fn is_partial(&self) -> bool {
        self.include.is_some() || self.exclude.is_some() || self.since.is_some() || self.shard.is_some()
    }

    /// Whether a file is among those to include, where such are named.
    pub fn includes(&self, relative: &Path) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match(relative))
    }

    /// By name and age. A file whose age can't be read is picked: leaving it out would hide it.
    pub fn picks(&self, input: &Path, relative: &Path) -> bool {
        let recent = |since: SystemTime| {
            std::fs::symlink_metadata(input).and_then(|meta| meta.modified()).map_or(true, |time| time >= since)
        };
        self.includes(relative)
            && !self.exclude.as_ref().is_some_and(|set| set.is_match(relative))
            && self.since.is_none_or(recent)
    }

    /// By share of the work.
    pub fn takes(&self, relative: &Path) -> bool {
        self.shard.is_none_or(|shard| shard.takes(relative))
    }
}

fn patterns(flag: &str, patterns: &[String]) -> Result<Option<GlobSet>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let wrong = |e: globset::Error| Error::new(Stage::Setup, ErrorKind::Usage, format!("{flag} takes a pattern: {e}"));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let anchored = pattern.strip_prefix('/').unwrap_or(pattern);
        let whole = if pattern.contains('/') { anchored.to_owned() } else { format!("**/{pattern}") };
        set.add(GlobBuilder::new(&whole).literal_separator(true).build().map_err(wrong)?);
    }
    set.build().map(Some).map_err(wrong)
}

/// A date (`2026-01-31`), a time (`2026-01-31T18:00:00Z`), both UTC, or an age (`36h`, `7days`).
pub fn parse_since(text: &str) -> Result<SystemTime, String> {
    let age = || SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?);
    let date = || humantime::parse_rfc3339_weak(&format!("{text}T00:00:00Z")).ok();
    let time = humantime::parse_rfc3339_weak(text).ok();
    let wrong = || "takes a date (2026-01-31), a time (2026-01-31T18:00:00Z) or an age (36h, 7days)".to_owned();
    time.or_else(date).or_else(age).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        Selection::new(&owned(include), &owned(exclude), None, None).unwrap()
    }

    #[test]
    fn patterns_speak_of_names_or_of_paths() {
        let table: [(&[&str], &[&str], &str, bool); 9] = [
            (&[], &[], "a/b.jpg", true),
            (&["*.jpg"], &[], "a/b.jpg", true),
            (&["*.jpg"], &[], "b.JPG", false),
            (&["*.{jpg,mp4}"], &["b.*"], "a/b.mp4", false),
            (&["a/*.jpg"], &[], "a/b.jpg", true),
            (&["a/*.jpg"], &[], "a/c/b.jpg", false),
            (&["/a/**"], &[], "a/c/b.jpg", true),
            (&[], &["raw/**"], "raw/x/b.jpg", false),
            (&[], &["raw/**"], "a/raw/b.jpg", true),
        ];
        for (include, exclude, path, picked) in table {
            let path = Path::new(path);
            assert_eq!(selection(include, exclude).picks(path, path), picked, "{include:?} {exclude:?} {path:?}");
        }
        assert!(Selection::new(&["[".into()], &[], None, None).is_err());
    }

    #[test]
    fn age_is_that_of_the_last_change() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let hour = Duration::from_secs(3600);
        for (since, picked) in [(SystemTime::now() - hour, true), (SystemTime::now() + hour, false)] {
            let selection = Selection { since: Some(since), ..Selection::default() };
            assert_eq!(selection.picks(file.path(), Path::new("a")), picked);
            assert!(selection.picks(Path::new("/nonexistent"), Path::new("a")), "unknown is not old");
        }
    }

    #[test]
    fn times_and_ages() {
        let secs = |text| parse_since(text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(secs("2026-01-31"), 1_769_817_600);
        assert_eq!(secs("2026-01-31T01:00:00Z"), 1_769_821_200);
        assert!(parse_since("2h").unwrap() < SystemTime::now() - Duration::from_secs(7000));
        for wrong in ["", "yesterday", "2026", "31.1.2026"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_whole_disjoint_and_stable() {
        let names: Vec<String> = (0..200).map(|i| format!("folder/clip-{i}.mp4")).collect();
        for count in 1..6 {
            let shards: Vec<Shard> = (1..=count).map(|index| Shard { index, count }).collect();
            for name in &names {
                assert_eq!(shards.iter().filter(|s| s.takes(Path::new(name))).count(), 1, "{name} of {count}");
            }
            let largest = shards.iter().map(|s| names.iter().filter(|n| s.takes(Path::new(n))).count()).max();
            assert!(largest.unwrap() < 2 * names.len() / count as usize + 1, "shares of {count} are uneven");
        }
        // The first eight bytes that sha256sum tells of each name: another machine must come to the same share.
        for (name, index, count) in [("a.jpg", 2, 3), ("a.jpg", 3, 8), ("b/c.mp4", 3, 3), ("b/c.mp4", 6, 8)] {
            assert!(Shard { index, count }.takes(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn shards_as_typed() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, count: 8 }));
        for wrong in ["", "2", "0/8", "9/8", "1/0", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}

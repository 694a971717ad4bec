//! What a batch has done, so that a later run can go on where one ended.
//!
//! One JSON line for each verified file, written and flushed **before** the file gets its final name. A file that lies
//! under its name with the line's hash is therefore one that was verified, whenever the run ended; everything else is
//! done again. Lines that a crash cut off say nothing. The journal lies in the private work folder, appending to it is
//! locked, and runs that share an archive have one each and read all.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::commit::{make_work_dir, sync};
use super::sandbox::SandboxMode;
use super::select::Shard;
use super::settings::{AudioChoice, Settings};
use super::source::{hash, hex};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::limits::Limits;
use crate::types::report::RunReport;

/// Version of the lines.
const VERSION: u32 = 1;

/// One verified file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    version: u32,
    /// See [`Journal::key`].
    key: String,
    /// SHA-256 of the finished file, hex.
    output_sha256: String,
    report: RunReport,
}

/// Where a line lies, which is read again when its report is asked for: archives have millions of files.
#[derive(Debug)]
struct Place {
    output_sha256: String,
    /// Number of its journal.
    journal: usize,
    offset: u64,
    /// Bytes.
    length: usize,
}

/// The journals of a work folder.
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    /// What is read when a run resumes.
    earlier: Vec<PathBuf>,
    /// What earlier runs verified, by key; the last line of a key counts.
    verified: HashMap<String, Place>,
    settings: String,
    shard: Option<Shard>,
}

fn failed(path: &Path, what: &str, e: io::Error) -> Error {
    Error::new(Stage::Commit, ErrorKind::Io, format!("the journal {what}")).because(e).at(path)
}

impl Journal {
    /// Opens the journal of a run, and with `resume` reads what is told by all journals of the folder.
    ///
    /// # Errors
    /// `Io`, also when the file of a sound track that belongs to the settings can't be read.
    pub fn open(work_dir: &Path, shard: Option<Shard>, settings: &Settings, resume: bool) -> Result<Self> {
        make_work_dir(work_dir)?;
        let earlier = if resume { journals(work_dir)? } else { Vec::new() };
        let mut verified = HashMap::new();
        for (number, path) in earlier.iter().enumerate() {
            read(path, number, &mut verified).map_err(|e| failed(path, "can't be read", e))?;
        }
        let name = shard.map_or("journal.jsonl".into(), |s| format!("journal-{}-of-{}.jsonl", s.index, s.count));
        let path = work_dir.join(name);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(&path).map_err(|e| failed(&path, "can't be opened", e))?;
        sync(work_dir)?;
        Ok(Self { path, file: Mutex::new(file), earlier, verified, settings: digest(settings)?, shard })
    }

    /// The share of the work that it is about.
    pub fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// What decides about an output: the program, the settings that shape it, the source's content, the output's name.
    pub fn key(&self, source: &File, output: &Path) -> Result<String> {
        let mut hasher = Sha256::new();
        for part in [env!("CARGO_PKG_VERSION").as_bytes(), self.settings.as_bytes(), hash(source)?.as_bytes()] {
            hasher.update(part);
            hasher.update([0]);
        }
        hasher.update(output.as_os_str().as_bytes());
        Ok(hex(&hasher.finalize()))
    }

    /// The report of an earlier run on the same file, if what lies at `target` is what that run verified.
    pub fn done(&self, key: &str, target: &Path) -> Result<Option<RunReport>> {
        let Some(place) = self.verified.get(key) else { return Ok(None) };
        match File::open(target) {
            Ok(file) if hash(&file).map_err(|e| e.at(target))? == place.output_sha256 => self.report(place).map(Some),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new(Stage::Setup, ErrorKind::Io, "the output can't be read").because(e).at(target)),
        }
    }

    fn report(&self, place: &Place) -> Result<RunReport> {
        let path = &self.earlier[place.journal];
        let unreadable = |e| failed(path, "can't be read", e);
        let mut text = vec![0; place.length];
        File::open(path).and_then(|file| file.read_exact_at(&mut text, place.offset)).map_err(unreadable)?;
        let line: Line = serde_json::from_slice(&text).map_err(|e| unreadable(e.into()))?;
        Ok(line.report)
    }

    /// Notes that the file at `staged` is verified and about to get its name; on the disk when this returns.
    pub fn note(&self, key: String, staged: &Path, report: &RunReport) -> Result<()> {
        let finished = File::open(staged).map_err(|e| failed(staged, "needs the finished file", e))?;
        let line = Line { version: VERSION, key, output_sha256: hash(&finished)?, report: report.clone() };
        let mut text = serde_json::to_vec(&line)
            .map_err(|e| Error::new(Stage::Commit, ErrorKind::Internal, "the journal can't be written").because(e))?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        append(&mut file, &text).map_err(|e| failed(&self.path, "can't be written", e))
    }
}

/// Appends a line whole, behind whatever a crash or a full disk left of another.
fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    flock(&*file, FlockOperation::LockExclusive)?;
    let written = (|| {
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        file.write_all(line)?;
        file.sync_data()
    })();
    flock(&*file, FlockOperation::Unlock)?;
    written
}

fn journals(work_dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |e| failed(work_dir, "can't be looked for", e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(work_dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with("journal") && n.ends_with(".jsonl")) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Takes in the lines of one journal.
fn read(path: &Path, journal: usize, verified: &mut HashMap<String, Place>) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut text, mut offset) = (Vec::new(), 0);
    loop {
        text.clear();
        let length = file.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(());
        }
        // What does not parse was cut off by a crash or is of another version: it vouches for nothing.
        if let Some(line) = serde_json::from_slice::<Line>(&text).ok().filter(|l| l.version == VERSION) {
            verified.insert(line.key, Place { output_sha256: line.output_sha256, journal, offset, length });
        }
        offset += length as u64;
    }
}

/// Digest of the settings that shape an output: not of limits, threads and places.
fn digest(settings: &Settings) -> Result<String> {
    let shaping = Settings {
        limits: Limits::default(),
        inference_threads: 1,
        sandbox: SandboxMode::Auto,
        runtime: None,
        models: None,
        ..settings.clone()
    };
    let text = serde_json::to_vec(&shaping)
        .map_err(|e| Error::new(Stage::Setup, ErrorKind::Internal, "the settings can't be told").because(e))?;
    let mut hasher = Sha256::new();
    hasher.update(&text);
    if let AudioChoice::File(path) = &settings.encoding.audio {
        let file = File::open(path)
            .map_err(|e| Error::new(Stage::Setup, ErrorKind::Io, "the sound can't be opened").because(e).at(path))?;
        hasher.update(hash(&file).map_err(|e| e.at(path))?);
    }
    Ok(hex(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::testing::{report, settings};

    struct Case {
        dir: tempfile::TempDir,
        settings: Settings,
    }

    impl Case {
        fn new() -> Self {
            let case = Self { dir: tempfile::tempdir().unwrap(), settings: settings() };
            fs::write(case.path("source"), "source").unwrap();
            fs::write(case.path("output"), "output").unwrap();
            case
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn open(&self, settings: &Settings, shard: Option<Shard>, resume: bool) -> Journal {
            Journal::open(&self.path("work"), shard, settings, resume).unwrap()
        }

        fn note(&self, journal: &Journal) {
            let key = self.key(journal);
            journal.note(key, &self.path("output"), &report()).unwrap();
        }

        fn key(&self, journal: &Journal) -> String {
            journal.key(&File::open(self.path("source")).unwrap(), Path::new("a.mp4")).unwrap()
        }

        fn is_done(&self, journal: &Journal) -> bool {
            journal.done(&self.key(journal), &self.path("output")).unwrap().is_some()
        }
    }

    #[test]
    fn what_was_verified_is_done_until_something_changes() {
        let case = Case::new();
        case.note(&case.open(&case.settings, None, false));
        assert!(!case.is_done(&case.open(&case.settings, None, false)), "nobody asked to resume");
        assert!(case.is_done(&case.open(&case.settings, None, true)));
        let shard = Some(Shard { index: 1, count: 2 });
        assert!(case.is_done(&case.open(&case.settings, shard, true)), "other runs' journals count");

        let mut other = case.settings.clone();
        other.margin = 0.5;
        assert!(!case.is_done(&case.open(&other, None, true)), "other settings");
        let mut same = case.settings.clone();
        (same.inference_threads, same.limits.stall_secs) = (7, 3.0);
        assert!(case.is_done(&case.open(&same, None, true)), "the output does not depend on these");

        fs::write(case.path("output"), "changed").unwrap();
        assert!(!case.is_done(&case.open(&case.settings, None, true)));
        fs::remove_file(case.path("output")).unwrap();
        assert!(!case.is_done(&case.open(&case.settings, None, true)));
        fs::write(case.path("output"), "output").unwrap();
        fs::write(case.path("source"), "changed").unwrap();
        assert!(!case.is_done(&case.open(&case.settings, None, true)));
    }

    #[test]
    fn a_line_that_was_cut_off_says_nothing_and_hides_nothing() {
        let case = Case::new();
        case.note(&case.open(&case.settings, None, false));
        let path = case.path("work/journal.jsonl");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(!case.is_done(&case.open(&case.settings, None, true)), "{length} bytes");
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        case.note(&case.open(&case.settings, None, true));
        assert!(case.is_done(&case.open(&case.settings, None, true)), "a line behind a torn one");
    }

    #[test]
    fn each_file_has_its_own_report_and_the_last_one() {
        let case = Case::new();
        let (first, other) = (case.open(&case.settings, None, false), Shard { index: 2, count: 2 });
        let second = case.open(&case.settings, Some(other), false);
        let told = |frames: u64| RunReport { frames, ..report() };
        for (journal, key, frames) in [(&first, "a", 1), (&first, "b", 2), (&second, "c", 3), (&first, "a", 4)] {
            journal.note(key.into(), &case.path("output"), &told(frames)).unwrap();
        }
        let all = case.open(&case.settings, None, true);
        for (key, frames) in [("a", Some(4)), ("b", Some(2)), ("c", Some(3)), ("d", None)] {
            let done = all.done(key, &case.path("output")).unwrap();
            assert_eq!(done.map(|report| report.frames), frames, "{key}");
        }
        // What was there when the run began is gone: nobody can tell what was verified.
        fs::write(case.path("work/journal.jsonl"), "").unwrap();
        let error = all.done("a", &case.path("output")).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("journal.jsonl"), "{error}");
    }

    #[test]
    fn a_sound_track_counts_by_its_content() {
        let case = Case::new();
        let mut settings = case.settings.clone();
        settings.encoding.audio = AudioChoice::File(case.path("voice"));
        fs::write(case.path("voice"), "one").unwrap();
        case.note(&case.open(&settings, None, false));
        assert!(case.is_done(&case.open(&settings, None, true)));
        fs::write(case.path("voice"), "two").unwrap();
        assert!(!case.is_done(&case.open(&settings, None, true)));
    }
}

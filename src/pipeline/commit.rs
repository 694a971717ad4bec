//! Staging folders and the one place where a file gets its final name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::error::{Error, ErrorKind, Result, Stage};

/// Name of the lock file in a staging folder; held while the run lives, so that leftovers of a killed run are told from
/// folders in use. It is the first file in the folder and the last one out.
const LOCK: &str = "lock";

/// Names of files that are being written: locked, so that those of a killed run are told from those in use.
const PART: (&str, &str) = (".withhold-", ".part");

fn io_error(path: &Path, what: &str, e: io::Error) -> Error {
    let hint = match e.kind() {
        io::ErrorKind::StorageFull => " (free some space, then run again)",
        io::ErrorKind::PermissionDenied => " (check the folder's permissions)",
        _ => "",
    };
    Error::new(Stage::Commit, ErrorKind::Io, format!("{what}{hint}")).because(e).at(path)
}

/// Makes a private folder (mode 0700); missing folders above it are made with the usual mode.
pub fn private_dir(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| io_error(parent, "cannot create the folder", e))?;
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| io_error(path, "cannot create the folder", e))
}

/// In each work folder, to tell it from others: what lies in it is overwritten and swept.
const MARK: &str = ".withhold-work";

/// Makes a work folder, or takes one that was made here.
///
/// # Errors
/// `Usage` for a folder with anything else in it: it would lose files; `Io`.
pub fn make_work_dir(path: &Path) -> Result<()> {
    private_dir(path)?;
    let mark = path.join(MARK);
    if mark.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(path).map_err(|e| io_error(path, "cannot be read", e))?;
    // Another run may have made the mark just now.
    if entries.next().is_some() && !mark.exists() {
        let message = "holds files, but is no work folder of this program, which would overwrite some; name another";
        return Err(Error::new(Stage::Setup, ErrorKind::Usage, message).at(path));
    }
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&mark);
    made.map(drop).map_err(|e| io_error(&mark, "cannot mark the work folder", e))
}

/// A private folder for one file's work, removed with everything in it when dropped.
pub struct Staging {
    dir: tempfile::TempDir,
    _lock: File,
}

impl Staging {
    pub fn create(work_dir: &Path) -> Result<Self> {
        let parent = work_dir.join("staging");
        private_dir(&parent)?;
        loop {
            let dir = tempfile::Builder::new()
                .prefix("job-")
                .tempdir_in(&parent)
                .map_err(|e| io_error(&parent, "cannot create a staging folder", e))?;
            let lock_path = dir.path().join(LOCK);
            let lock = match OpenOptions::new().create_new(true).write(true).mode(0o600).open(&lock_path) {
                Ok(lock) => lock,
                // Another run, which looked for leftovers just now, took the folder for one.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io_error(&lock_path, "cannot create the lock", e)),
            };
            if lock_unless_gone(&lock).map_err(|e| io_error(&lock_path, "cannot lock the staging folder", e))? {
                return Ok(Self { dir, _lock: lock });
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Locks a file that was just made; false if another run, which took it for a leftover, removed it before.
fn lock_unless_gone(file: &File) -> io::Result<bool> {
    flock(file, FlockOperation::LockExclusive)?;
    Ok(file.metadata()?.nlink() > 0)
}

/// Removes staging folders that a killed run left behind; those of living runs are locked and stay. Nothing of value is
/// in there; a failure to remove something is tried again by the next run.
pub fn sweep(work_dir: &Path) {
    let Ok(entries) = fs::read_dir(work_dir.join("staging")) else { return };
    let is_ours = |e: &fs::DirEntry| e.file_name().as_encoded_bytes().starts_with(b"job-");
    for folder in entries.flatten().filter(is_ours).map(|e| e.path()) {
        let lock_path = folder.join(LOCK);
        // Without a lock it is empty, and perhaps in the making, or was being removed when its run was killed.
        if !lock_path.exists() && (fs::remove_dir(&folder).is_ok() || !lock_path.exists()) {
            let _ = fs::remove_dir_all(&folder);
            continue;
        }
        let Ok(lock) = OpenOptions::new().write(true).open(&lock_path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove_all_but_lock(&folder);
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

fn remove_all_but_lock(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| e.file_name() != LOCK) {
        let path = entry.path();
        let _ =
            if entry.file_type().is_ok_and(|t| t.is_dir()) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

/// Removes files that a killed run left half-written in a folder; those of living runs are locked and stay.
pub fn sweep_parts(folder: &Path) {
    let is_part = |name: &std::ffi::OsStr| name.to_str().is_some_and(|n| n.starts_with(PART.0) && n.ends_with(PART.1));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| is_part(&e.file_name())) {
        let Ok(part) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        if flock(&part, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file to be written and then renamed within the folder.
fn part_in(folder: &Path) -> Result<tempfile::NamedTempFile> {
    let failed = |e| io_error(folder, "cannot create a temporary file", e);
    loop {
        let part = tempfile::Builder::new().prefix(PART.0).suffix(PART.1).tempfile_in(folder).map_err(failed)?;
        if lock_unless_gone(part.as_file()).map_err(failed)? {
            return Ok(part);
        }
    }
}

/// Gives a finished, verified file its final name: fsync, then an atomic rename, then fsync of the folder. Without
/// `overwrite` an existing file is never replaced, not even one that appeared a moment ago.
///
/// # Errors
/// `Usage` when the name is taken, `Io` for everything that the system refuses; the final name is then untouched, unless
/// it was only the folder that could not be synced: the verified file has its name then, but may lose it with the power.
pub fn publish(staged: &Path, target: &Path, overwrite: bool) -> Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| io_error(folder, "cannot create the output folder", e))?;
    sync(staged)?;
    match rename(staged, target, overwrite) {
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) => {
            publish_across(staged, target, folder, overwrite)?;
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(exists(target)),
        Err(e) => return Err(io_error(target, "cannot rename the finished file", e)),
        Ok(()) => {}
    }
    sync(folder)
}

/// The error for an output that is there already.
pub fn exists(target: &Path) -> Error {
    let what = "the output exists already; choose another folder or pass --overwrite";
    Error::new(Stage::Setup, ErrorKind::Usage, what).at(target)
}

/// The work folder lies on another file system: copy beside the target first, so that the rename is still atomic.
fn publish_across(staged: &Path, target: &Path, folder: &Path, overwrite: bool) -> Result<()> {
    let mut copy = part_in(folder)?;
    let mut source = File::open(staged).map_err(|e| io_error(staged, "cannot read the staged file", e))?;
    io::copy(&mut source, &mut copy).map_err(|e| io_error(target, "cannot write the output", e))?;
    // Temporary files are private; the output gets the mode that a plain new file has.
    let mode = source.metadata().map_err(|e| io_error(staged, "cannot read the staged file", e))?.permissions();
    copy.as_file().set_permissions(mode).map_err(|e| io_error(target, "cannot write the output", e))?;
    copy.as_file().sync_all().map_err(|e| io_error(target, "cannot write the output", e))?;
    rename(copy.path(), target, overwrite).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => exists(target),
        _ => io_error(target, "cannot rename the finished file", e),
    })
}

fn rename(from: &Path, to: &Path, overwrite: bool) -> io::Result<()> {
    if overwrite {
        return fs::rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems know no such flag; a hard link fails alike when the name is taken.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => Ok(other?),
    }
}

/// Hands a file or folder to the disk.
pub fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| io_error(path, "cannot flush to disk", e))
}

/// Writes a private file whole: temporary name, fsync, rename.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    private_dir(folder)?;
    let mut file = part_in(folder)?;
    io::Write::write_all(&mut file, bytes).map_err(|e| io_error(path, "cannot write the file", e))?;
    file.as_file().sync_all().map_err(|e| io_error(path, "cannot write the file", e))?;
    file.persist(path).map_err(|e| io_error(path, "cannot rename the file", e.error))?;
    Ok(())
}

/// Moves a file to a name beside it that is free: `a.plan.json` becomes `a.plan.1.json`.
pub fn set_aside(path: &Path) -> Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let free = (1u32..).map(|n| path.with_file_name(format!("{stem}.{n}.{extension}"))).find(|p| !p.exists());
    free.map_or(Ok(()), |free| fs::rename(path, free)).map_err(|e| io_error(path, "cannot be set aside", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_folders_are_told_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let (fresh, foreign) = (dir.path().join("fresh"), dir.path().join("foreign"));
        make_work_dir(&fresh).unwrap();
        fs::write(fresh.join("journal.jsonl"), "").unwrap();
        make_work_dir(&fresh).unwrap();
        let (notes, kept) = (foreign.join("staging/2026/notes.txt"), foreign.join("staging/job-1/x"));
        for file in [&notes, &kept] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "mine").unwrap();
        }
        assert_eq!(make_work_dir(&foreign).unwrap_err().kind(), ErrorKind::Usage);
        // Nor would anything but what jobs left be swept.
        sweep(&foreign);
        assert!(notes.exists() && !kept.exists());
    }

    #[test]
    fn what_is_set_aside_keeps_every_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.plan.json");
        for content in ["one", "two"] {
            fs::write(&path, content).unwrap();
            set_aside(&path).unwrap();
        }
        assert!(!path.exists());
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!([read("a.plan.1.json"), read("a.plan.2.json")], ["one", "two"]);
    }

    #[test]
    fn a_taken_name_is_never_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, target) = (dir.path().join("staged"), dir.path().join("out/final"));
        fs::write(&staged, "new").unwrap();
        publish(&staged, &target, false).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert!(!staged.exists());

        fs::write(&staged, "newer").unwrap();
        let error = publish(&staged, &target, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(fs::read_to_string(&target).unwrap(), "new", "the old file must stay");

        publish(&staged, &target, true).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "newer");
    }

    #[test]
    fn leftovers_go_and_folders_in_use_stay() {
        let work = tempfile::tempdir().unwrap();
        let live = Staging::create(work.path()).unwrap();
        let dead = work.path().join("staging/job-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("clip.mp4"), "half").unwrap();
        let (empty, half_removed) = (work.path().join("staging/job-empty"), work.path().join("staging/job-half"));
        fs::create_dir(&empty).unwrap();
        fs::create_dir_all(half_removed.join("folder")).unwrap();
        sweep(work.path());
        assert!(!dead.exists() && !empty.exists() && !half_removed.exists());
        assert!(live.path(LOCK).exists());
        let path = live.path("");
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn half_written_files_go_and_those_in_use_stay() {
        let folder = tempfile::tempdir().unwrap();
        let live = part_in(folder.path()).unwrap();
        let (dead, other) = (folder.path().join(".withhold-dead.part"), folder.path().join("withhold.part"));
        fs::write(&dead, "half").unwrap();
        fs::write(&other, "not ours").unwrap();
        sweep_parts(folder.path());
        assert!(!dead.exists() && other.exists() && live.path().exists());
    }

    #[test]
    fn runs_that_sweep_and_create_at_once_do_not_clash() {
        let work = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..200).for_each(|_| sweep(work.path())));
                scope.spawn(|| {
                    for _ in 0..200 {
                        let staging = Staging::create(work.path()).unwrap();
                        fs::write(staging.path("clip.mp4"), "half").unwrap();
                        assert!(staging.path(LOCK).exists());
                    }
                });
            }
        });
        sweep(work.path());
        assert_eq!(fs::read_dir(work.path().join("staging")).unwrap().count(), 0);
    }
}

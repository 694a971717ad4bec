//! Staging folders and the one place where a file gets its final name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::error::{Error, ErrorKind, Result, Stage};

/// Name of the lock file in a staging folder; held while the run lives, so that leftovers of a killed run are told from
/// folders in use.
const LOCK: &str = "lock";

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

/// A private folder for one file's work, removed with everything in it when dropped.
pub struct Staging {
    dir: tempfile::TempDir,
    _lock: File,
}

impl Staging {
    pub fn create(work_dir: &Path) -> Result<Self> {
        let parent = work_dir.join("staging");
        private_dir(&parent)?;
        let dir = tempfile::Builder::new()
            .prefix("job-")
            .tempdir_in(&parent)
            .map_err(|e| io_error(&parent, "cannot create a staging folder", e))?;
        let lock_path = dir.path().join(LOCK);
        let lock = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|e| io_error(&lock_path, "cannot create the lock", e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|e| io_error(&lock_path, "cannot lock the staging folder", e.into()))?;
        Ok(Self { dir, _lock: lock })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Removes staging folders that a killed run left behind; those of living runs are locked and stay.
pub fn sweep(work_dir: &Path) {
    let Ok(entries) = fs::read_dir(work_dir.join("staging")) else { return };
    for entry in entries.flatten() {
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Nothing of value is in there; a failure to remove it is tried again by the next run.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Gives a finished, verified file its final name: fsync, then an atomic rename, then fsync of the folder. Without
/// `overwrite` an existing file is never replaced, not even one that appeared a moment ago.
///
/// # Errors
/// `Usage` when the name is taken, `Io` for everything that the system refuses; the final name is then untouched.
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
    let mut copy = tempfile::Builder::new()
        .prefix(".withhold-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(|e| io_error(folder, "cannot create a temporary file", e))?;
    let mut source = File::open(staged).map_err(|e| io_error(staged, "cannot read the staged file", e))?;
    io::copy(&mut source, &mut copy).map_err(|e| io_error(target, "cannot write the output", e))?;
    // Temporary files are private; the output gets the mode that a plain new file has.
    let mode = source.metadata().map_err(|e| io_error(staged, "cannot read the staged file", e))?.permissions();
    copy.as_file().set_permissions(mode).map_err(|e| io_error(target, "cannot write the output", e))?;
    copy.as_file().sync_all().map_err(|e| io_error(target, "cannot write the output", e))?;
    let path = copy.into_temp_path();
    rename(&path, target, overwrite).map_err(|e| match e.kind() {
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

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| io_error(path, "cannot flush to disk", e))
}

/// Writes a private file whole: temporary name, fsync, rename.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    private_dir(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".withhold-")
        .tempfile_in(folder)
        .map_err(|e| io_error(folder, "cannot create a temporary file", e))?;
    io::Write::write_all(&mut file, bytes).map_err(|e| io_error(path, "cannot write the file", e))?;
    file.as_file().sync_all().map_err(|e| io_error(path, "cannot write the file", e))?;
    file.persist(path).map_err(|e| io_error(path, "cannot rename the file", e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        sweep(work.path());
        assert!(!dead.exists());
        assert!(live.path(LOCK).exists());
        let path = live.path("");
        drop(live);
        assert!(!path.exists());
    }
}

//! Which files a batch works on and where each result goes, settled before any work starts.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use super::select::Selection;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::sniff::{Sniffed, sniff};

/// How outputs are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// The source's stem; names can tell who, where and when, so `Serial` is there.
    #[default]
    Stem,
    /// `0001`, `0002`, ... in the order of the batch.
    Serial,
}

/// What each result is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// A redacted photo or clip.
    #[default]
    Media,
    /// A plan: `<name>.plan.json`.
    Plan,
}

/// How a batch is put together.
#[derive(Clone, Debug, Default)]
pub struct Gathering {
    pub naming: Naming,
    pub product: Product,
    /// Outputs that are there already are no reason to fail: they are replaced, or looked at when their turn comes.
    pub accept_existing: bool,
    pub selection: Selection,
}

/// One file of the batch.
#[derive(Clone, Debug)]
pub struct Item {
    pub input: PathBuf,
    /// Below the output folder.
    pub output: PathBuf,
    pub is_clip: bool,
}

/// One entry of the batch, in order.
#[derive(Debug)]
pub enum Entry {
    Work(Item),
    /// Found in a folder, no media: listed, never copied.
    Skipped {
        input: PathBuf,
        reason: LeftOut,
    },
    /// Can't be worked on at all.
    Failed {
        input: PathBuf,
        error: Error,
    },
}

/// Why something in a folder is not worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    NotMedia,
    NotRegular,
}

impl LeftOut {
    /// For people, behind the file's name.
    pub fn about(self) -> &'static str {
        match self {
            LeftOut::NotMedia => "neither a photo nor a clip",
            LeftOut::NotRegular => "a link, pipe or device; only regular files are read",
        }
    }
}

fn usage(path: &Path, message: impl Into<String>) -> Error {
    Error::new(Stage::Setup, ErrorKind::Usage, message).at(path)
}

/// A file found, before outputs are named.
struct Found {
    input: PathBuf,
    /// Path below the output folder, with the source's name.
    relative: PathBuf,
    named: bool,
}

/// Walks the inputs (files, and folders recursively, in name order) and names the outputs.
///
/// # Errors
/// `Usage` when nothing can start: an output folder inside an input, two sources with one output, no media at all though
/// nothing was left out, no file that is to be included. Trouble with a single file is an [`Entry::Failed`].
pub fn collect(inputs: &[PathBuf], out_dir: &Path, gathering: &Gathering) -> Result<Vec<Entry>> {
    let Gathering { naming, product, accept_existing, selection } = gathering;
    let out_full = absolute(out_dir)?;
    check_output_folder(out_dir, &out_full)?;
    let mut entries = Vec::new();
    let mut found = Vec::new();
    for input in inputs {
        walk(input, &out_full, &mut found, &mut entries)?;
    }
    // All of them, whatever share of the archive this run takes.
    let inputs_of_all = found.iter().map(|file| file.input.as_path()).chain(entries.iter().map(Entry::input));
    let sources: HashSet<PathBuf> = inputs_of_all.filter_map(|input| input.canonicalize().ok()).collect();
    if !found.is_empty() && !found.iter().any(|file| selection.includes(&file.relative)) {
        let message = "none of these files is one that --include names; look at its patterns";
        return Err(Error::new(Stage::Setup, ErrorKind::Usage, message));
    }
    found.retain(|file| selection.picks(&file.input, &file.relative));
    entries.retain(|entry| selection.picks(entry.input(), entry.input()));
    // Numbers and clashes of names are those of the whole archive, whatever share of it this run takes.
    let mut mine: Vec<bool> = entries.iter().map(|entry| selection.takes(entry.input())).collect();
    let width = found.len().to_string().len().max(4);
    let mut serial = 0;
    for file in found {
        mine.push(selection.takes(&file.relative));
        entries.push(match classify(&file) {
            Ok(Some(sniffed)) => {
                serial += 1;
                let stem = match naming {
                    Naming::Stem => None,
                    Naming::Serial => Some(format!("{serial:0width$}").into()),
                };
                let output = output_name(&file.relative, &sniffed, *product, stem);
                Entry::Work(Item { input: file.input, output, is_clip: sniffed.is_clip() })
            }
            Ok(None) => Entry::Skipped { input: file.input, reason: LeftOut::NotMedia },
            Err(error) => Entry::Failed { error: error.at(&file.input), input: file.input },
        });
    }
    let mut entries: Vec<Entry> = entries.into_iter().map(with_short_name).collect();
    refuse_collisions(&entries)?;
    if !selection.is_partial() && !entries.iter().any(|e| matches!(e, Entry::Work(_) | Entry::Failed { .. })) {
        let first = inputs.first().map_or(Path::new("."), PathBuf::as_path);
        return Err(usage(first, "no photo or clip in here; name files or a folder that holds some"));
    }
    let mut mine = mine.into_iter();
    entries.retain(|_| mine.next() == Some(true));
    refuse_existing(entries, &sources, &out_full, *accept_existing)
}

/// The files to check: as [`collect`] walks them, but there are no outputs that could collide or be in the way. Files
/// in folders that are no media stay in the list, as [`Entry::Skipped`].
///
/// # Errors
/// `Usage` when there is nothing at all to check.
pub fn collect_checked(paths: &[PathBuf]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        // No folder contains this one.
        walk(path, Path::new(""), &mut found, &mut entries)?;
    }
    for file in found {
        entries.push(match classify(&file) {
            Ok(Some(sniffed)) => {
                Entry::Work(Item { input: file.input, output: file.relative, is_clip: sniffed.is_clip() })
            }
            Ok(None) => Entry::Skipped { input: file.input, reason: LeftOut::NotMedia },
            Err(error) => Entry::Failed { error: error.at(&file.input), input: file.input },
        });
    }
    if entries.is_empty() {
        let first = paths.first().map_or(Path::new("."), PathBuf::as_path);
        return Err(usage(first, "nothing to check in here"));
    }
    Ok(entries)
}

/// The same for plans: each names its source, or `source` does (a file, or a folder that holds the sources).
///
/// # Errors
/// As [`collect`].
pub fn collect_plans(plans: &[PathBuf], source: Option<&Path>, out_dir: &Path, overwrite: bool) -> Result<Vec<Entry>> {
    let out_full = absolute(out_dir)?;
    check_output_folder(out_dir, &out_full)?;
    let entries: Vec<Entry> = plans
        .iter()
        .map(|plan| match plan_item(plan, source) {
            Ok(item) => Entry::Work(item),
            Err(error) => Entry::Failed { input: plan.clone(), error: error.at(plan) },
        })
        .collect();
    refuse_collisions(&entries)?;
    let sources = entries.iter().filter_map(|entry| entry.input().canonicalize().ok()).collect();
    refuse_existing(entries, &sources, &out_full, overwrite)
}

fn plan_item(plan: &Path, source: Option<&Path>) -> Result<Item> {
    let header = super::plans::read_header(plan)?;
    let recorded = header.source_path.map(PathBuf::from);
    let input = match (source, &recorded) {
        (Some(folder), Some(recorded)) if folder.is_dir() => folder.join(recorded.file_name().unwrap_or_default()),
        (Some(file), _) => file.to_owned(),
        (None, Some(recorded)) => recorded.clone(),
        (None, None) => return Err(usage(plan, "does not say where its source is; name it with --source")),
    };
    if fs::symlink_metadata(&input).is_err() {
        // Its folder stays in the plan: reports get passed on.
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        let message = format!("its source {name} is not where it was when the plan was made; name it with --source");
        return Err(usage(plan, message));
    }
    let relative = input.file_name().map(PathBuf::from).unwrap_or_default();
    let found = Found { input: input.clone(), relative, named: true };
    let sniffed = classify(&found)?.unwrap_or(Sniffed::NotMedia);
    let output = output_name(&found.relative, &sniffed, Product::Media, None);
    Ok(Item { input, output, is_clip: sniffed.is_clip() })
}

/// Refuses an output folder that can't become one, before hours of work are spent on it.
fn check_output_folder(out_dir: &Path, out_full: &Path) -> Result<()> {
    match out_full.ancestors().find_map(|p| Some((p, fs::metadata(p).ok()?))) {
        Some((known, meta)) if !meta.is_dir() => {
            let message = format!("{} is no folder; choose another output folder with -o", known.display());
            Err(usage(out_dir, message))
        }
        _ => Ok(()),
    }
}

/// The full path without links and `..`; the end of it need not exist yet.
///
/// # Errors
/// `Usage` for an empty path.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let plain = std::path::absolute(path).map_err(|e| usage(path, "not a usable path").because(e))?;
    // Folders that do not exist yet are no links: `..` behind them can be taken away as it stands.
    let mut full = PathBuf::new();
    for part in plain.components() {
        match part {
            Component::ParentDir => {
                full = full.canonicalize().unwrap_or(full);
                full.pop();
            }
            part => full.push(part),
        }
    }
    let mut known = full.as_path();
    loop {
        if let Ok(real) = known.canonicalize() {
            let rest = full.strip_prefix(known).unwrap_or(Path::new(""));
            // An empty rest would add a slash, behind which no file is found.
            return Ok(real.components().chain(rest.components()).collect());
        }
        known = known.parent().ok_or_else(|| usage(path, "not a usable path"))?;
    }
}

fn walk(input: &Path, out_full: &Path, found: &mut Vec<Found>, entries: &mut Vec<Entry>) -> Result<()> {
    let fail = |entries: &mut Vec<Entry>, error: Error| entries.push(Entry::Failed { input: input.to_owned(), error });
    let meta = match fs::symlink_metadata(input) {
        Ok(meta) => meta,
        Err(e) => {
            fail(entries, usage(input, "cannot be read").because(e));
            return Ok(());
        }
    };
    let kind = meta.file_type();
    if kind.is_file() {
        let relative = input.file_name().map(PathBuf::from).unwrap_or_default();
        found.push(Found { input: input.to_owned(), relative, named: true });
    } else if kind.is_dir() {
        let real = input.canonicalize().map_err(|e| usage(input, "cannot be read").because(e))?;
        if out_full.starts_with(&real) {
            return Err(usage(out_full, "the output folder lies inside an input folder; choose another with -o"));
        }
        walk_folder(input, found, entries);
    } else {
        let what = if kind.is_symlink() { "a symbolic link" } else { "no regular file" };
        fail(entries, usage(input, format!("is {what}; name the file itself")));
    }
    Ok(())
}

fn walk_folder(root: &Path, found: &mut Vec<Found>, entries: &mut Vec<Entry>) {
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if entry.file_type().is_file() => {
                let relative = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
                found.push(Found { input: entry.into_path(), relative, named: false });
            }
            Ok(entry) => {
                entries.push(Entry::Skipped { input: entry.into_path(), reason: LeftOut::NotRegular });
            }
            Err(e) => {
                let path = e.path().unwrap_or(root).to_owned();
                let error = Error::new(Stage::Setup, ErrorKind::Io, "cannot be read").at(&path).because(e);
                entries.push(Entry::Failed { input: path, error });
            }
        }
    }
}

/// Opens a regular file for reading; a pipe or link that took its place since is refused.
pub fn open_source(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .map_err(|e| Error::new(Stage::Open, ErrorKind::Io, "cannot be opened").because(e).at(path))?;
    let meta =
        file.metadata().map_err(|e| Error::new(Stage::Open, ErrorKind::Io, "cannot be read").because(e).at(path))?;
    if !meta.is_file() {
        return Err(usage(path, "is no regular file"));
    }
    Ok(file)
}

/// `None`: no media, found in a folder.
fn classify(file: &Found) -> Result<Option<Sniffed>> {
    let source = open_source(&file.input)?;
    let empty = source.metadata().is_ok_and(|m| m.len() == 0);
    let sniffed = sniff(&source)?;
    let extension = file.relative.extension().map(|e| e.to_string_lossy().to_lowercase());
    let among = |list: &[&str]| extension.as_deref().is_some_and(|e| list.contains(&e));
    // Sound in a container that could hold a clip as well; beside the clip that it belongs to it would claim its name.
    let is_sound = !file.named && among(&SOUND_EXTENSIONS);
    if sniffed != Sniffed::NotMedia && !is_sound {
        return Ok(Some(sniffed));
    }
    // A file with a media name that is none is broken, not beside the point: it must not look as if all went well.
    if !file.named && !among(&MEDIA_EXTENSIONS) {
        return Ok(None);
    }
    let what = if empty { "is empty" } else { "is neither a photo nor a clip that is known here" };
    let kind = if file.named { ErrorKind::NotMedia } else { ErrorKind::Damaged };
    Err(Error::new(Stage::Open, kind, what))
}

/// Extensions whose bearer is expected to be media.
const MEDIA_EXTENSIONS: [&str; 31] = [
    "jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "heic", "heif", "avif", "mp4", "mov", "m4v", "mkv",
    "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts", "3gp", "flv", "wmv", "asf", "mxf", "ogv", "vob", "mjpeg",
    "mjpg",
];

/// Extensions of sound in containers of clips.
const SOUND_EXTENSIONS: [&str; 7] = ["m4a", "m4b", "m4p", "mka", "oga", "opus", "weba"];

fn output_name(relative: &Path, sniffed: &Sniffed, product: Product, stem: Option<OsString>) -> PathBuf {
    let extension = relative.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    // `..` can't occur below a walked root; drop it all the same, names come from outside.
    let folder: PathBuf = relative
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .filter(|c| matches!(c, Component::Normal(_)))
        .collect();
    // Numbers are there because names tell who, where and when; those of folders do so as well.
    let folder = if stem.is_some() { PathBuf::new() } else { folder };
    let mut name = match product {
        Product::Media => stem.or_else(|| relative.file_stem().map(OsString::from)).unwrap_or_default(),
        Product::Plan => stem.or_else(|| relative.file_name().map(OsString::from)).unwrap_or_default(),
    };
    name.push(".");
    // What is refused has no output; it keeps its name until the decoder says why.
    let usual = || sniffed.output_extension(&extension).unwrap_or(extension.clone());
    name.push(if product == Product::Plan { "plan.json".into() } else { usual() });
    folder.join(name)
}

/// Longest name of an output, bytes: file systems end at 255, and private files add to it (`.plan.12.json`).
const MAX_NAME_BYTES: usize = 255 - 15;

/// Fails an entry whose work could not be kept in the end.
fn with_short_name(entry: Entry) -> Entry {
    let Entry::Work(item) = entry else { return entry };
    let bytes = item.output.file_name().map_or(0, OsStr::len);
    if bytes <= MAX_NAME_BYTES {
        return Entry::Work(item);
    }
    let message =
        format!("its name makes one of {bytes} bytes, {MAX_NAME_BYTES} at most can be used; pass --names serial");
    Entry::Failed { error: usage(&item.input, message), input: item.input }
}

fn refuse_collisions(entries: &[Entry]) -> Result<()> {
    let mut taken: HashMap<OsString, &Path> = HashMap::new();
    for entry in entries {
        let Entry::Work(item) = entry else { continue };
        // Folded, because some file systems that results are copied to know no case.
        let key = item.output.to_str().map_or_else(|| item.output.clone().into(), |name| name.to_lowercase().into());
        if let Some(other) = taken.insert(key, &item.input) {
            let message = format!(
                "would have the same output ({}) as {}; redact them into two folders or pass --names serial",
                item.output.display(),
                other.display()
            );
            return Err(usage(&item.input, message));
        }
    }
    Ok(())
}

/// Fails entries whose output would replace a source of the batch or, unless existing ones are accepted, anything else.
fn refuse_existing(
    entries: Vec<Entry>,
    sources: &HashSet<PathBuf>,
    out_full: &Path,
    accept_existing: bool,
) -> Result<Vec<Entry>> {
    let checked = |entry| {
        let Entry::Work(item) = entry else { return Ok(entry) };
        let target = out_full.join(&item.output);
        // A folder below may be a link to where the sources are.
        let error = if sources.contains(&absolute(&target)?) {
            usage(&target, "the output would replace a source; choose another output folder with -o")
        } else if !accept_existing && fs::symlink_metadata(&target).is_ok() {
            super::commit::exists(&target)
        } else {
            return Ok(Entry::Work(item));
        };
        Ok(Entry::Failed { input: item.input, error })
    };
    entries.into_iter().map(checked).collect()
}

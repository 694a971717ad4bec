//! The networks: where their weights lie, and the proof that they are the expected ones.
//!
//! Sources, licences and derivations are told in `models/README.md`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::engine::{Engine, Memory, Network, beside_program, find_library, listed, named_by};
use super::turns::{InTurns, LargeRuns};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::plan::ModelUsed;

/// Environment variable with the folder of weights.
pub const MODELS_VARIABLE: &str = "WITHHOLD_MODELS";

/// A network of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Model {
    YuNet,
    CenterFace,
    BlazeFace,
    Seeta,
    TextSmall,
    TextTiny,
    MoveNet,
}

/// What is known of a network's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    pub model: Model,
    /// Short name for messages, plans and reports.
    pub name: &'static str,
    /// Path below the folder of weights.
    pub file: &'static str,
    /// Of the file, lower-case hex.
    pub sha256: &'static str,
    /// SPDX expression.
    pub licence: &'static str,
    pub purpose: &'static str,
}

/// Every network that this build knows.
pub const MODELS: [ModelInfo; 7] = [
    ModelInfo {
        model: Model::YuNet,
        name: "yunet",
        file: "yunet/yunet_dynamic.onnx",
        sha256: "dfba68e5984c0c2a607ad835e5ff83473fc96a7114c557c1b48b04eea85606ee",
        licence: "MIT",
        purpose: "faces, every frame; second opinion of check",
    },
    ModelInfo {
        model: Model::CenterFace,
        name: "centerface",
        file: "centerface/centerface_dynamic.onnx",
        sha256: "eaba53df743e94c5ec319d1bafab5e766d676e17305bb84c7f307c8354b2df39",
        licence: "MIT",
        purpose: "faces, photos and key frames",
    },
    ModelInfo {
        model: Model::BlazeFace,
        name: "blazeface",
        file: "blazeface/face_detection_full_range.onnx",
        sha256: "627d293015868b2e6b865d5129c243bc5a3f210c3293d96618d89a90d6c6e221",
        licence: "Apache-2.0",
        purpose: "faces, verification only",
    },
    ModelInfo {
        model: Model::Seeta,
        name: "seeta",
        file: "seeta/seeta_fd_frontal_v1.0.bin",
        sha256: "c4619d066ed35e84d9a8e842860b0dff567aba0cbb139881075538761db3ff5d",
        licence: "BSD-2-Clause",
        purpose: "faces, where asked for",
    },
    ModelInfo {
        model: Model::TextSmall,
        name: "ppocr-small",
        file: "ppocrv6/PP-OCRv6_small_det.onnx",
        sha256: "d73e0058b7a8086bbd57f3d10b8bcd4ff95363f67e06e2762b5e814fe9c9410e",
        licence: "Apache-2.0",
        purpose: "text, photos and key frames",
    },
    ModelInfo {
        model: Model::TextTiny,
        name: "ppocr-tiny",
        file: "ppocrv6/PP-OCRv6_tiny_det.onnx",
        sha256: "193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8",
        licence: "Apache-2.0",
        purpose: "text, frames of clips",
    },
    ModelInfo {
        model: Model::MoveNet,
        name: "movenet",
        file: "movenet/movenet_multipose_256_f32.onnx",
        sha256: "4c26b86e33ef9e511f691fb9cf29a1bb8d9e370c914317c6046e577987d87d5f",
        licence: "Apache-2.0",
        purpose: "people without a found face",
    },
];

impl Model {
    pub fn info(self) -> &'static ModelInfo {
        MODELS.iter().find(|m| m.model == self).expect("the table has every model")
    }

    /// As plans record it.
    pub fn used(self) -> ModelUsed {
        let info = self.info();
        ModelUsed { name: info.name.into(), sha256: info.sha256.into() }
    }
}

/// State of one file of weights, for `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStatus {
    pub info: &'static ModelInfo,
    pub path: PathBuf,
    /// Lower-case hex; `None` when the file cannot be read.
    pub found_sha256: Option<String>,
}

impl ModelStatus {
    pub fn is_ok(&self) -> bool {
        self.found_sha256.as_deref() == Some(self.info.sha256)
    }
}

/// The folder of weights with the engine that runs them. Files are read and checked once; sessions share the bytes.
pub struct Zoo {
    engine: Engine,
    folder: PathBuf,
    files: Mutex<HashMap<Model, Arc<[u8]>>>,
    large_runs: Arc<LargeRuns>,
}

impl Zoo {
    /// Finds the weights and loads the engine; `library` and `folder` as in [`super::engine::find_library`] and
    /// [`find_models`]. Of the networks that take much memory for large pictures, half as many run at a time as there
    /// are `threads`.
    pub fn open(library: Option<&Path>, folder: Option<&Path>, threads: usize) -> Result<Zoo> {
        let (folder, large_runs) = (find_models(folder)?, Arc::new(LargeRuns::new(threads / 2)));
        Ok(Zoo { engine: Engine::load(library)?, folder, files: Mutex::default(), large_runs })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the files of these networks once and for all: what [`Self::bytes`] reads later needs no path any more.
    /// For a process that is about to lose the right to open files.
    ///
    /// # Errors
    /// `Model` when one cannot be opened.
    pub fn hold_open(&self, models: &[Model]) -> Result<()> {
        let mut held = HELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for model in models {
            let path = self.folder.join(model.info().file);
            let file = File::open(&path).map_err(|e| unreadable(&path, model.info(), e))?;
            held.insert(path, file);
        }
        Ok(())
    }

    /// A session of its own on a network's weights.
    pub fn network(&self, model: Model) -> Result<Box<dyn Network>> {
        let bytes = self.bytes(model)?;
        // Text and people are looked for in few frames, and text alternates between two networks.
        let is_rare = matches!(model, Model::TextSmall | Model::TextTiny | Model::MoveNet);
        let memory = if is_rare { Memory::Returned } else { Memory::Kept };
        let network = self.engine.network(model.info().name, &bytes, memory);
        let network = network.map_err(|e| e.at(&self.folder.join(model.info().file)))?;
        Ok(match model {
            Model::CenterFace | Model::TextSmall | Model::TextTiny => {
                Box::new(InTurns { network, large_runs: Arc::clone(&self.large_runs) })
            }
            _ => network,
        })
    }

    /// The checked bytes of a file of weights. Errors: `Model` when it is missing or not the expected file.
    pub fn bytes(&self, model: Model) -> Result<Arc<[u8]>> {
        let mut files = self.files.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(bytes) = files.get(&model) {
            return Ok(bytes.clone());
        }
        let bytes: Arc<[u8]> = read_checked(&self.folder, model.info())?.into();
        files.insert(model, bytes.clone());
        Ok(bytes)
    }
}

/// An error unless the library is there and the folder has each of these networks as it must be. Loads nothing.
pub fn check(library: Option<&Path>, folder: Option<&Path>, models: &[Model]) -> Result<()> {
    find_library(library)?;
    let folder = find_models(folder)?;
    models.iter().try_for_each(|model| read_checked(&folder, model.info()).map(drop))
}

/// Files of weights that stay open for the life of the process, see [`Zoo::hold_open`].
static HELD: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());

fn unreadable(path: &Path, info: &ModelInfo, e: io::Error) -> Error {
    let message = format!("the weights of {} cannot be read; restore the file", info.name);
    Error::new(Stage::Infer, ErrorKind::Model, message).because(e).at(path)
}

/// Reads a file of weights and compares its hash.
fn read_checked(folder: &Path, info: &ModelInfo) -> Result<Vec<u8>> {
    let path = folder.join(info.file);
    let bytes = read(&path).map_err(|e| unreadable(&path, info, e))?;
    let found = sha256_hex(&bytes);
    if found != info.sha256 {
        let expected = info.sha256;
        let message =
            format!("the weights of {} have sha256 {found} instead of {expected}; restore the file", info.name);
        return Err(Error::new(Stage::Infer, ErrorKind::Model, message).at(&path));
    }
    Ok(bytes)
}

/// The whole file, through the descriptor that is held open if there is one.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let held = HELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(file) = held.get(path) else { return std::fs::read(path) };
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// State of every file of weights in `folder`. Reads them all.
pub fn list(folder: &Path) -> Vec<ModelStatus> {
    let status = |info: &'static ModelInfo| {
        let path = folder.join(info.file);
        let found_sha256 = std::fs::read(&path).ok().map(|bytes| sha256_hex(&bytes));
        ModelStatus { info, path, found_sha256 }
    };
    MODELS.iter().map(status).collect()
}

/// Folder of weights: `explicit`, else the variable [`MODELS_VARIABLE`], else `share/withhold/models` beside the
/// program's folder, else `models` two or three folders further up (programs that cargo builds).
pub fn find_models(explicit: Option<&Path>) -> Result<PathBuf> {
    let failed = |message: String| Error::new(Stage::Infer, ErrorKind::Model, message);
    if let Some(folder) = explicit.map(Path::to_owned).or_else(|| named_by(MODELS_VARIABLE)) {
        return if folder.is_dir() {
            Ok(folder)
        } else {
            Err(failed("the folder of network weights is not there".into()).at(&folder))
        };
    }
    let candidates = beside_program(&["../share/withhold", "../..", "../../.."], Path::new("models"));
    candidates.iter().find(|p| p.is_dir()).cloned().ok_or_else(|| {
        failed(format!(
            "the folder of network weights was not found (looked for {}); set {MODELS_VARIABLE} to it",
            listed(&candidates)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_well_formed() {
        for info in &MODELS {
            assert_eq!(info.model.info(), info);
            assert!(info.sha256.len() == 64 && info.sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{}", info.name);
            assert_eq!(MODELS.iter().filter(|m| m.name == info.name || m.file == info.file).count(), 1);
        }
    }

    #[test]
    fn a_missing_or_changed_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_checked(folder.path(), Model::YuNet.info()).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Model);
        assert!(missing.to_string().contains("yunet_dynamic.onnx"), "{missing}");
        std::fs::create_dir(folder.path().join("yunet")).unwrap();
        std::fs::write(folder.path().join("yunet/yunet_dynamic.onnx"), b"not a network").unwrap();
        let changed = read_checked(folder.path(), Model::YuNet.info()).unwrap_err();
        assert!(changed.to_string().contains("sha256"), "{changed}");
        assert!(list(folder.path()).iter().all(|s| !s.is_ok()));
        assert!(list(folder.path()).iter().any(|s| s.found_sha256.is_some()));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(find_models(Some(Path::new("/nonexistent/models"))).is_err());
    }

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), abc);
    }
}

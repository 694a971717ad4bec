//! ONNX Runtime, loaded from a library file that lies at a known absolute path.
//!
//! One environment a process; every network is a session of one thread, so that parallelism is the caller's: frames,
//! not operators. A missing or unfit library is an error here, never "nothing was detected" later.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session};

use super::arena;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::progress::beat;

/// File name of the library that a set-up puts beside the program.
pub const LIBRARY_FILE: &str = "libonnxruntime.so.1.23.2";

/// Environment variable with the absolute path of the library.
pub const LIBRARY_VARIABLE: &str = "WITHHOLD_ONNXRUNTIME";

/// Variable and value that a process which starts workers gives them: no build of the engine may send anything.
pub const NO_TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// A dense array of numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Tensor {
    /// Panics when `data` does not fill `shape`.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "a tensor's data must fill its shape");
        Self { shape, data }
    }
}

/// A network with one input. Unit tests put fakes behind it.
pub trait Network: Send {
    /// For messages.
    fn name(&self) -> &str;
    /// All outputs in the graph's order; an error unless every number is finite.
    fn run(&mut self, input: Tensor) -> Result<Vec<Tensor>>;
}

/// An error unless the outputs are `count` tensors of finite numbers.
pub fn checked(name: &str, outputs: Vec<Tensor>, count: usize) -> Result<Vec<Tensor>> {
    if outputs.len() != count {
        return Err(failed(format!("the network {name} gave {} outputs instead of {count}", outputs.len())));
    }
    if outputs.iter().any(|t| t.data.iter().any(|v| !v.is_finite())) {
        return Err(failed(format!("the network {name} gave a number that is not finite")));
    }
    Ok(outputs)
}

/// An error when an output has another shape than its decoder reads.
pub fn expect_shape(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
    if tensor.shape == shape && tensor.data.len() == shape.iter().product::<usize>() {
        return Ok(());
    }
    Err(failed(format!("the network {name} gave an output of shape {:?} instead of {shape:?}", tensor.shape)))
}

fn failed(message: String) -> Error {
    Error::new(Stage::Infer, ErrorKind::Model, message)
}

/// What becomes of a network's working memory, hundreds of megabytes for some, between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It waits for the next run.
    Kept,
    /// It is given back: slower by page faults, for networks that run rarely.
    Returned,
}

/// The loaded library. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    environment: Environment,
    library: PathBuf,
}

/// The process's engine: the runtime allows one environment, and it may never be released before its sessions.
static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);

impl Engine {
    /// Loads the library that [`find_library`] names, once a process.
    ///
    /// Errors: `Model` when none is found, it cannot be loaded or is of another version, or when another file than
    /// `explicit` was loaded before.
    pub fn load(explicit: Option<&Path>) -> Result<Engine> {
        let library = find_library(explicit)?;
        let mut loaded = ENGINE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(engine) = loaded.as_ref() {
            if engine.library != library {
                return Err(failed("another ONNX Runtime is already loaded in this process".into()).at(&library));
            }
            return Ok(engine.clone());
        }
        let unfit = |message: &str| failed(format!("{message}; install ONNX Runtime 1.23.2 with `make setup`"));
        let environment = ort::init_from(&library)
            .map_err(|e| unfit("the inference engine cannot be loaded").because(e).at(&library))?
            .with_telemetry(false)
            .build()
            .map_err(|e| unfit("the inference engine does not start").because(e).at(&library))?;
        arena::share(&environment)
            .map_err(|e| unfit("the inference engine cannot share its memory").because(e).at(&library))?;
        let engine = Engine { environment, library };
        *loaded = Some(engine.clone());
        Ok(engine)
    }

    /// The library file that was loaded.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Version and build of the loaded library, as it describes itself.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    /// A network from the bytes of an ONNX file; single-threaded.
    pub fn network(&self, name: &str, onnx: &[u8], memory: Memory) -> Result<Box<dyn Network>> {
        let session = self
            .session(onnx)
            .map_err(|e| failed(format!("the network {name} cannot be loaded by ONNX Runtime")).because(e))?;
        if session.inputs().len() != 1 {
            return Err(failed(format!("the network {name} has {} inputs instead of one", session.inputs().len())));
        }
        let options = run_options(memory)
            .map_err(|e| failed(format!("the network {name} cannot be set up by ONNX Runtime")).because(e))?;
        Ok(Box::new(OnnxNetwork { name: name.to_owned(), session, options }))
    }

    fn session(&self, onnx: &[u8]) -> ort::Result<Session> {
        Session::builder(&self.environment)?
            .with_intra_threads(1)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            // Input sizes change from picture to picture: a memory plan for each size would only pile up.
            .with_memory_pattern(false)?
            .with_env_allocators()?
            .commit_from_memory(onnx)
    }
}

fn run_options(memory: Memory) -> ort::Result<RunOptions> {
    let mut options = RunOptions::new()?;
    if memory == Memory::Returned {
        options.set("memory.enable_memory_arena_shrinkage", "cpu:0")?;
    }
    Ok(options)
}

struct OnnxNetwork {
    name: String,
    session: Session,
    options: RunOptions,
}

impl OnnxNetwork {
    fn outputs(&mut self, input: Tensor) -> ort::Result<Vec<Tensor>> {
        let input = ort::value::Tensor::from_array((input.shape, input.data))?;
        let outputs = self.session.run_with_options(ort::inputs![input], &self.options)?;
        let mut tensors = Vec::with_capacity(outputs.len());
        for (_, value) in outputs.iter() {
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            let shape = shape.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
            tensors.push(Tensor { shape, data: data.to_vec() });
        }
        Ok(tensors)
    }
}

impl Network for OnnxNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&mut self, input: Tensor) -> Result<Vec<Tensor>> {
        let shape = input.shape.clone();
        let outputs = self.outputs(input).map_err(|e| {
            failed(format!("the network {} failed on an input of shape {shape:?}", self.name)).because(e)
        })?;
        beat();
        let count = outputs.len();
        checked(&self.name, outputs, count)
    }
}

/// Absolute path of the library: `explicit`, else the variable [`LIBRARY_VARIABLE`], else `lib/withhold/` beside the
/// folder of the program or one further up (programs that cargo builds for tests lie deeper).
pub fn find_library(explicit: Option<&Path>) -> Result<PathBuf> {
    let named = explicit.map(Path::to_owned).or_else(|| named_by(LIBRARY_VARIABLE));
    if let Some(path) = named {
        return if !path.is_absolute() {
            Err(failed("the path of ONNX Runtime must be absolute".into()).at(&path))
        } else if path.is_file() {
            Ok(path)
        } else {
            Err(failed("ONNX Runtime is not there; install it with `make setup`".into()).at(&path))
        };
    }
    let tail = Path::new("lib/withhold").join(LIBRARY_FILE);
    let candidates = beside_program(&["..", "../.."], &tail);
    candidates.iter().find(|p| p.is_file()).cloned().ok_or_else(|| {
        failed(format!(
            "ONNX Runtime was not found (looked for {}); run `make setup`, or unpack the PyPI wheel onnxruntime \
             1.23.2 and set {LIBRARY_VARIABLE} to the absolute path of its {LIBRARY_FILE}",
            listed(&candidates)
        ))
    })
}

/// Value of an environment variable as a path; an empty one counts as unset.
pub(super) fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// `tail` below folders that are given relative to the program's own.
pub(super) fn beside_program(folders: &[&str], tail: &Path) -> Vec<PathBuf> {
    let program = env::current_exe().and_then(|p| p.canonicalize());
    let Some(home) = program.ok().and_then(|p| p.parent().map(Path::to_owned)) else { return Vec::new() };
    let up = |folder: &str| {
        let climbs = folder.split('/').filter(|part| *part == "..").count();
        let base = home.ancestors().nth(climbs)?;
        let rest: PathBuf = folder.split('/').filter(|part| *part != "..").collect();
        Some(base.join(rest).join(tail))
    };
    folders.iter().filter_map(|folder| up(folder)).collect()
}

pub(super) fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_library_must_be_absolute_and_present() {
        for path in ["libonnxruntime.so", "/nonexistent/libonnxruntime.so"] {
            let error = find_library(Some(Path::new(path))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().starts_with(path), "{error}");
        }
    }

    #[test]
    fn outputs_are_refused_unless_finite_and_complete() {
        let good = Tensor::new(vec![2], vec![0.0, 1.0]);
        assert!(checked("n", vec![good.clone()], 1).is_ok());
        assert!(checked("n", vec![good.clone()], 2).is_err());
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(checked("n", vec![good.clone(), Tensor::new(vec![1], vec![bad])], 2).is_err());
        }
        assert!(expect_shape("n", &good, &[2]).is_ok());
        assert!(expect_shape("n", &good, &[1, 2]).is_err());
    }

    #[test]
    fn paths_beside_the_program_climb_without_dots() {
        for path in beside_program(&["..", "../../share"], Path::new("x")) {
            assert!(path.is_absolute() && !path.components().any(|c| c.as_os_str() == ".."), "{}", path.display());
        }
    }
}

//! The detectors that the settings ask for, loaded from their weights.

use std::sync::{Arc, Mutex};

use super::settings::{FaceDetectorName, Settings, TextScope, Unseen, VerifyLevel};
use super::worker::Step;
use crate::detect::code::{CodeDetector, drop_paragraphs};
use crate::detect::document::{Document, Documents, documents};
use crate::detect::face::FaceNetwork;
use crate::detect::face::blazeface::BlazeFace;
use crate::detect::face::centerface::CenterFace;
use crate::detect::face::ensemble::{FaceDetector, Networks};
use crate::detect::face::seeta::Seeta;
use crate::detect::face::verify::{FaceVerifier, FinestTiles};
use crate::detect::face::yunet::YuNet;
use crate::detect::person::PersonDetector;
use crate::detect::text::{TextDetector, TextSettings};
use crate::error::Result;
use crate::infer::zoo::{self, Model, Zoo};
use crate::types::detection::{Class, Detection, Effort, Headings, Person};
use crate::types::frame::{MediaKind, Picture};
use crate::types::plan::ModelUsed;
use crate::types::stage::Detector;

/// Score from which a box of the reserved network counts at all; weaker ones are noise.
const VERIFIER_THRESHOLD: f32 = 0.5;

/// Smallest face that Seeta looks for, pixels: its own least.
const SEETA_LEAST_PX: f32 = 20.0;

/// Text is looked for in one frame of five only, and its networks hold some 300 MB each: threads share them.
const THREADS_PER_TEXT_DETECTOR: usize = 4;

/// What to look for in one picture, and how hard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    pub faces: Option<Effort>,
    pub text: Option<Effort>,
}

impl Ask {
    pub const THOROUGH: Ask = Ask { faces: Some(Effort::Thorough), text: Some(Effort::Thorough) };

    /// Everything, as hard as a picture of this kind is looked at.
    pub fn all_of(kind: MediaKind) -> Ask {
        let effort = if kind == MediaKind::Photo { Effort::Thorough } else { Effort::Key(Headings::ALL) };
        Ask { faces: Some(effort), text: Some(effort) }
    }
}

/// The runtime and the folder of weights that the settings name.
pub fn zoo(settings: &Settings) -> Result<Zoo> {
    Zoo::open(settings.runtime.as_deref(), settings.models.as_deref(), settings.inference_threads)
}

/// Detectors of one thread: for redaction or, with other networks, for verification.
pub struct Detectors {
    faces: Option<Box<dyn Detector>>,
    text: Option<Box<dyn Detector>>,
    codes: Option<CodeDetector>,
    documents: Documents,
    lines: TextScope,
    /// One for all threads: it is asked seldom.
    people: Option<Arc<Mutex<PersonDetector>>>,
}

impl Detectors {
    /// The detectors that redaction uses, one set for each thread.
    pub fn for_redaction(settings: &Settings, zoo: &Zoo, threads: usize) -> Result<Vec<Self>> {
        let mut sets = Vec::new();
        let mut text: Option<Shared> = None;
        let people = person_detector(settings, zoo)?.map(|d| Arc::new(Mutex::new(d)));
        for thread in 0..threads {
            if thread % THREADS_PER_TEXT_DETECTOR == 0 {
                text = text_detector(settings, zoo)?.map(Shared::new);
            }
            let faces = settings.targets.faces.then(|| face_detector(settings, zoo)).transpose()?;
            let text = text.as_ref().map(Shared::boxed);
            let codes = settings.targets.codes.then_some(CodeDetector);
            let (documents, lines) = (settings.targets.documents, settings.targets.lines);
            sets.push(Self { faces, text, codes, documents, lines, people: people.clone() });
        }
        Ok(sets)
    }

    /// The detectors that verification uses: for faces a network that redaction never sees. Where all frames are searched
    /// they are those of the gate: what was released shall pass there, too.
    pub fn for_verification(settings: &Settings, zoo: &Zoo) -> Result<Self> {
        Self::reserved(settings, zoo, searches_closely(settings), text_to_find_again(settings, zoo)?)
    }

    /// The same, one set for each thread.
    pub fn for_verification_threads(settings: &Settings, zoo: &Zoo, threads: usize) -> Result<Vec<Self>> {
        Self::reserved_threads(settings, zoo, searches_closely(settings), threads)
    }

    /// The detectors of the gate, one set for each thread.
    pub fn for_check(settings: &Settings, zoo: &Zoo, threads: usize) -> Result<Vec<Self>> {
        Self::reserved_threads(settings, zoo, true, threads)
    }

    fn reserved_threads(settings: &Settings, zoo: &Zoo, closely: bool, threads: usize) -> Result<Vec<Self>> {
        let text = text_to_find_again(settings, zoo)?.map(Shared::new);
        let set = |_| Self::reserved(settings, zoo, closely, text.as_ref().map(Shared::boxed));
        (0..threads).map(set).collect()
    }

    /// `closely`: for smaller faces, and with a second opinion: files of any origin are no test of what redaction finds,
    /// and of small faces in single frames the reserved network alone missed a fifth.
    fn reserved(settings: &Settings, zoo: &Zoo, closely: bool, text: Option<Box<dyn Detector>>) -> Result<Self> {
        let faces = settings.targets.faces.then(|| -> Result<Box<dyn Detector>> {
            let blazeface = Box::new(BlazeFace::new(zoo.network(Model::BlazeFace)?));
            let yunet = closely.then(|| zoo.network(Model::YuNet)).transpose()?;
            let second = yunet.map(|network| Box::new(YuNet::new(network)) as Box<dyn FaceNetwork>);
            let finest_tiles = if closely { FinestTiles::GATE } else { FinestTiles::USUAL };
            Ok(Box::new(FaceVerifier::new(blazeface, second, VERIFIER_THRESHOLD, finest_tiles)))
        });
        let faces = faces.transpose()?;
        // Codes and documents are shapes, which the same search would see the same way.
        Ok(Self { faces, text, codes: None, documents: Documents::Off, lines: TextScope::All, people: None })
    }

    /// One that looks for faces alone, by whatever stands in for the networks.
    #[cfg(test)]
    pub fn fake(faces: Box<dyn Detector>) -> Self {
        Self {
            faces: Some(faces),
            text: None,
            codes: None,
            documents: Documents::Off,
            lines: TextScope::All,
            people: None,
        }
    }

    /// Everything that is found, in display space.
    pub fn detect(&mut self, picture: &Picture, ask: Ask) -> Result<Vec<Detection>> {
        let mut found = self.faces(picture, ask.faces)?;
        found.extend(self.print(picture, ask.text)?);
        if ask.text.is_some() {
            self.relate(picture, &mut found)?;
        }
        Ok(found)
    }

    /// The faces in a picture, if they are asked for.
    pub fn faces(&mut self, picture: &Picture, effort: Option<Effort>) -> Result<Vec<Detection>> {
        match (&mut self.faces, effort) {
            (Some(faces), Some(effort)) => faces.detect(picture, effort),
            _ => Ok(Vec::new()),
        }
    }

    /// People by their poses, if they are asked for.
    pub fn people(&mut self, picture: &Picture) -> Result<Vec<Person>> {
        match &self.people {
            Some(people) => people.lock().unwrap_or_else(|e| e.into_inner()).people(picture),
            None => Ok(Vec::new()),
        }
    }

    /// Text and codes, if they are asked for.
    pub fn print(&mut self, picture: &Picture, effort: Option<Effort>) -> Result<Vec<Detection>> {
        let mut found = Vec::new();
        let Some(effort) = effort else { return Ok(found) };
        if let Some(text) = &mut self.text {
            found.extend(text.detect(picture, effort)?);
        }
        if let Some(codes) = &mut self.codes {
            found.extend(codes.detect(picture, effort)?);
        }
        Ok(found)
    }

    /// Settles what all that was found in a frame in which print was looked for makes together: no code is a paragraph,
    /// and a head among lines of text makes a document.
    pub fn relate(&self, picture: &Picture, found: &mut Vec<Detection>) -> Result<()> {
        drop_paragraphs(found);
        if self.text.is_some() && self.documents != Documents::Off {
            let documents = documents(picture, found)?;
            self.drop_lines(found, &documents);
            found.extend(self.documents.hidden(&documents));
        }
        Ok(())
    }

    /// Drops the text that may stay visible.
    fn drop_lines(&self, found: &mut Vec<Detection>, documents: &[Document]) {
        let is_hidden = |d: &Detection| match self.lines {
            TextScope::All => true,
            TextScope::Documents => documents.iter().any(|document| document.quad.contains(d.quad.center())),
            TextScope::None => false,
        };
        found.retain(|d| d.class != Class::Text || is_hidden(d));
    }
}

/// A detector that threads take turns with.
#[derive(Clone)]
struct Shared(Arc<Mutex<Box<dyn Detector>>>);

impl Shared {
    fn new(detector: Box<dyn Detector>) -> Self {
        Self(Arc::new(Mutex::new(detector)))
    }

    /// For one more thread.
    fn boxed(&self) -> Box<dyn Detector> {
        Box::new(self.clone())
    }
}

impl Detector for Shared {
    fn name(&self) -> &str {
        "shared"
    }

    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).detect(picture, effort)
    }
}

fn face_detector(settings: &Settings, zoo: &Zoo) -> Result<Box<dyn Detector>> {
    let mut networks = Networks::default();
    for name in &settings.face_detectors {
        match name {
            FaceDetectorName::Yunet => networks.yunet = Some(Box::new(YuNet::new(zoo.network(Model::YuNet)?))),
            FaceDetectorName::Centerface => {
                networks.centerface = Some(Box::new(CenterFace::new(zoo.network(Model::CenterFace)?)));
            }
            FaceDetectorName::Seeta => {
                networks.seeta = Some(Box::new(Seeta::new(&zoo.bytes(Model::Seeta)?, SEETA_LEAST_PX)?));
            }
        }
    }
    Ok(Box::new(FaceDetector::new(networks, settings.sensitivity)?))
}

fn person_detector(settings: &Settings, zoo: &Zoo) -> Result<Option<PersonDetector>> {
    if !wants_people(settings) {
        return Ok(None);
    }
    Ok(Some(PersonDetector::new(zoo.network(Model::MoveNet)?)))
}

fn wants_people(settings: &Settings) -> bool {
    settings.targets.faces && settings.unseen != Unseen::Off
}

fn text_detector(settings: &Settings, zoo: &Zoo) -> Result<Option<Box<dyn Detector>>> {
    if !settings.targets.text {
        return Ok(None);
    }
    let (small, tiny) = (zoo.network(Model::TextSmall)?, zoo.network(Model::TextTiny)?);
    Ok(Some(Box::new(TextDetector::new(small, tiny, TextSettings::default()))))
}

/// Where text may stay, seeing it again tells nothing.
fn text_to_find_again(settings: &Settings, zoo: &Zoo) -> Result<Option<Box<dyn Detector>>> {
    if settings.targets.lines == TextScope::All { text_detector(settings, zoo) } else { Ok(None) }
}

/// Loads the runtime and opens the weights that these steps of a worker need: nothing has to be opened later.
pub fn load(settings: &Settings, steps: &[Step]) -> Result<()> {
    let is_redaction = |step: &Step| matches!(step, Step::Analyze { .. });
    let mut models = Vec::new();
    if steps.iter().any(is_redaction) {
        models.extend(models_of(settings));
    }
    if !steps.iter().all(is_redaction) {
        models.extend(models_of_verification(settings, steps.iter().any(|step| matches!(step, Step::Check(_)))));
    }
    zoo(settings)?.hold_open(&models)
}

/// An error unless runtime and weights are there that redaction and verification need. Loads nothing.
pub fn check(settings: &Settings) -> Result<()> {
    let mut models = models_of(settings);
    models.extend(models_of_verification(settings, false));
    models.sort();
    models.dedup();
    zoo::check(settings.runtime.as_deref(), settings.models.as_deref(), &models)
}

/// The networks that take part in redaction under these settings, with their hashes.
pub fn models_used(settings: &Settings) -> Vec<ModelUsed> {
    models_of(settings).into_iter().map(Model::used).collect()
}

fn models_of(settings: &Settings) -> Vec<Model> {
    let mut models = Vec::new();
    if settings.targets.faces {
        models.extend(settings.face_detectors.iter().map(|name| match name {
            FaceDetectorName::Yunet => Model::YuNet,
            FaceDetectorName::Centerface => Model::CenterFace,
            FaceDetectorName::Seeta => Model::Seeta,
        }));
    }
    if settings.targets.text {
        models.extend([Model::TextSmall, Model::TextTiny]);
    }
    if wants_people(settings) {
        models.push(Model::MoveNet);
    }
    models
}

/// `is_check`: of the gate.
fn models_of_verification(settings: &Settings, is_check: bool) -> Vec<Model> {
    let mut models = Vec::new();
    if settings.targets.faces {
        models.push(Model::BlazeFace);
        models.extend((is_check || searches_closely(settings)).then_some(Model::YuNet));
    }
    if settings.targets.text {
        models.extend([Model::TextSmall, Model::TextTiny]);
    }
    models
}

/// Whether verification searches as the gate does.
fn searches_closely(settings: &Settings) -> bool {
    settings.verify == VerifyLevel::Full
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::testing;

    #[test]
    fn a_search_of_all_frames_asks_the_networks_of_the_gate() {
        let mut settings = testing::settings();
        settings.targets.faces = true;
        let gate = models_of_verification(&settings, true);
        assert!(gate.contains(&Model::YuNet));
        assert!(!models_of_verification(&settings, false).contains(&Model::YuNet));
        settings.verify = VerifyLevel::Full;
        assert_eq!(models_of_verification(&settings, false), gate);
    }
}

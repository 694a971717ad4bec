//! Proof that a finished file shows nothing that it must not.
//!
//! [`structure`] accounts for the bytes of the file, [`coverage`] proves masks and picture frame by frame, [`redetect`]
//! decides where to search again and what hits mean, [`outliers`] what they mean beside those of other frames, [`inpaint`]
//! takes the masks out before, [`reversible`] knows masks that may be undone by their look, [`moments`] and [`sheet`] show
//! a human what deserves a look. Nothing here decodes: the pipeline hands frames, coverages and detectors in.

pub mod coverage;
pub mod fills;
pub mod inpaint;
pub mod moments;
pub mod outliers;
pub mod redetect;
pub mod reversible;
pub mod sheet;
pub mod sidecar;
pub mod structure;

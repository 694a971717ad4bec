//! From tracks to the redaction plan, and the plan as a file.

pub mod build;
mod by_time;
pub mod captions;
pub mod edit;
pub mod file;
pub mod join;
pub mod policy;
mod rivals;
pub mod simplify;
#[cfg(test)]
pub mod testing;
pub mod unseen;

pub use build::RegionBuilder;
pub use edit::{Edits, KeepRegion, OperatorRegion, Reasoned};
pub use file::{PlanReader, PlanWriter};
pub use policy::{Acceptance, OnLost, PolicySettings};

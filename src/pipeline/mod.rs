//! The stages put together.
//!
//! [`batch`] settles which files and where to; [`run`] is the supervisor, which alone gives final names ([`commit`]); it
//! starts a worker process per pass and file ([`supervise`], [`worker`], [`work`]) that does [`analyze`], [`render`] or
//! [`verify`].

mod ahead;
pub mod analyze;
pub mod batch;
pub mod check;
mod clock;
pub mod commit;
mod contents;
mod detectors;
pub mod gate;
pub mod journal;
mod looking;
mod overlap;
mod plans;
pub mod render;
pub mod run;
pub mod sandbox;
mod sandbox_calls;
pub mod sandbox_probe;
mod scenes;
mod schedule;
mod search;
mod second_look;
pub mod select;
pub mod settings;
pub mod source;
mod spare;
pub mod supervise;
#[cfg(test)]
mod testing;
mod threads;
mod tone;
pub mod verify;
pub mod work;
pub mod worker;

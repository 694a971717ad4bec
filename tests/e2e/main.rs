//! The program as its users run it: real files in, real files out, judged by other tools.

mod archive;
mod audio;
mod bad_input;
mod captions;
mod check;
mod codes;
mod common;
mod damage;
mod documents;
mod faults;
mod flashes;
mod formats;
mod interference;
mod interrupt;
mod kept;
mod plans;
mod planted;
mod reports;
mod sandbox;
mod setup;
mod styles;

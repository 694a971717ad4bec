//! The program as its users run it: real files in, real files out, judged by other tools.

mod audio;
mod bad_input;
mod check;
mod codes;
mod common;
mod damage;
mod documents;
mod formats;
mod interference;
mod interrupt;
mod kept;
mod plans;
mod reports;
mod setup;
mod styles;

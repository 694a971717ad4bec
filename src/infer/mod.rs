//! The inference engine and the networks it runs.

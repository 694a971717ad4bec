//! Proof that a finished file shows nothing that it must not.

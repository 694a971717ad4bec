//! The stages put together.

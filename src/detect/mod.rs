//! Detectors: faces, text, documents, codes.

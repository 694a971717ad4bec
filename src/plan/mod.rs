//! From tracks to the redaction plan, and the plan as a file.

//! From the plan to hidden pixels.

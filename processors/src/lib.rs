//! Ready-made processor graphs.

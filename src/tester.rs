//! Runs a graph in memory: no broker, no runtime, no clock.

//! Roka as a contender of the benchmark workloads.

fn main() {}

//! What decoding allocates is bounded by what it was given, whatever lengths the bytes claim.
//!
//! A file of its own with one test: the counter is the process's allocator.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may panic for")]

use std::alloc::System;

use bytes::{BufMut, Bytes, BytesMut};
use roka_protocol::{
    Message, Request, Sampler,
    messages::{self, Visitor},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated per byte given, over the whole decoding and whether it succeeds or not. An empty
/// string is one byte on the wire and 24 in memory; a vector that grows is allocated twice over.
const PER_BYTE: usize = 128;
/// What small messages may allocate beyond that.
const SLACK: usize = 4096;

struct Measure {
    rng: fastrand::Rng,
    worst: f64,
    decodes: usize,
}

impl Measure {
    fn decode<M: Message>(&mut self, bytes: &Bytes, version: i16) {
        let region = Region::new(ALLOCATOR);
        let result = M::decode(bytes.clone(), version);
        let change = region.change();
        let allocated = change.bytes_allocated + change.bytes_reallocated.max(0) as usize;
        let bound = PER_BYTE * bytes.len() + SLACK;
        assert!(
            allocated <= bound,
            "{} v{version}: {allocated} bytes allocated for {} (bound {bound}), result {}",
            M::NAME,
            bytes.len(),
            result.is_ok(),
        );
        if bytes.len() > 100 {
            self.worst = self.worst.max(allocated as f64 / bytes.len() as f64);
        }
        self.decodes += 1;
    }

    fn message<M: Message>(&mut self, version: i16) {
        for seed in 0..20 {
            let value = M::sample(&mut Sampler::new(seed, version));
            let bytes = value.encode(version).unwrap();
            self.decode::<M>(&bytes, version);
            // Huge counts where a count may be, with little behind them and with much.
            let mut spoiled = BytesMut::from(&bytes[..]);
            if bytes.len() > 4 {
                let at = self.rng.usize(..bytes.len() - 4);
                let huge = [0x7f, 0xff, 0xff, 0xff, 0x07];
                let n = huge.len().min(bytes.len() - at);
                spoiled[at..at + n].copy_from_slice(&huge[..n]);
            }
            self.decode::<M>(&spoiled.clone().freeze(), version);
            spoiled.put_bytes(0, 5000);
            self.decode::<M>(&spoiled.freeze(), version);
        }
        // As many of the smallest items as there can be.
        for (first, fill) in [(0, 0), (0, 1), (0xff, 1), (0x7f, 0x7f), (0, 2)] {
            for len in [64, 1000, 20_000] {
                let mut bytes = vec![fill; len];
                bytes[0] = first;
                self.decode::<M>(&bytes.into(), version);
            }
        }
        let mut many = vec![0xfe, 0x3f];
        many.resize(10_000, 1);
        self.decode::<M>(&many.into(), version);
        self.claims::<M>(version);
    }
}

impl Measure {
    /// Wherever a count may be, one of 8,000 items, with as many bytes behind it that are none.
    fn claims<M: Message>(&mut self, version: i16) {
        let value = M::sample(&mut Sampler::new(1, version));
        let bytes = value.encode(version).unwrap();
        let claim: &[u8] = if version >= M::FLEXIBLE { &[0xc0, 0x3e] } else { &[0, 0, 0x1f, 0x40] };
        for at in 0..bytes.len().min(200) {
            let mut spoiled = bytes[..at].to_vec();
            spoiled.extend(claim);
            spoiled.resize(at + 8100, 0xff);
            self.decode::<M>(&spoiled.into(), version);
        }
    }
}

impl Visitor for Measure {
    fn request<R: Request>(&mut self, module: &'static str) {
        self.data::<R>(module);
        self.data::<R::Response>(module);
    }

    fn data<M: Message>(&mut self, _: &'static str) {
        for version in M::VERSIONS {
            self.message::<M>(version);
        }
    }
}

#[test]
fn decoding_allocates_in_proportion() {
    let mut measure = Measure { rng: fastrand::Rng::with_seed(6), worst: 0.0, decodes: 0 };
    messages::visit(&mut measure);
    assert!(measure.decodes > 10_000 && measure.worst > 1.0, "nothing was measured");
    println!(
        "allocation: {} decodes, at most {:.1} bytes per byte",
        measure.decodes, measure.worst
    );
}

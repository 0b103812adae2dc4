//! Every message in every version: back and forth, cut short, and spoiled at random.
//!
//! Nothing panics, whatever the bytes; and what can be read can be written, to the same bytes again.

use bytes::Bytes;
use roka_protocol::{
    ApiKey, Message, Request, RequestHeader, Sampler, frame,
    messages::{self, Visitor},
    records::{BatchBuilder, BatchOptions, Batches, ProducerFields, RecordError},
};

/// Does `check` for every message in every version.
struct Each<F>(F);

trait Check {
    fn message<M: Message>(&mut self, version: i16);
}

impl<F: Check> Visitor for Each<F> {
    fn request<R: Request>(&mut self, module: &'static str) {
        self.data::<R>(module);
        self.data::<R::Response>(module);
    }

    fn data<M: Message>(&mut self, _: &'static str) {
        for version in M::VERSIONS {
            self.0.message::<M>(version);
        }
    }
}

fn sample<M: Message>(seed: u64, version: i16) -> (M, Bytes) {
    let value = M::sample(&mut Sampler::new(seed, version));
    let bytes = value
        .encode(version)
        .unwrap_or_else(|error| panic!("v{version} seed {seed}: {error}\n{value:?}"));
    (value, bytes)
}

#[test]
fn what_is_written_is_read() {
    struct BackAndForth(usize);
    impl Check for BackAndForth {
        fn message<M: Message>(&mut self, version: i16) {
            for seed in 0..20 {
                let (value, bytes) = sample::<M>(seed, version);
                let back = M::decode(bytes, version);
                assert_eq!(back, Ok(value), "{} v{version} seed {seed}", M::NAME);
                self.0 += 1;
            }
        }
    }
    let mut each = Each(BackAndForth(0));
    messages::visit(&mut each);
    assert!(each.0.0 > 10_000, "only {} values", each.0.0);
}

#[test]
fn cut_at_every_byte() {
    struct Cut;
    impl Check for Cut {
        fn message<M: Message>(&mut self, version: i16) {
            for seed in 0..3 {
                let (_, bytes) = sample::<M>(seed, version);
                let len = bytes.len().min(2000);
                for cut in 0..len {
                    let error = M::decode(bytes.slice(..cut), version).map(|_| ());
                    // A message is never a prefix of itself: the last field needs its bytes.
                    let error = error.expect_err("the message was cut");
                    assert!(!error.message.is_empty(), "{} v{version} at {cut}", M::NAME);
                }
            }
        }
    }
    messages::visit(&mut Each(Cut));
}

/// Spoils a few bytes; often with the values that make lengths huge or negative.
fn spoil(bytes: &Bytes, rng: &mut fastrand::Rng) -> Bytes {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(..bytes.len().max(1));
        match rng.u8(..8) {
            0 if !bytes.is_empty() => bytes[at] = rng.u8(..),
            1 if !bytes.is_empty() => bytes[at] = 0xff,
            2 if !bytes.is_empty() => bytes[at] = 0x7f,
            3 if !bytes.is_empty() => bytes[at] ^= 1 << rng.u8(..8),
            4 => bytes.truncate(at),
            5 => bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
            6 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => bytes.insert(at, rng.u8(..)),
        }
    }
    bytes.into()
}

#[test]
fn spoiled_at_random() {
    struct Spoil(fastrand::Rng, usize);
    impl Check for Spoil {
        fn message<M: Message>(&mut self, version: i16) {
            for seed in 0..200 {
                let (_, bytes) = sample::<M>(seed, version);
                let spoiled = spoil(&bytes, &mut self.0);
                let Ok(value) = M::decode(spoiled, version) else { continue };
                let written = value.encode(version).unwrap_or_else(|error| {
                    panic!("{} v{version} seed {seed}: {error}\n{value:?}", M::NAME)
                });
                let again = M::decode(written.clone(), version).unwrap().encode(version).unwrap();
                assert_eq!(written, again, "{} v{version} seed {seed}", M::NAME);
                self.1 += 1;
            }
        }
    }
    let mut each = Each(Spoil(fastrand::Rng::with_seed(3), 0));
    messages::visit(&mut each);
    assert!(each.0.1 > 1000, "only {} spoiled messages could be read", each.0.1);
}

#[test]
fn noise() {
    struct Noise(fastrand::Rng);
    impl Check for Noise {
        fn message<M: Message>(&mut self, version: i16) {
            for _ in 0..100 {
                let len = self.0.usize(..200);
                let bytes: Bytes = (0..len).map(|_| self.0.u8(..)).collect();
                let _ = M::decode(bytes, version);
            }
        }
    }
    messages::visit(&mut Each(Noise(fastrand::Rng::with_seed(4))));
}

#[test]
fn unknown_tags_are_skipped() {
    struct Tags(usize);
    impl Check for Tags {
        fn message<M: Message>(&mut self, version: i16) {
            if version < M::FLEXIBLE {
                return;
            }
            // Nothing is tagged in a default, so it ends in a count of 0: make that two tags.
            let mut bytes = M::default().encode(version).unwrap().to_vec();
            assert_eq!(bytes.pop(), Some(0));
            bytes.extend([2, 0xe7, 0x07, 3, 1, 2, 3, 0xe8, 0x07, 0]);
            assert_eq!(M::decode(bytes.into(), version), Ok(M::default()), "{}", M::NAME);
            self.0 += 1;
        }
    }
    let mut each = Each(Tags(0));
    messages::visit(&mut each);
    assert!(each.0.0 > 100, "only {} flexible versions", each.0.0);
}

#[test]
fn headers_of_any_bytes() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..20_000 {
        let api = rng.i16(-1..100);
        let flexible = ApiKey::from_i16(api).and_then(ApiKey::first_flexible).is_some();
        let mut bytes = vec![0, api as u8, 0, rng.u8(..20), 0, 0, 0, 1, 0, 2, b'm', b'e'];
        if flexible {
            bytes.push(0);
        }
        let mut bytes = spoil(&bytes.into(), &mut rng);
        let _ = RequestHeader::decode(&mut bytes.clone());
        let _ = frame::correlation_id(&bytes);
        let version = rng.i16(0..14);
        let _ =
            frame::decode_response::<messages::metadata::MetadataRequest>(version, bytes.clone());
        bytes.truncate(rng.usize(..5));
        assert!(RequestHeader::decode(&mut bytes).is_err());
    }
}

#[test]
fn no_batch_leads_a_reader_back() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(0, None, Some(b"value"), []).unwrap();
    let batch = builder.build(ProducerFields::default()).unwrap();
    let mut spoiled = batch.to_vec();
    spoiled[23..27].copy_from_slice(&(-5i32).to_be_bytes());
    let error = Batches::new(spoiled.into()).next().unwrap().err();
    assert!(matches!(error, Some(RecordError::Corrupt { offset: 0, .. })), "{error:?}");
}

#![no_main]
//! Every message in every version: the first byte chooses the message, the second the version.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roka_protocol::{
    Message, Request,
    messages::{self, Visitor},
};

struct Choose<'a> {
    message: u8,
    version: u8,
    rest: &'a [u8],
    at: u8,
}

impl Choose<'_> {
    fn message<M: Message>(&mut self) {
        self.at += 1;
        if self.at - 1 != self.message {
            return;
        }
        let (low, high) = (*M::VERSIONS.start(), *M::VERSIONS.end());
        let version = low + i16::from(self.version) % (high - low + 1);
        let Ok(value) = M::decode(Bytes::copy_from_slice(self.rest), version) else { return };
        let written = value.encode(version).expect("what was read can be written");
        let again = M::decode(written.clone(), version).expect("what was written can be read");
        assert_eq!(again.encode(version).expect("and written again"), written);
    }
}

impl Visitor for Choose<'_> {
    fn request<R: Request>(&mut self, _: &'static str) {
        self.message::<R>();
        self.message::<R::Response>();
    }

    fn data<M: Message>(&mut self, _: &'static str) {
        self.message::<M>();
    }
}

fuzz_target!(|data: &[u8]| {
    if let [message, version, rest @ ..] = data {
        messages::visit(&mut Choose { message: message % 108, version: *version, rest, at: 0 });
    }
});

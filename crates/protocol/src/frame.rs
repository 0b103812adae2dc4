//! Messages as they travel: length, header, body.
//!
//! Header versions follow Kafka's rule: a flexible request has header 2 and a flexible response
//! header 1; others have 1 and 0. The response to `ApiVersions` always has header 0, because it must
//! be readable before anything is known about the broker (KIP-511).

use bytes::{Buf, Bytes};

use crate::{ApiKey, Error, Fault, Message, Reader, Request, Wire, Writer, writer::join};

/// A message with its header, ready to be sent: a 4-byte length, then the parts.
///
/// Large byte fields are parts of their own that share the memory of the message they came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    parts: Vec<Bytes>,
}

impl Frame {
    fn finish(mut body: Writer) -> Result<Self, Error> {
        let payload = body.len() - LENGTH;
        let prefix = i32::try_from(payload).map_err(|_| Fault::TooLong(payload))?;
        body.set_front(prefix.to_be_bytes());
        Ok(Self { parts: body.into_parts() })
    }

    /// The bytes on the wire, the length included.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether this is no message; none that was encoded is.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The parts in order, for a vectored write. The first begins with the length.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The parts in order, for a vectored write. The first begins with the length.
    pub fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    /// All in one piece; copies when there are several parts.
    pub fn into_bytes(self) -> Bytes {
        join(self.parts)
    }
}

/// The size of the length in front; the writers below leave room for it.
const LENGTH: usize = 4;

/// What precedes the body of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API, by number; see [`ApiKey`].
    pub api_key: i16,
    /// The version of the body.
    pub api_version: i16,
    /// What the response will repeat.
    pub correlation_id: i32,
    /// The client's name for logs and quotas.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Takes the header off the front of a request that came without its length. What is left is
    /// the body.
    ///
    /// The header of an API that Kafka 4.4 does not know is read as header 1.
    pub fn decode(buf: &mut Bytes) -> Result<Self, Error> {
        let mut r = Reader::new(std::mem::take(buf), 1, false);
        let header = Self::read(&mut r).map_err(|error| error.at("RequestHeader", ""))?;
        *buf = r.buf;
        Ok(header)
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        let header = Self {
            api_key: i16::read(r)?,
            api_version: i16::read(r)?,
            correlation_id: i32::read(r)?,
            // Never compact, so that every broker can read it.
            client_id: Option::read(r)?,
        };
        let first = ApiKey::from_i16(header.api_key).and_then(ApiKey::first_flexible);
        if first.is_some_and(|first| header.api_version >= first) {
            r.tags(|_, _| Ok(false))?;
        }
        Ok(header)
    }
}

/// A request as it is sent, its header included.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &R,
) -> Result<Frame, Error> {
    let mut w = Writer::new(version, false);
    let header = |w: &mut Writer| -> Result<(), Error> {
        0i32.write(w)?;
        R::KEY.write(w)?;
        version.write(w)?;
        correlation_id.write(w)?;
        w.short_length(client_id.map(str::len))?;
        w.buf().extend_from_slice(client_id.unwrap_or_default().as_bytes());
        if version >= R::FLEXIBLE {
            w.unsigned(0);
        }
        Ok(())
    };
    header(&mut w).map_err(|error| error.at("RequestHeader", ""))?;
    request.encode_into(&mut w)?;
    Frame::finish(w)
}

/// A response as it is sent, its header included. `api_key` is that of the request.
pub fn encode_response<M: Message>(
    api_key: i16,
    version: i16,
    correlation_id: i32,
    response: &M,
) -> Result<Frame, Error> {
    let mut w = Writer::new(version, false);
    0i32.write(&mut w)?;
    correlation_id.write(&mut w)?;
    if flexible_response::<M>(api_key, version) {
        w.unsigned(0);
    }
    response.encode_into(&mut w)?;
    Frame::finish(w)
}

/// The correlation id and the response, from a frame without its length.
pub fn decode_response<R: Request>(
    version: i16,
    frame: Bytes,
) -> Result<(i32, R::Response), Error> {
    let mut r = Reader::new(frame, version, false);
    let header = |r: &mut Reader| {
        let id = i32::read(r)?;
        if flexible_response::<R::Response>(R::KEY, version) {
            r.tags(|_, _| Ok(false))?;
        }
        Ok(id)
    };
    let id = header(&mut r).map_err(|error: Error| error.at("ResponseHeader", ""))?;
    Ok((id, R::Response::decode(r.buf, version)?))
}

/// The correlation id of a response, from a frame without its length, before its API is known.
pub fn correlation_id(mut frame: &[u8]) -> Result<i32, Error> {
    frame.try_get_i32().map_err(|_| Error::from(Fault::Truncated).at("ResponseHeader", ""))
}

fn flexible_response<M: Message>(api_key: i16, version: i16) -> bool {
    api_key != ApiKey::ApiVersions.key() && version >= M::FLEXIBLE
}

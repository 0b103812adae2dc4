//! One connection: requests in, responses out, in order.
//!
//! - Like Kafka, requests of one connection are carried out one after the other; what a client pipelines waits in
//!   the socket and in one read buffer of at most one request and a read.
//! - A request that waits ends when its client leaves.
//! - Responses are collected while further requests lie in the buffer and while handlers end at once; they are
//!   written before anything is waited for.
//! - Before clients have said who they are, and when that holds no longer, nothing else is taken, as in Kafka.
//! - A malformed request, or a version that this node does not speak, ends the connection, as in Kafka.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use roka_protocol::{ApiKey, RequestHeader};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};
use tracing::debug;

use super::outbox::Outbox;
use crate::{
    api::{self, Answer, RequestContext},
    node::Node,
    security::{Sasl, Stream},
    state::{Mode, lock},
};

/// Responses beyond this are written before more requests are carried out.
const OUTBOX_MAX: usize = 1 << 20;
const READ_BUFFER: usize = 64 << 10;
/// What is read while a request waits; more stays in the socket.
const READ_AHEAD: usize = READ_BUFFER;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves `stream` until the client leaves, the node stops or the connection is severed.
pub(super) async fn serve(node: Node, stream: TcpStream, peer: SocketAddr) {
    let _open = node.info().count_open();
    let mut mode = node.info().watch();
    let mut severed = node.info().watch_severed();
    severed.mark_unchanged();
    let ends = |mode: &Mode| matches!(mode, Mode::Stopped | Mode::Killed);
    let secured = tokio::select! {
        secured = secure(&node, stream) => secured,
        _ = mode.wait_for(ends) => return,
        _ = severed.changed() => return,
    };
    let mut stream = match secured {
        Ok(stream) => stream,
        Err(error) => return debug!(node = node.id(), %peer, %error, "no TLS"),
    };
    let ended = {
        let mut connection = Connection {
            hanging: node.info().watch(),
            node: node.clone(),
            peer,
            sasl: Arc::new(Mutex::new(Sasl::new(&node.shared.security))),
            stream: &mut stream,
            input: BytesMut::with_capacity(READ_BUFFER),
            out: Outbox::default(),
        };
        // Whatever is half done when the node ends is lost, as in a crash: that is the point.
        tokio::select! {
            ended = connection.run() => ended,
            _ = mode.wait_for(ends) => Ok(()),
            _ = severed.changed() => Ok(()),
        }
    };
    if let Err(error) = ended {
        debug!(node = node.id(), %peer, %error, "connection ended");
    }
    if node.info().mode() == Mode::Killed {
        // The client gets a reset, as from a process that died with unread data.
        let _ = stream.socket().set_zero_linger();
    }
}

/// With TLS, if that is what the cluster speaks.
async fn secure(node: &Node, stream: TcpStream) -> io::Result<Stream> {
    let Some(acceptor) = &node.shared.security.tls else { return Ok(Stream::Plain(stream)) };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    Ok(Stream::Tls(Box::new(handshake.await??)))
}

struct Connection<'a> {
    node: Node,
    peer: SocketAddr,
    sasl: Arc<Mutex<Sasl>>,
    stream: &'a mut Stream,
    hanging: watch::Receiver<Mode>,
    input: BytesMut,
    out: Outbox,
}

impl Connection<'_> {
    async fn run(&mut self) -> io::Result<()> {
        while let Some(request) = self.next_request().await? {
            self.not_hanging().await;
            self.answer(request).await?;
            if self.out.len() > OUTBOX_MAX {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    /// The next request without its length; `None` when the client has closed.
    async fn next_request(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(length) = self.input.first_chunk::<4>() {
                let length = i32::from_be_bytes(*length);
                let limit = self.node.shared.config.number("socket.request.max.bytes", i64::MAX);
                if length < 0 || i64::from(length) > limit {
                    return Err(invalid(format!("request of {length} bytes")));
                }
                let whole = 4 + length as usize;
                if self.input.len() >= whole {
                    let mut request = self.input.split_to(whole).freeze();
                    request.advance(4);
                    return Ok(Some(request));
                }
                // A length is a promise: memory follows what has come, doubling.
                let room = self.input.len().max(READ_BUFFER).min(whole - self.input.len());
                self.input.reserve(room);
            } else {
                self.input.reserve(READ_BUFFER);
            }
            self.flush().await?;
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn answer(&mut self, mut request: Bytes) -> io::Result<()> {
        if lock(&self.sasl).is_raw() {
            return self.answer_raw(&request);
        }
        let header = RequestHeader::decode(&mut request).map_err(invalid)?;
        let api = ApiKey::from_i16(header.api_key)
            .ok_or_else(|| invalid(format!("unknown api key {}", header.api_key)))?;
        if !lock(&self.sasl).admits(api) {
            return Err(invalid(format!("{api} before the client said who it is")));
        }
        self.node.info().count_request(header.api_key);
        let met = self.node.shared.faults.meet(self.node.id(), api);
        if met.swallow {
            return Ok(());
        }
        if let Some(delay) = met.delay {
            self.flush().await?;
            tokio::time::sleep(delay).await;
        }
        let context = RequestContext {
            api,
            version: header.api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            peer: self.peer,
            sasl: self.sasl.clone(),
            fail: met.fail,
        };
        let answer = self.carry_out(context, request).await?;
        if let Some(delay) = met.late {
            self.flush().await?;
            tokio::time::sleep(delay).await;
        }
        self.not_hanging().await;
        let Answer::Response(frame) = answer else {
            return if matches!(answer, Answer::Nothing) { Ok(()) } else { Err(invalid("closed")) };
        };
        if met.drop_response {
            return Ok(());
        }
        if let Some(bytes) = met.cut_after {
            let whole = frame.into_bytes();
            self.out.push([whole.slice(..bytes.min(whole.len()))]);
            self.flush().await?;
            return Err(io::Error::other("cut by a fault"));
        }
        if met.repeat {
            self.out.push(frame.parts().iter().cloned());
        }
        self.out.push(frame.into_parts());
        Ok(())
    }

    /// A message of a SASL mechanism without a header, as before Kafka 1.0: whoever is refused is cut off.
    fn answer_raw(&mut self, message: &[u8]) -> io::Result<()> {
        let passed = lock(&self.sasl).step(&self.node.shared.security, message).map_err(invalid)?;
        let length = passed.answer.len() as u32;
        self.out.push([length.to_be_bytes().to_vec().into(), passed.answer.into()]);
        Ok(())
    }

    /// Runs the handler; what is ready is written before it is waited for.
    async fn carry_out(&mut self, context: RequestContext, body: Bytes) -> io::Result<Answer> {
        let node = self.node.clone();
        let mut handler = pin!(api::dispatch(&node, context, body));
        let at_once = poll_fn(|cx| Poll::Ready(handler.as_mut().poll(cx))).await;
        let answer = match at_once {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                self.flush().await?;
                loop {
                    self.input.reserve(READ_AHEAD / 16);
                    // Reading into a buffer can be given up without loss.
                    tokio::select! {
                        biased;
                        answer = &mut handler => break answer,
                        read = self.stream.read_buf(&mut self.input), if self.input.len() < READ_AHEAD => {
                            if read? == 0 {
                                return Ok(Answer::Close);
                            }
                        }
                    }
                }
            }
        };
        answer.map_err(invalid)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.len() > 0 {
            self.not_hanging().await;
            self.stream.write_all_buf(&mut self.out).await?;
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Waits as long as the node hangs.
    async fn not_hanging(&mut self) {
        if *self.hanging.borrow() == Mode::Hanging {
            // An error means that the cluster is gone, and with it this task.
            let _ = self.hanging.wait_for(|mode| *mode != Mode::Hanging).await;
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

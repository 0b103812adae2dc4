//! How bytes reach a broker. TCP today; TLS and a simulated network are further implementations.
//!
//! A transport gives a stream or an error; it does not retry, back off or time out: its caller does.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::Address;

/// A connected stream of bytes in both directions.
///
/// Writes of a request go out by `poll_write_vectored`, so a stream that supports it saves a copy.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What [`Transport::connect`] gives: the stream, or why there is none.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Connects to addresses.
pub trait Transport: Send + Sync + 'static {
    /// Dials `address` once: resolves its name and tries each address found until one answers.
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a>;
}

/// Plain TCP with `TCP_NODELAY`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpTransport;

impl Transport for TcpTransport {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            // tokio resolves a literal without a lookup, and tries all addresses of a name.
            let stream = TcpStream::connect((address.host.as_ref(), address.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

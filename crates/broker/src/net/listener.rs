//! The listening socket of a node.
//!
//! A node keeps its port for as long as the cluster lives: a second socket stays bound to it without listening, so
//! that a stopped node refuses connections and nobody else takes the port before it starts again.

use std::{io, net::SocketAddr};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinSet,
};
use tracing::debug;

use super::connection;
use crate::{node::Node, state::Mode};

const BACKLOG: u32 = 1024;

/// A port that is kept.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _reserved: TcpSocket,
}

impl Port {
    /// Takes `address`; port 0 takes any that is free. To be called within a runtime.
    pub(crate) fn reserve(address: SocketAddr) -> io::Result<Self> {
        let socket = bind(address)?;
        Ok(Self { address: socket.local_addr()?, _reserved: socket })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on the port. To be called within a runtime.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        bind(self.address)?.listen(BACKLOG)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections until the node is stopped or `moved` to another address, and serves them until it is stopped;
/// returns when all of them have ended.
pub(crate) async fn serve(node: Node, listener: TcpListener, mut moved: watch::Receiver<u64>) {
    let mut mode = node.info().watch();
    let mut connections = JoinSet::new();
    loop {
        // Both branches can be dropped at any point without loss.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    node.info().count_connect();
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection::serve(node.clone(), stream, peer));
                }
                // Out of descriptors, or the client has gone already: others may still come.
                Err(error) => debug!(node = node.id(), %error, "accept failed"),
            },
            _ = mode.wait_for(|mode| matches!(mode, Mode::Stopped | Mode::Killed)) => break,
            _ = moved.changed() => break,
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

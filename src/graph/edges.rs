//! The declared edges. A handle is a place among them, and remembers whose place it is.

use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::codec::AnyCodec;

macro_rules! handle {
    ($($(#[$doc:meta])* $name:ident<$($p:ident),*>($marker:ty))*) => {$(
        $(#[$doc])*
        ///
        /// A handle is `Copy` and works in the graph that gave it out; in another it panics.
        pub struct $name<$($p),*> {
            pub(crate) handle: Handle,
            _types: PhantomData<$marker>,
        }

        impl<$($p),*> $name<$($p),*> {
            pub(super) fn new(handle: Handle) -> Self {
                Self { handle, _types: PhantomData }
            }
        }

        copy! { $name<$($p),*> }
    )*};
}

macro_rules! copy {
    ($name:ident<$($p:ident),*>) => {
        impl<$($p),*> Clone for $name<$($p),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($p),*> Copy for $name<$($p),*> {}

        impl<$($p),*> fmt::Debug for $name<$($p),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

handle! {
    /// Permission to emit to a stream.
    Output<K, V>(fn(K, V))
    /// Permission to read the row of a co-partitioned table under the message's key.
    Join<T>(fn() -> T)
    /// Permission to read any row of a fully replicated table.
    Lookup<K, T>(fn(K) -> T)
}

/// Permission to send a message to another key of the same group.
pub struct Loop<K, M>(pub(crate) Output<K, M>);

copy! { Loop<K, M> }

/// Every edge of a graph but its inputs.
pub(crate) struct Edges {
    graph: u32,
    kinds: [Vec<Edge>; 3],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Join,
    Lookup,
    Output,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Handle {
    graph: u32,
    pub(crate) place: usize,
}

/// Its codec is typed by the handle that was given out for it.
pub(crate) struct Edge {
    pub(crate) topic: String,
    /// Written by an error policy only; its messages are copies of the bytes that came in.
    pub(crate) dead_letter: bool,
    codec: Box<dyn Any + Send + Sync>,
}

impl Edges {
    pub(super) fn new() -> Self {
        static GRAPHS: AtomicU32 = AtomicU32::new(0);
        Self { graph: GRAPHS.fetch_add(1, Ordering::Relaxed), kinds: Default::default() }
    }

    pub(super) fn add<T: 'static>(
        &mut self,
        kind: Kind,
        topic: String,
        codec: AnyCodec<T>,
    ) -> Handle {
        self.push(kind, Edge { topic, dead_letter: false, codec: Box::new(codec) })
    }

    /// The place of the dead-letter output `topic`, added if need be.
    pub(super) fn dead_letter(&mut self, topic: String) -> usize {
        let outputs = self.of(Kind::Output);
        let known = outputs.iter().position(|edge| edge.dead_letter && edge.topic == topic);
        known.unwrap_or_else(|| {
            self.push(Kind::Output, Edge { topic, dead_letter: true, codec: Box::new(()) }).place
        })
    }

    fn push(&mut self, kind: Kind, edge: Edge) -> Handle {
        let edges = &mut self.kinds[kind as usize];
        edges.push(edge);
        Handle { graph: self.graph, place: edges.len() - 1 }
    }

    pub(crate) fn of(&self, kind: Kind) -> &[Edge] {
        &self.kinds[kind as usize]
    }

    /// # Panics
    ///
    /// If another graph gave out the handle. That is a mistake in the program, not in its input.
    pub(crate) fn at(&self, kind: Kind, handle: Handle) -> &Edge {
        assert_eq!(handle.graph, self.graph, "the edge belongs to another graph");
        &self.of(kind)[handle.place]
    }
}

impl Edge {
    pub(crate) fn codec<T: 'static>(&self) -> &AnyCodec<T> {
        self.codec.downcast_ref().expect("handles are typed as their edges")
    }
}

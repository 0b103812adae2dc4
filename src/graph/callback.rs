//! What runs on a message: the user's callback behind the decoding of its message.

use std::{future::Future, marker::PhantomData, pin::Pin};

use crate::{BoxError, Context, Key, Result, Stage, codec::AnyCodec};

/// The closed set of ways to process a message: the engine's loop matches on it, so the synchronous
/// path neither allocates nor yields.
pub(crate) enum Callback<K: Key, V: 'static> {
    Sync(Box<dyn SyncCallback<K, V>>),
    Async(Box<dyn AsyncCallback<K, V>>),
}

/// Why a callback did not succeed.
pub(crate) type Failure = (Stage, BoxError);
pub(crate) type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Whether a null payload is to be given to the codec as zero bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    Bytes(&'a [u8]),
    Null,
}

pub(crate) trait SyncCallback<K: Key, V: 'static>: Send + Sync {
    /// Whether the codec has a value of its own for a null payload.
    fn takes_null(&self) -> bool;
    fn call(&self, ctx: &mut Context<'_, K, V>, payload: Payload<'_>) -> Result<(), Failure>;
}

/// Object-safe face of `AsyncFn`. The future is not `Send`: it runs on its partition's thread.
pub(crate) trait AsyncCallback<K: Key, V: 'static>: Send + Sync {
    /// Whether the codec has a value of its own for a null payload.
    fn takes_null(&self) -> bool;
    fn call<'a>(
        &'a self,
        ctx: &'a mut Context<'_, K, V>,
        payload: Payload<'a>,
    ) -> LocalBoxFuture<'a, Result<(), Failure>>;
}

impl<K: Key, V: 'static> Callback<K, V> {
    pub(crate) fn takes_null(&self) -> bool {
        match self {
            Self::Sync(callback) => callback.takes_null(),
            Self::Async(callback) => callback.takes_null(),
        }
    }
}

pub(super) struct SyncDecoded<M: 'static, F> {
    codec: AnyCodec<M>,
    callback: F,
}

pub(super) struct AsyncDecoded<M: 'static, F> {
    codec: AnyCodec<M>,
    callback: F,
    _message: PhantomData<fn(M)>,
}

impl<M, F> SyncDecoded<M, F> {
    pub(super) fn new(codec: AnyCodec<M>, callback: F) -> Self {
        Self { codec, callback }
    }
}

impl<M, F> AsyncDecoded<M, F> {
    pub(super) fn new(codec: AnyCodec<M>, callback: F) -> Self {
        Self { codec, callback, _message: PhantomData }
    }
}

impl<K, V, M, F> SyncCallback<K, V> for SyncDecoded<M, F>
where
    K: Key,
    V: 'static,
    M: 'static,
    F: Fn(&mut Context<'_, K, V>, M) -> Result + Send + Sync,
{
    fn takes_null(&self) -> bool {
        self.codec.null().is_some()
    }

    fn call(&self, ctx: &mut Context<'_, K, V>, payload: Payload<'_>) -> Result<(), Failure> {
        let message = decode(&self.codec, payload)?;
        (self.callback)(ctx, message).map_err(|error| (Stage::Callback, error))
    }
}

impl<K, V, M, F> AsyncCallback<K, V> for AsyncDecoded<M, F>
where
    K: Key,
    V: 'static,
    M: 'static,
    F: AsyncFn(&mut Context<'_, K, V>, M) -> Result + Send + Sync,
{
    fn takes_null(&self) -> bool {
        self.codec.null().is_some()
    }

    fn call<'a>(
        &'a self,
        ctx: &'a mut Context<'_, K, V>,
        payload: Payload<'a>,
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let message = decode(&self.codec, payload)?;
            (self.callback)(ctx, message).await.map_err(|error| (Stage::Callback, error))
        })
    }
}

fn decode<M>(codec: &AnyCodec<M>, payload: Payload<'_>) -> Result<M, Failure> {
    let message = match payload {
        Payload::Bytes(bytes) => codec.decode(bytes),
        Payload::Null => match codec.null() {
            Some(message) => Ok(message),
            None => codec.decode(&[]),
        },
    };
    message.map_err(|error| (Stage::Value, error))
}

//! The task of one connection: a future that, whenever it is woken, writes what waits, reads what came
//! and looks at the clock. Nothing in it waits for one of these alone, so nothing is dropped half-done.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::frames::FrameReader;
use super::{Ended, InFlight, Shared};
use crate::Config;
use crate::security::SecurityError;
use crate::transport::Stream;

/// Parts given to one write; the system takes 1024 at most.
const SLICES: usize = 64;

pub(super) struct Io {
    stream: Box<dyn Stream>,
    shared: Arc<Shared>,
    reader: FrameReader,
    writing: VecDeque<Bytes>,
    written: u64,
    flushed: bool,
    idle: Duration,
    active: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Io {
    pub(super) fn new(stream: Box<dyn Stream>, shared: Arc<Shared>, config: &Config) -> Self {
        let now = Instant::now();
        Self {
            stream,
            shared,
            reader: FrameReader::new(config.read_buffer_bytes, config.frame_bytes_max),
            writing: VecDeque::new(),
            written: 0,
            flushed: true,
            idle: config.connections_max_idle,
            active: now,
            timer: Box::pin(tokio::time::sleep_until(now + config.connections_max_idle)),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.take(cx);
        match self.write(cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(lost(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if let Poll::Ready(ended) = self.read(cx) {
            return Poll::Ready(ended);
        }
        self.check_time(cx)
    }

    /// Takes what was started since the last turn.
    fn take(&mut self, cx: &Context<'_>) {
        let mut state = self.shared.lock();
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        self.writing.extend(state.outgoing.drain(..));
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.writing.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(&self.writing) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            let stream = Pin::new(&mut self.stream);
            let n = ready!(stream.poll_write_vectored(cx, &slices[..count]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.flushed = false;
            self.wrote(n);
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, mut n: usize) {
        self.written += n as u64;
        self.active = Instant::now();
        while let Some(part) = self.writing.front_mut().filter(|_| n > 0) {
            if n < part.len() {
                part.advance(n);
                break;
            }
            n -= part.len();
            self.writing.pop_front();
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let room = self.reader.room();
            match ready!(pin!(self.stream.read_buf(room)).poll(cx)) {
                Err(error) => return Poll::Ready(lost(&error)),
                Ok(0) => return Poll::Ready(Ended::Lost(self.end_of_stream().into())),
                Ok(_) => {}
            }
            loop {
                match self.reader.next() {
                    Ok(Some(frame)) => {
                        if let Err(problem) = self.answer(frame) {
                            return Poll::Ready(Ended::Lost(problem.into()));
                        }
                    }
                    Ok(None) => break,
                    Err(length) if length.is_tls() => {
                        return Poll::Ready(Ended::Distrusted(SecurityError::PlaintextToTls));
                    }
                    Err(length) => {
                        let problem =
                            format!("it sent a frame of {} bytes: no Kafka, or a limit", length.0);
                        return Poll::Ready(Ended::Lost(problem.into()));
                    }
                }
            }
        }
    }

    fn end_of_stream(&self) -> &'static str {
        if self.reader.at_boundary() { "end of stream" } else { "end of stream within a response" }
    }

    /// Gives the response to the oldest request; it must be its own.
    fn answer(&mut self, frame: Bytes) -> Result<(), String> {
        let mut state = self.shared.lock();
        let expected = state.in_flight.front().map(|it| it.correlation_id);
        // Raw bytes carry no number.
        if expected != Some(None) {
            let id = roka_protocol::frame::correlation_id(&frame).map_err(|it| it.to_string())?;
            let expected = expected.flatten();
            if expected != Some(id) {
                return Err(format!("it answered request {id}, expected was {expected:?}"));
            }
        }
        let Some(it) = state.in_flight.pop_front() else { return Ok(()) };
        if state.in_flight.is_empty() {
            self.active = Instant::now();
        }
        drop(state);
        // Who does not wait any more does not mind.
        let _ = it.reply.send(Ok(frame));
        Ok(())
    }

    /// Ends what is overdue or idle; else sees to it that the task wakes when something may be.
    fn check_time(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let mut state = self.shared.lock();
            if let Some(ended) = state.ending.take() {
                return Poll::Ready(ended);
            }
            if state.retiring && state.is_quiet() {
                return Poll::Ready(Ended::Retired);
            }
            let idle_at = self.active + self.idle;
            let fired = self.timer.is_elapsed() || self.timer.deadline() <= Instant::now();
            if fired {
                let now = Instant::now();
                state.earliest = state.in_flight.iter().map(|it| it.deadline).min();
                if state.earliest.is_some_and(|at| at <= now) {
                    let silent = state.in_flight.iter().find(|it| it.deadline <= now);
                    // The minimum came from one of them.
                    let api = silent.map_or(roka_protocol::ApiKey::ApiVersions, |it| it.api);
                    return Poll::Ready(Ended::Silent(api));
                }
                if state.is_quiet() && idle_at <= now {
                    return Poll::Ready(Ended::Idle);
                }
            }
            // An early timer costs one wake-up and is then set anew; only a late one must be moved.
            let wanted = state.earliest.unwrap_or(idle_at);
            drop(state);
            if fired || wanted < self.timer.deadline() {
                self.timer.as_mut().reset(wanted);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Fails everything in flight, in order.
    fn end(&mut self, ended: &Ended) {
        let mut state = self.shared.lock();
        state.ended = Some(ended.clone());
        state.outgoing.clear();
        state.waker = None;
        let in_flight = std::mem::take(&mut state.in_flight);
        let held = state.held.take().unwrap_or_default();
        drop(state);
        let held = held.into_iter().map(|held| (held.it, false));
        let in_flight = in_flight.into_iter().map(|it| {
            let sent = self.written > it.begin;
            (it, sent)
        });
        for (InFlight { api, timeout, reply, .. }, sent) in in_flight.chain(held) {
            let _ = reply.send(Err(ended.error(self.shared.node, api, sent, timeout)));
        }
    }
}

impl Future for Io {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let ended = ready!(self.turn(cx));
        self.end(&ended);
        Poll::Ready(ended)
    }
}

/// The task may be dropped with its runtime.
impl Drop for Io {
    fn drop(&mut self) {
        let ended = self.shared.lock().ended.is_some();
        if !ended {
            self.end(&Ended::Retired);
        }
    }
}

fn lost(error: &io::Error) -> Ended {
    if let Some(error) = crate::security::found_in(error) {
        return Ended::Distrusted(error);
    }
    Ended::Lost(error.to_string().into())
}

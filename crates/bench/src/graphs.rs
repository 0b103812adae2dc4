//! The graphs of the workloads.

use std::sync::Arc;

use bytes::Bytes;
use roka::{BigEndian, Group, GroupGraph, Raw, Stateless, Stream, Table};

use crate::options::Options;

/// Keys are bytes, not text: they are not looked at.
pub(crate) type Key = Bytes;

fn stream<M: 'static>(topic: &str) -> Stream<Key, M>
where
    Raw: roka::Codec<M>,
{
    Stream::named(topic, Arc::new(Raw))
}

fn group(options: &Options) -> Group<Key, u64> {
    Group::named(&options.group, Arc::new(BigEndian))
}

/// count: how many events each key has.
pub(crate) fn count(options: &Options) -> GroupGraph<Key, u64> {
    let mut graph = group(options).graph();
    graph.input(stream::<()>(&options.input), |ctx, ()| ctx.update(|count| *count += 1));
    graph
}

/// enrich: each event with the row of its key.
pub(crate) fn enrich(options: &Options) -> GroupGraph<Key, Stateless> {
    let mut graph = Group::<Key>::stateless("").renamed(&options.group).graph();
    let rows = graph.join(Table::<Key, Vec<u8>>::named(&options.table, Arc::new(Raw)));
    let output = graph.output(stream::<Vec<u8>>(&options.output));
    graph.input(stream::<Vec<u8>>(&options.input), move |ctx, mut event| {
        let Some(row) = ctx.join(rows)? else { return ctx.fail("no row under this key") };
        event.push(b'|');
        event.extend_from_slice(&row);
        ctx.emit(output, ctx.key(), &event)
    });
    graph
}

/// latency and roll: counts, and says each count.
pub(crate) fn counted(options: &Options) -> GroupGraph<Key, u64> {
    let mut graph = group(options).graph();
    let output = graph.output(stream::<Vec<u8>>(&options.output));
    graph.input(stream::<Vec<u8>>(&options.input), move |ctx, mut event| {
        let count = ctx.update(|count| {
            *count += 1;
            *count
        })?;
        event.truncate(45);
        event.extend_from_slice(format!("\",\"count\":{count}}}").as_bytes());
        ctx.emit(output, ctx.key(), &event)
    });
    graph
}

/// recover: the rows are there, the input is empty.
pub(crate) fn rows(options: &Options) -> GroupGraph<Key, Vec<u8>> {
    let group: Group<Key, Vec<u8>> = Group::named(&options.group, Arc::new(Raw));
    let mut graph = group.graph();
    graph.input(stream::<()>(&options.input), |_, ()| Ok(()));
    graph
}

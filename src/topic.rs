//! The vocabulary of a topology: streams, tables and groups, declared once as constants.

use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    GroupGraph, Key, Result,
    codec::{AnyCodec, Codec, Json, Nullable, Text},
};

macro_rules! topic {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<K, V: 'static> {
            pub(crate) topic: Cow<'static, str>,
            pub(crate) codec: AnyCodec<V>,
            _key: PhantomData<fn() -> K>,
        }

        impl<K: Key, V> $name<K, V> {
            /// Values are JSON.
            pub const fn json(topic: &'static str) -> Self
            where
                V: Serialize + DeserializeOwned,
            {
                Self::of(topic, &Json)
            }

            /// Values are encoded by `codec`.
            pub const fn of(topic: &'static str, codec: &'static dyn Codec<V>) -> Self {
                Self { topic: Cow::Borrowed(topic), codec: AnyCodec::Static(codec), _key: PhantomData }
            }

            /// As [`of`](Self::of), with a name and a codec known only at run time.
            pub fn named(topic: impl Into<String>, codec: Arc<dyn Codec<V>>) -> Self {
                Self { topic: Cow::Owned(topic.into()), codec: AnyCodec::Shared(codec), _key: PhantomData }
            }

            /// The same values and codec under another topic name.
            #[must_use]
            pub fn renamed(self, topic: impl Into<String>) -> Self {
                Self { topic: Cow::Owned(topic.into()), ..self }
            }

            /// The topic's name.
            pub fn topic(&self) -> &str {
                &self.topic
            }
        }

        impl<K: Key> $name<K, String> {
            /// Values are UTF-8 text.
            pub const fn text(topic: &'static str) -> Self {
                Self::of(topic, &Text)
            }
        }

        impl<K, V> Clone for $name<K, V> {
            fn clone(&self) -> Self {
                Self { topic: self.topic.clone(), codec: self.codec.clone(), _key: PhantomData }
            }
        }

        impl<K, V> fmt::Debug for $name<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.topic).finish()
            }
        }
    };
}

topic! {
    /// A topic of events (`cleanup.policy=delete`).
    Stream
}
topic! {
    /// A topic of the latest value per key (`cleanup.policy=compact`).
    Table
}

impl<K: Key, V> Stream<K, V> {
    /// The same stream with null payloads as `None`, which plain inputs leave out.
    ///
    /// Goka's `NilProcess`. Emitting `None` to it writes a null payload.
    #[must_use]
    pub fn nullable(self) -> Stream<K, Option<V>> {
        let codec = AnyCodec::Shared(Arc::new(Nullable(self.codec)) as Arc<dyn Codec<Option<V>>>);
        Stream { topic: self.topic, codec, _key: PhantomData }
    }
}

/// A processor group: its name, its key, and what its table holds.
///
/// Everything that touches the group's table is derived from this one constant:
/// its graph, views on it, and joins by other groups.
///
/// The table's topic is `<name>-table`, the loop's `<name>-loop`, the consumer group `<name>`, as in
/// Goka.
pub struct Group<K, V: 'static = Stateless> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) codec: Option<AnyCodec<V>>,
    _key: PhantomData<fn() -> K>,
}

impl<K: Key, V: Stored> Group<K, V> {
    /// Table values are JSON.
    pub const fn json(name: &'static str) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        Self::of(name, &Json)
    }

    /// Table values are encoded by `codec`.
    pub const fn of(name: &'static str, codec: &'static dyn Codec<V>) -> Self {
        let codec = Some(AnyCodec::Static(codec));
        Self { name: Cow::Borrowed(name), codec, _key: PhantomData }
    }

    /// As [`of`](Self::of), with a name and a codec known only at run time.
    pub fn named(name: impl Into<String>, codec: Arc<dyn Codec<V>>) -> Self {
        let codec = Some(AnyCodec::Shared(codec));
        Self { name: Cow::Owned(name.into()), codec, _key: PhantomData }
    }

    /// The group's table, for views and for joins by other groups.
    pub fn table(&self) -> Table<K, V> {
        let topic = Cow::Owned(table_topic(&self.name));
        let codec = self.codec.clone().unwrap_or(AnyCodec::Static(&NoTable));
        Table { topic, codec, _key: PhantomData }
    }
}

impl<K: Key> Group<K> {
    /// A group without a table.
    pub const fn stateless(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), codec: None, _key: PhantomData }
    }
}

impl<K: Key, V: 'static> Group<K, V> {
    /// Starts the definition of the group's graph.
    pub fn graph(self) -> GroupGraph<K, V> {
        GroupGraph::new(self)
    }

    /// The group's name, which is also its consumer group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same group under another name.
    #[must_use]
    pub fn renamed(self, name: impl Into<String>) -> Self {
        Self { name: Cow::Owned(name.into()), ..self }
    }
}

impl<K, V> Clone for Group<K, V> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), codec: self.codec.clone(), _key: PhantomData }
    }
}

impl<K, V> fmt::Debug for Group<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.name).finish()
    }
}

pub(crate) fn table_topic(group: &str) -> String {
    format!("{group}-table")
}

pub(crate) fn loop_topic(group: &str) -> String {
    format!("{group}-loop")
}

/// The table value of a group that has no table. There is no value of this type.
#[derive(Debug)]
pub enum Stateless {}

/// Stands in where a codec is asked for but there is no table; cannot be reached through the API.
struct NoTable;

impl<V> Codec<V> for NoTable {
    fn encode(&self, _: &V, _: &mut Vec<u8>) -> Result {
        Err("this group has no table".into())
    }

    fn decode(&self, _: &[u8]) -> Result<V> {
        Err("this group has no table".into())
    }
}

/// A value kept in a group table: anything that can be cloned.
#[diagnostic::on_unimplemented(
    message = "this group has no table",
    label = "needs a group table",
    note = "declare the group as `Group<K, V>` with the table's value type instead of `Group::stateless`"
)]
pub trait Stored: Clone + 'static {}

impl<T: Clone + 'static> Stored for T {}

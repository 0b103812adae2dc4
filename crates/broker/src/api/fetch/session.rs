//! Fetch sessions (KIP-227): what a client asked for, remembered by the node it asks.
//!
//! - A session belongs to one node and ends with it. Its epoch rises with every request; a request out of turn is
//!   refused, and the client begins a new session.
//! - While a request works with a session it is out of the table: a request that is given up takes the session with it.
//! - When all slots are taken, the session that was not used for longest makes room.

use foldhash::HashMap;
use roka_protocol::{
    ErrorCode, Uuid,
    messages::fetch::{FetchRequest, PartitionData},
};

use super::Wanted;
use crate::{
    node::Node,
    state::{Topics, lock},
};

/// Epochs with a meaning of their own.
const NEW: i32 = 0;
const FINAL: i32 = -1;
const TOPIC_IDS_FROM: i16 = 13;

/// What the client was told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    high_watermark: i64,
    log_start: i64,
}

impl Wanted {
    /// Remembers what the client is told now; whether it is news.
    pub(super) fn note(&mut self, data: &PartitionData) -> bool {
        let now = Sent { high_watermark: data.high_watermark, log_start: data.log_start_offset };
        let failed = data.error_code != 0;
        let has_records = data.records.as_ref().is_some_and(|it| !it.is_empty());
        let diverges = data.diverging_epoch.end_offset >= 0;
        let elsewhere = data.preferred_read_replica >= 0;
        let news = failed || has_records || diverges || elsewhere || self.sent != Some(now);
        // After an error everything is news again.
        self.sent = (!failed).then_some(now);
        news
    }
}

/// One session between two requests.
#[derive(Debug)]
struct Session {
    /// What the next request must carry.
    epoch: i32,
    topic_ids: bool,
    wanted: Vec<Wanted>,
    used: u64,
}

/// The sessions of one node.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<i32, Session>,
    /// Counts requests, to know which session was not used for longest.
    uses: u64,
}

impl Sessions {
    /// Forgets all, as a node does that starts.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }

    fn put(&mut self, id: i32, session: Session, slots: usize) -> bool {
        if slots == 0 {
            return false;
        }
        if self.open.len() >= slots {
            let oldest = self.open.iter().min_by_key(|(_, it)| it.used).map(|(&id, _)| id);
            oldest.map(|id| self.open.remove(&id));
        }
        self.uses += 1;
        self.open.insert(id, Session { used: self.uses, ..session });
        true
    }
}

/// What a request works with: the partitions to read, and the session they belong to.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) wanted: Vec<Wanted>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing is remembered.
    Sessionless,
    /// A full request that opens a session.
    Opening { topic_ids: bool },
    /// One that goes on.
    Incremental { id: i32, next_epoch: i32, topic_ids: bool },
}

impl Context {
    pub(super) fn is_incremental(&self) -> bool {
        matches!(self.kind, Kind::Incremental { .. })
    }
}

/// What the request means: a session that it opens, goes on with or ends, or none.
pub(super) fn begin(
    node: &Node,
    version: i16,
    request: FetchRequest,
) -> Result<Context, ErrorCode> {
    let (id, epoch) = (request.session_id, request.session_epoch);
    let mut sessions = lock(&node.info().sessions);
    let topics = &node.shared.topics;
    let topic_ids = version >= TOPIC_IDS_FROM;
    if epoch == NEW || epoch == FINAL {
        sessions.open.remove(&id);
        let kind = if epoch == NEW { Kind::Opening { topic_ids } } else { Kind::Sessionless };
        let mut context = Context { wanted: Vec::new(), kind };
        add(&mut context.wanted, topics, request);
        return Ok(context);
    }
    let Some(session) = sessions.open.get(&id) else {
        return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    };
    if session.epoch != epoch {
        return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    }
    if session.topic_ids != topic_ids {
        return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
    }
    let Some(session) = sessions.open.remove(&id) else {
        return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    };
    drop(sessions);
    let next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
    let kind = Kind::Incremental { id, next_epoch, topic_ids };
    let mut context = Context { wanted: session.wanted, kind };
    update(&mut context.wanted, topics, request);
    Ok(context)
}

/// Remembers the session for the next request; gives its id for the response, 0 when nothing is remembered.
pub(super) fn end(node: &Node, context: Context) -> i32 {
    let slots = node.shared.config.number("max.incremental.fetch.session.cache.slots", 1000);
    let mut sessions = lock(&node.info().sessions);
    let (id, epoch, topic_ids) = match context.kind {
        Kind::Sessionless => return 0,
        Kind::Opening { topic_ids } => {
            let mut id = fastrand::i32(1..);
            while sessions.open.contains_key(&id) {
                id = fastrand::i32(1..);
            }
            (id, 1, topic_ids)
        }
        Kind::Incremental { id, next_epoch, topic_ids } => (id, next_epoch, topic_ids),
    };
    let session = Session { epoch, topic_ids, wanted: context.wanted, used: 0 };
    if sessions.put(id, session, slots.max(0) as usize) { id } else { 0 }
}

fn add(wanted: &mut Vec<Wanted>, topics: &Topics, request: FetchRequest) {
    for topic in request.topics {
        for asked in topic.partitions {
            wanted.push(Wanted::new(topics, topic.topic.clone(), topic.topic_id, asked));
        }
    }
}

/// Carries the changes of an incremental request over.
fn update(wanted: &mut Vec<Wanted>, topics: &Topics, request: FetchRequest) {
    // Clients name partitions in about the order in which they stand here: the search goes on where it ended.
    let mut hint = 0;
    for topic in request.topics {
        for asked in topic.partitions {
            match position(wanted, hint, topic.topic_id, &topic.topic, asked.partition) {
                Some(at) => {
                    hint = at + 1;
                    wanted[at].asked = asked;
                }
                None => {
                    wanted.push(Wanted::new(topics, topic.topic.clone(), topic.topic_id, asked));
                }
            }
        }
    }
    for topic in &request.forgotten_topics_data {
        for &partition in &topic.partitions {
            if let Some(at) = position(wanted, hint, topic.topic_id, &topic.topic, partition) {
                wanted.remove(at);
                hint = at;
            }
        }
    }
    for want in wanted {
        if want.partition.as_ref().is_none_or(|it| it.lock().deleted) {
            want.resolve(topics);
        }
    }
}

fn position(
    wanted: &[Wanted],
    hint: usize,
    topic_id: Uuid,
    topic: &str,
    partition: i32,
) -> Option<usize> {
    let is = |it: &Wanted| {
        it.asked.partition == partition && it.topic_id == topic_id && it.topic == topic
    };
    let (before, after) = wanted.split_at(hint.min(wanted.len()));
    let later = after.iter().position(is).map(|at| at + before.len());
    later.or_else(|| before.iter().position(is))
}

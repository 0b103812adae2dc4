//! Step 2b: a join. Drops what blocked users send, and sends the rest on to the recipients.
//!
//! Messages come in by sender, as the blocker's table is kept by user: the row that decides is in the partition at hand.

use roka::{Group, GroupGraph};
use serde::{Deserialize, Serialize};

use crate::{
    blocker::BLOCKER,
    message::{Message, RECEIVED, SENT},
    translator::{TRANSLATOR, translate},
};

pub const FILTER: Group<String, Tally> = Group::json("messaging-filter");

/// What became of a sender's messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub delivered: u64,
    pub dropped: u64,
    pub translated_words: u64,
}

pub fn graph() -> GroupGraph<String, Tally> {
    let mut graph = FILTER.graph();
    let blocked = graph.join(BLOCKER.table());
    let words = graph.lookup(TRANSLATOR.table());
    let received = graph.output(RECEIVED);
    graph.input(SENT, move |ctx, message| {
        if ctx.join(blocked)?.is_some() {
            return ctx.update(|tally| tally.dropped += 1);
        }
        let (text, translated) = translate(&message.text, |word| ctx.lookup(words, word))?;
        ctx.update(|tally| {
            tally.delivered += 1;
            tally.translated_words += translated;
        })?;
        let message = Message { text, ..message };
        ctx.emit(received, &message.to, &message)
    });
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    #[test]
    fn what_blocked_users_send_is_dropped() -> Result {
        let mut tester = Tester::new(graph())?;
        let message = Message::new("bob", "ann", "buy now");
        tester.send(&SENT, "bob", &message)?;
        tester.set(&BLOCKER.table(), "bob", &"spam".to_owned())?;
        tester.send(&SENT, "bob", &message)?;
        tester.send(&SENT, "ben", &Message::new("ben", "bob", "hi"))?;

        let delivered = tester.take(&RECEIVED)?;
        let to: Vec<_> = delivered.iter().map(|(to, message)| (&**to, &*message.text)).collect();
        assert_eq!(to, [("ann", "buy now"), ("bob", "hi")]);
        let tally = Tally { delivered: 1, dropped: 1, translated_words: 0 };
        assert_eq!(tester.value("bob")?, Some(tally));
        Ok(())
    }

    #[test]
    fn what_is_delivered_is_translated() -> Result {
        let mut tester = Tester::new(graph())?;
        tester.set(&TRANSLATOR.table(), "coffee", &"tea".to_owned())?;
        tester.send(&SENT, "ann", &Message::new("ann", "ben", "more coffee please"))?;
        let delivered = Message::new("ann", "ben", "more tea please");
        assert_eq!(tester.take(&RECEIVED)?, [("ben".to_owned(), delivered)]);
        assert_eq!(tester.value("ann")?.map(|tally| tally.translated_words), Some(1));
        Ok(())
    }
}

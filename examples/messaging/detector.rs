//! Step 4: a loop. Counts what each user sends and receives, and has those blocked who mostly send.
//!
//! A message comes in under its sender's key, and a callback changes the row of its own key only. So the message goes through
//! the loop to the recipient's key, where it is counted as received.

use roka::{Group, GroupGraph};
use serde::{Deserialize, Serialize};

use crate::message::{BLOCKS, Block, SENT};

pub const DETECTOR: Group<String, Counts> = Group::json("messaging-detector");

/// Nobody is judged by fewer messages.
const MESSAGES_MIN: u64 = 100;
/// Who has a larger part of their messages sent, in percent, is a spammer.
const SENT_PERCENT_MAX: u64 = 60;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    sent: u64,
    received: u64,
    /// The blocker was told, once is enough.
    reported: bool,
}

pub fn graph() -> GroupGraph<String, Counts> {
    let mut graph = DETECTOR.graph();
    let blocks = graph.output(BLOCKS);
    let receipts = graph.loopback::<()>();
    graph.input(SENT, move |ctx, message| {
        let spam = ctx.update(|counts| {
            counts.sent += 1;
            counts.report_spam()
        })?;
        if let Some(reason) = spam {
            ctx.emit(blocks, ctx.key(), &Block::On { reason })?;
        }
        ctx.loopback(receipts, &message.to, &())
    });
    graph.on_loop(receipts, |ctx, ()| ctx.update(|counts| counts.received += 1));
    graph
}

impl Counts {
    /// Why the user is a spammer, the first time that it shows.
    fn report_spam(&mut self) -> Option<String> {
        let all = self.sent + self.received;
        let spam = all >= MESSAGES_MIN && self.sent * 100 > all * SENT_PERCENT_MAX;
        if !spam || self.reported {
            return None;
        }
        self.reported = true;
        Some(format!("sent {} and received {}", self.sent, self.received))
    }
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;
    use crate::message::Message;

    fn send(tester: &mut Tester<String, Counts>, from: &str, to: &str, times: u64) -> Result {
        (0..times).try_for_each(|_| tester.send(&SENT, from, &Message::new(from, to, "hi")))
    }

    #[test]
    fn who_mostly_sends_is_blocked_once() -> Result {
        let mut tester = Tester::new(graph())?;
        send(&mut tester, "ann", "bob", 10)?;
        send(&mut tester, "bob", "ann", MESSAGES_MIN - 11)?;
        assert_eq!(tester.take(&BLOCKS)?, []);
        send(&mut tester, "bob", "ann", 20)?;
        let reason = "sent 90 and received 10".to_owned();
        assert_eq!(tester.take(&BLOCKS)?, [("bob".to_owned(), Block::On { reason })]);
        Ok(())
    }

    #[test]
    fn who_gets_answers_is_not() -> Result {
        let mut tester = Tester::new(graph())?;
        for _ in 0..MESSAGES_MIN {
            send(&mut tester, "ann", "ben", 1)?;
            send(&mut tester, "ben", "ann", 1)?;
        }
        assert_eq!(tester.take(&BLOCKS)?, []);
        let counts = Counts { sent: MESSAGES_MIN, received: MESSAGES_MIN, reported: false };
        assert_eq!(tester.value("ann")?, Some(counts));
        Ok(())
    }
}

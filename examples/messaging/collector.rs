//! Step 1: a group table. Keeps the last messages that each user received.

use std::collections::VecDeque;

use roka::{Group, GroupGraph};

use crate::message::{Message, RECEIVED};

pub const COLLECTOR: Group<String, Inbox> = Group::json("messaging-collector");

/// The newest message is the last.
pub type Inbox = VecDeque<Message>;

const KEPT: usize = 5;

pub fn graph() -> GroupGraph<String, Inbox> {
    let mut graph = COLLECTOR.graph();
    graph.input(RECEIVED, |ctx, message| {
        ctx.update(|inbox| {
            if inbox.len() == KEPT {
                inbox.pop_front();
            }
            inbox.push_back(message);
        })
    });
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    #[test]
    fn an_inbox_holds_the_last_five() -> Result {
        let mut tester = Tester::new(graph())?;
        for n in 0..7 {
            tester.send(&RECEIVED, "ann", &Message::new("ben", "ann", &n.to_string()))?;
        }
        let inbox = tester.value("ann")?.unwrap_or_default();
        let texts: Vec<_> = inbox.iter().map(|message| &*message.text).collect();
        assert_eq!(texts, ["2", "3", "4", "5", "6"]);
        assert_eq!(tester.value("ben")?, None);
        Ok(())
    }
}

//! Step 2a: a table for others. Knows who is blocked, and why; the filter joins it.

use roka::{Group, GroupGraph};

use crate::message::{BLOCKS, Block};

/// There is a row for each blocked user: the reason.
pub const BLOCKER: Group<String, String> = Group::json("messaging-blocker");

pub fn graph() -> GroupGraph<String, String> {
    let mut graph = BLOCKER.graph();
    graph.input(BLOCKS, |ctx, block| {
        match block {
            Block::On { reason } => ctx.put_value(reason)?,
            Block::Off => ctx.delete(),
        }
        Ok(())
    });
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    #[test]
    fn a_row_is_there_while_the_user_is_blocked() -> Result {
        let mut tester = Tester::new(graph())?;
        tester.send(&BLOCKS, "bob", &Block::On { reason: "spam".to_owned() })?;
        assert_eq!(tester.value("bob")?, Some("spam".to_owned()));
        tester.send(&BLOCKS, "bob", &Block::Off)?;
        assert_eq!(tester.value("bob")?, None);
        Ok(())
    }
}

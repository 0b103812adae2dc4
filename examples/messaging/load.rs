//! The users: who writes what to whom, at random.

use fastrand::Rng;

use crate::message::Message;

pub const USERS: [&str; 7] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];
pub const SPAMMER: &str = "bob";
/// Words, and what the translator is told to make of them.
pub const WORDS: [(&str, &str); 3] =
    [("coffee", "tea"), ("tonight", "tomorrow"), ("cheap", "overpriced")];

const SPAM: f32 = 0.3;
const TALK: [&str; 5] = [
    "coffee at nine ?",
    "are you coming tonight ?",
    "i am late, sorry",
    "what a nice day",
    "more coffee please",
];
const OFFERS: [&str; 2] = ["cheap pills", "cheap watches, only tonight"];

pub struct Load {
    random: Rng,
}

impl Load {
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    pub fn message(&mut self) -> Message {
        let spam = self.random.f32() < SPAM;
        let (from, texts) = if spam { (SPAMMER, &OFFERS[..]) } else { (self.user(), &TALK[..]) };
        let text = texts[self.random.usize(..texts.len())];
        Message::new(from, self.user(), text)
    }

    fn user(&mut self) -> &'static str {
        USERS[self.random.usize(..USERS.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_messages_and_another_does_not() {
        let messages = |seed| {
            let mut load = Load::new(seed);
            (0..50).map(|_| load.message()).collect::<Vec<_>>()
        };
        assert_eq!(messages(1), messages(1));
        assert_ne!(messages(1), messages(2));
    }
}

//! Step 3: a lookup. A table of what to write instead of a word; the filter looks up each word of a message.
//!
//! A message has many words and one key, so a join does not do: each filter holds the whole table.

use roka::{Group, GroupGraph, Result};

use crate::message::WORDS;

pub const TRANSLATOR: Group<String, String> = Group::json("messaging-translator");

pub fn graph() -> GroupGraph<String, String> {
    let mut graph = TRANSLATOR.graph();
    graph.input(WORDS, |ctx, instead| ctx.set_value(&instead));
    graph
}

/// The text with its known words replaced, and how many there were.
pub fn translate(
    text: &str,
    look_up: impl Fn(&str) -> Result<Option<String>>,
) -> Result<(String, u64)> {
    let mut translated = 0;
    let mut words = Vec::new();
    for word in text.split(' ') {
        let instead = look_up(word)?;
        translated += u64::from(instead.is_some());
        words.push(instead.unwrap_or_else(|| word.to_owned()));
    }
    Ok((words.join(" "), translated))
}

#[cfg(test)]
mod tests {
    use roka::Tester;

    use super::*;

    #[test]
    fn the_last_translation_of_a_word_holds() -> Result {
        let mut tester = Tester::new(graph())?;
        for instead in ["tea", "water"] {
            tester.send(&WORDS, "coffee", &instead.to_owned())?;
        }
        assert_eq!(tester.value("coffee")?, Some("water".to_owned()));
        Ok(())
    }

    #[test]
    fn only_known_words_are_replaced() -> Result {
        let look_up = |word: &str| Ok((word == "coffee").then(|| "tea".to_owned()));
        let (text, translated) = translate("coffee or no coffee", look_up)?;
        assert_eq!((&*text, translated), ("tea or no tea", 2));
        Ok(())
    }
}

//! Sends each message to one of several streams.

use roka::{Group, GroupGraph, Key, Stateless, Stream};

/// Sends each message of `input` to one of `outputs`, chosen by its place among them.
///
/// `choose` gets the key and the message; with `None` the message goes nowhere. A place beyond the
/// outputs is an error that names the message; the input's policy decides what follows.
pub fn router<K: Key, M: 'static>(
    input: Stream<K, M>,
    outputs: impl IntoIterator<Item = Stream<K, M>>,
    group: Group<K>,
    choose: impl Fn(&K::Ref, &M) -> Option<usize> + Send + Sync + 'static,
) -> GroupGraph<K, Stateless> {
    let mut graph = group.graph();
    let outputs: Vec<_> = outputs.into_iter().map(|output| graph.output(output)).collect();
    graph.input(input, move |ctx, message| {
        let Some(place) = choose(ctx.key(), &message) else { return Ok(()) };
        match outputs.get(place) {
            Some(output) => ctx.emit(*output, ctx.key(), &message),
            None => ctx.fail(format_args!("no output {place}: the router has {}", outputs.len())),
        }
    });
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    const INPUT: Stream<String, i64> = Stream::json("payments");
    const IN: Stream<String, i64> = Stream::json("incoming");
    const OUT: Stream<String, i64> = Stream::json("outgoing");
    const GROUP: Group<String> = Group::stateless("router");

    #[test]
    fn each_message_goes_where_it_belongs() -> Result {
        let graph = router(INPUT, [IN, OUT], GROUP, |_key, amount| match amount.signum() {
            1 => Some(0),
            -1 => Some(1),
            _ => None,
        });
        let mut tester = Tester::new(graph)?;
        for amount in [5, -3, 0] {
            tester.send(&INPUT, "ann", &amount)?;
        }
        assert_eq!(tester.take(&IN)?, [("ann".to_owned(), 5)]);
        assert_eq!(tester.take(&OUT)?, [("ann".to_owned(), -3)]);
        Ok(())
    }

    #[test]
    fn a_place_that_does_not_exist_is_an_error() -> Result {
        let graph = router(INPUT, [OUT], GROUP, |_, _| Some(1));
        let error = Tester::new(graph)?.send(&INPUT, "ann", &5).err().ok_or("it was accepted")?;
        assert!(error.to_string().ends_with("no output 1: the router has 1"), "{error}");
        Ok(())
    }
}

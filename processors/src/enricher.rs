//! Puts each message together with a row of a table: a stream–table join.

use roka::{Group, GroupGraph, Key, Stateless, Stream, Table};

/// Joins the messages of `input` with the rows of `table` under the same key.
///
/// `combine` gets the message and the row, if there is one, and says what goes to `output`; with
/// `None` nothing does. The input and the table must have the same number of partitions.
pub fn enricher<K: Key, M: 'static, R: 'static, O: 'static>(
    input: Stream<K, M>,
    table: Table<K, R>,
    output: Stream<K, O>,
    group: Group<K>,
    combine: impl Fn(M, Option<R>) -> Option<O> + Send + Sync + 'static,
) -> GroupGraph<K, Stateless> {
    let mut graph = group.graph();
    let table = graph.join(table);
    let output = graph.output(output);
    graph.input(input, move |ctx, message| match combine(message, ctx.join(table)?) {
        Some(enriched) => ctx.emit(output, ctx.key(), &enriched),
        None => Ok(()),
    });
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    const ORDERS: Stream<String, u32> = Stream::json("orders");
    const CITIES: Table<String, String> = Table::text("cities");
    const SHIPMENTS: Stream<String, String> = Stream::text("shipments");
    const GROUP: Group<String> = Group::stateless("shipping");

    #[test]
    fn a_message_meets_its_row_or_none() -> Result {
        let graph = enricher(ORDERS, CITIES, SHIPMENTS, GROUP, |amount, city| {
            city.map(|city| format!("{amount} to {city}"))
        });
        let mut tester = Tester::new(graph)?;
        tester.set(&CITIES, "ann", &"Oslo".to_owned())?;
        tester.send(&ORDERS, "ann", &3)?;
        tester.send(&ORDERS, "bob", &4)?;
        assert_eq!(tester.take(&SHIPMENTS)?, [("ann".to_owned(), "3 to Oslo".to_owned())]);
        Ok(())
    }
}

//! What a graph's types refuse, each as a program that must not compile. Beside those on
//! [`GroupGraph`](crate::GroupGraph) and [`Context`](crate::Context).
//!
//! The same program without the mistake compiles, so that these fail for the right reason:
//!
//! ```
//! # use roka::{Group, Stream, Table};
//! # const CLICKS: Stream<String, u32> = Stream::json("clicks");
//! # const ALERTS: Stream<String, String> = Stream::text("alerts");
//! # const BY_ID: Stream<u64, u32> = Stream::json("by-id");
//! # const PROFILES: Table<String, f64> = Table::json("profiles");
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! let alerts = graph.output(ALERTS);
//! let by_id = graph.output(BY_ID);
//! let joined = graph.join(PROFILES);
//! let looked_up = graph.lookup(PROFILES);
//! graph.input(CLICKS, move |ctx, n: u32| {
//!     ctx.emit(alerts, ctx.key(), &n.to_string())?;
//!     ctx.emit(by_id, &7, &n)?;
//!     ctx.join(joined)?;
//!     ctx.lookup(looked_up, "all")?;
//!     ctx.set_value(&u64::from(n))
//! });
//! ```
//!
//! A value of another type than the output's:
//!
//! ```compile_fail,E0308
//! # use roka::{Group, Stream};
//! # const CLICKS: Stream<String, u32> = Stream::json("clicks");
//! # const ALERTS: Stream<String, String> = Stream::text("alerts");
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! let alerts = graph.output(ALERTS);
//! graph.input(CLICKS, move |ctx, n| ctx.emit(alerts, ctx.key(), &n));
//! ```
//!
//! A key of another type than the output's:
//!
//! ```compile_fail,E0308
//! # use roka::{Group, Stream};
//! # const CLICKS: Stream<String, u32> = Stream::json("clicks");
//! # const BY_ID: Stream<u64, u32> = Stream::json("by-id");
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! let by_id = graph.output(BY_ID);
//! graph.input(CLICKS, move |ctx, n| ctx.emit(by_id, ctx.key(), &n));
//! ```
//!
//! A value of another type than the table's:
//!
//! ```compile_fail,E0308
//! # use roka::{Group, Stream};
//! # const CLICKS: Stream<String, u32> = Stream::json("clicks");
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! graph.input(CLICKS, |ctx, _| ctx.set_value(&"x"));
//! ```
//!
//! A lookup used as a join:
//!
//! ```compile_fail,E0308
//! # use roka::{Group, Stream, Table};
//! # const CLICKS: Stream<String, u32> = Stream::json("clicks");
//! # const PROFILES: Table<String, f64> = Table::json("profiles");
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! let profiles = graph.lookup(PROFILES);
//! graph.input(CLICKS, move |ctx, _| {
//!     ctx.join(profiles)?;
//!     Ok(())
//! });
//! ```
//!
//! A joined table with another key type than the group's:
//!
//! ```compile_fail,E0308
//! # use roka::{Group, Table};
//! # const BY_ID: Table<u64, f64> = Table::json("by-id");
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! graph.join(BY_ID);
//! ```
//!
//! A callback that expects other messages than the stream's:
//!
//! ```compile_fail,E0631
//! # use roka::{Context, Group, Result, Stream};
//! # const CLICKS: Stream<String, u32> = Stream::json("clicks");
//! fn on_text(_: &mut Context<'_, String, u64>, _: String) -> Result {
//!     Ok(())
//! }
//! let mut graph = Group::<String, u64>::json("counter").graph();
//! graph.input(CLICKS, on_text);
//! ```
//!
//! A view on a group that has no table:
//!
//! ```compile_fail,E0599
//! # use roka::Group;
//! Group::<String>::stateless("router").table();
//! ```

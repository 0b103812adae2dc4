//! When something that should be steady was not: what `emit` and `calls` print.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

/// Shorter pauses are not worth a line.
const SHORT: Duration = Duration::from_millis(50);

/// Turns instants into seconds since 1970, to be matched with what another program saw.
#[derive(Clone, Copy)]
pub(crate) struct Epoch(Instant, f64);

impl Epoch {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(Instant::now(), since.as_secs_f64())
    }

    fn of(self, at: Instant) -> f64 {
        self.1 + at.saturating_duration_since(self.0).as_secs_f64()
    }
}

/// Arrivals of what was due at known times.
pub(crate) struct Arrivals {
    epoch: Epoch,
    last: Option<Instant>,
    /// When it began and how long it took: times without any arrival.
    gaps: Vec<(f64, Duration)>,
    /// The longest time from due to arrival, by the second in which it was due.
    late: BTreeMap<u64, Duration>,
}

impl Arrivals {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, last: None, gaps: Vec::new(), late: BTreeMap::new() }
    }

    /// Something arrived that was due at that time.
    pub(crate) fn arrived(&mut self, due: Instant, now: Instant) {
        if let Some(last) = self.last.replace(now)
            && now - last > SHORT
        {
            self.gaps.push((self.epoch.of(last), now - last));
        }
        let late = now.saturating_duration_since(due);
        if late > SHORT {
            let most = self.late.entry(self.epoch.of(due) as u64).or_default();
            *most = late.max(*most);
        }
    }

    pub(crate) fn json(&self) -> Value {
        let ms = |took: &Duration| (took.as_secs_f64() * 1e4).round() / 10.0;
        let gaps: Vec<_> = self.gaps.iter().map(|(at, took)| json!([at, ms(took)])).collect();
        let late: Vec<_> = self.late.iter().map(|(at, took)| json!([at, ms(took)])).collect();
        json!({ "gaps": gaps, "late": late })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_where_nothing_came() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut arrivals = Arrivals::new(Epoch(start, 1000.0));
        for (due, now) in [(0, 1), (10, 11), (20, 220), (210, 221)] {
            arrivals.arrived(at(due), at(now));
        }
        let expected = json!({ "gaps": [[1000.011, 209.0]], "late": [[1000, 200.0]] });
        assert_eq!(arrivals.json(), expected);
    }
}

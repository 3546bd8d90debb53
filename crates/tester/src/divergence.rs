//! The first difference between two runs of one seed, and its text in a report.

use std::fmt;

use labstd::time::Duration;
use record::Event;

/// Reason why two runs of one seed differ.
const CAUSES: &str = "the code under test takes something from outside the simulation: it iterates over a HashMap or \
                      a HashSet of std, or it uses std::time::Instant::now, a thread, a lock or a channel of std, or \
                      rand::rng(); docs/simulation.md names the replacements";

/// First difference between two runs of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Seed of both runs.
    pub seed: u64,
    /// Result of the second run, in a few words.
    pub second_run: String,
    /// First events that differ.
    pub point: DivergencePoint,
}

/// First events that differ between two streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivergencePoint {
    /// Number of the event in both streams; the first event of a stream is number 1.
    pub number: u64,
    /// The events before the difference, which both streams contain; at most three.
    pub before: Vec<Event>,
    /// The event of the first stream; `None` if that stream ends here.
    pub first: Option<Event>,
    /// The event of the second stream; `None` if that stream ends here.
    pub second: Option<Event>,
}

impl DivergencePoint {
    /// Returns the time of the difference on the clock of the runs; `None` if no differing event is known.
    pub fn at(&self) -> Option<Duration> {
        let at = [&self.first, &self.second].into_iter().flatten().map(|event| event.at).min()?;
        Some(Duration::from_nanos(at))
    }

    /// Formats the events, one per line; `first` and `second` label the events of the two streams.
    pub fn lines(&self, first: &str, second: &str) -> String {
        let width = first.len().max(second.len()).max("both".len()) + 1;
        let line = |label: &str, text: &str| format!("\n  {:width$} {text}", format!("{label}:"));
        let mut lines: String = self.before.iter().map(|event| line("both", &event.to_string())).collect();
        let [mut first_text, mut second_text] =
            [&self.first, &self.second].map(|event| event.as_ref().map_or("(ends)".to_string(), Event::to_string));
        if first_text == second_text {
            // The texts are equal, so the difference is in a part that the text omits, usually the digits of the time.
            [first_text, second_text] = [&self.first, &self.second].map(|event| match event {
                Some(event) => format!("{event} [{} ns, {:?}]", event.at, event.kind),
                None => String::new(),
            });
        }
        lines += &line(first, &first_text);
        lines += &line(second, &second_text);
        lines
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { seed, second_run, point } = self;
        write!(f, "NOT DETERMINISTIC: two runs of seed {seed} differ")?;
        match point.at() {
            Some(at) => write!(f, " from event {} on, at {:.4} s", point.number, at.as_secs_f64())?,
            None => write!(f, " in calls that the records omit")?,
        }
        write!(f, "; the second run {second_run}")?;
        if point.at().is_some() {
            write!(f, "{}", point.lines("first", "second"))?;
        }
        write!(f, "\n{CAUSES}")
    }
}

//! A colour for each topic.

use record::Topic;

/// The sequence that ends what [`begin`] starts.
pub(super) const END: &str = "\x1b[0m";

/// Returns the sequence that switches to a topic's colour.
pub(super) fn begin(topic: Topic) -> String {
    let bold = if matches!(topic, Topic::Test | Topic::Fault | Topic::Failure) { "1;" } else { "" };
    format!("\x1b[{bold}38;5;{}m", color(topic))
}

/// Returns the topic's number in the palette of 256 colours. Terminals do not redefine these colours, as they do the
/// first sixteen. Each has a contrast of at least 3.5 to black and to white, and the most frequent topic is the least
/// bright.
const fn color(topic: Topic) -> u8 {
    match topic {
        Topic::Rpc => 243,
        Topic::Drop => 132,
        Topic::Vote => 135,
        Topic::Term => 130,
        Topic::Lead => 28,
        Topic::Log => 32,
        Topic::Commit => 30,
        Topic::Apply => 66,
        Topic::Snapshot => 100,
        Topic::Persist => 94,
        Topic::Fault => 166,
        Topic::Test => 102,
        Topic::Check => 64,
        Topic::Client => 63,
        Topic::Note => 163,
        Topic::Line => 95,
        Topic::Failure => 196,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Red, green and blue of a palette number, each from 0 to 255.
    fn rgb(number: u8) -> [f64; 3] {
        const STEPS: [f64; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
        assert!(number >= 16, "the first sixteen are what the terminal's user made of them");
        match usize::from(number) - 16 {
            place @ 0..216 => [STEPS[place / 36], STEPS[place / 6 % 6], STEPS[place % 6]],
            place => [8.0 + 10.0 * (place - 216) as f64; 3],
        }
    }

    /// The relative luminance, from 0 to 1 (WCAG 2.2).
    fn luminance(number: u8) -> f64 {
        let linear = rgb(number).map(|part| match part / 255.0 {
            part if part <= 0.04045 => part / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn every_colour_is_readable_on_black_and_on_white() {
        for topic in Topic::ALL {
            let luminance = luminance(color(topic));
            let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
            assert!(on_white >= 3.5 && on_black >= 3.5, "{topic}: {on_white:.2} on white, {on_black:.2} on black");
        }
    }

    #[test]
    fn every_topic_has_its_own_colour() {
        assert_eq!(BTreeSet::from(Topic::ALL.map(color)).len(), Topic::ALL.len());
    }
}

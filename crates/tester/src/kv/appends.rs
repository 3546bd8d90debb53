//! Check of a value to which clients append. Each client appends its own elements, `x CLIENT NUMBER y`, numbered from
//! 0. So the value shows whether each append took effect once, in its client's order, and that it contains nothing
//! else.

use diagnosis::Rule;

/// An error in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendError {
    /// Kind of the error.
    pub kind: AppendErrorKind,
    /// A sentence that describes it.
    pub text: String,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendErrorKind {
    /// An element occurs twice.
    Duplicated,
    /// An acknowledged element is missing.
    Missing,
    /// The last acknowledged elements of a client are missing: the value may be an old one.
    LastMissing,
    /// The elements of a client are in another order.
    OutOfOrder,
    /// The value contains something that no client has appended.
    NeverAppended,
}

impl AppendError {
    /// Returns the rules that may be broken, the most likely first.
    pub fn likely(&self) -> &'static [Rule] {
        match self.kind {
            AppendErrorKind::Duplicated => &[
                Rule::ExecuteOnce,
                Rule::DuplicateTableInSnapshot,
                Rule::CheckDuplicateAtApply,
                Rule::RetryKeepsNumber,
            ],
            AppendErrorKind::Missing => &[
                Rule::RestoreSnapshotOnStart,
                Rule::InstallResetsService,
                Rule::UniqueClientId,
                Rule::ReplyToOwnEntryOnly,
                Rule::ReadsNeedQuorum,
                Rule::RetryUntilReply,
            ],
            AppendErrorKind::LastMissing => &[
                Rule::ReadsNeedQuorum,
                Rule::UniqueClientId,
                Rule::RestoreSnapshotOnStart,
                Rule::ReplyToOwnEntryOnly,
                Rule::RetryUntilReply,
            ],
            AppendErrorKind::OutOfOrder => &[Rule::ExecuteOnce, Rule::ReplyToOwnEntryOnly],
            AppendErrorKind::NeverAppended => &[Rule::ReplyToOwnEntryOnly, Rule::ExecuteOnce],
        }
    }
}

/// Returns the element `number` of a client.
pub fn element(client: u32, number: u64) -> String {
    // Same result as `format!` at a quarter of the cost; it runs for every append.
    let mut element = String::with_capacity(32);
    element.push_str("x ");
    push_decimal(&mut element, client.into());
    element.push(' ');
    push_decimal(&mut element, number);
    element.push_str(" y");
    element
}

fn push_decimal(text: &mut String, number: u64) {
    if number >= 10 {
        push_decimal(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// Checks a value to which each client in `counts` has appended its first so many elements, all of them acknowledged.
/// Each element must be there exactly once, the elements of one client in order, and nothing else.
///
/// # Errors
///
/// If the value contains an error.
pub fn check(value: &str, counts: &[(u32, u64)]) -> Result<(), AppendError> {
    let mut next: Vec<u64> = vec![0; counts.len()];
    let mut rest = value;
    while !rest.is_empty() {
        let at = value.len() - rest.len();
        let never_appended = || {
            let text = format!("at byte {at} it continues with '{}', which no client has appended", beginning(rest));
            AppendError { kind: AppendErrorKind::NeverAppended, text }
        };
        let (client, number, after) = split(rest).ok_or_else(never_appended)?;
        let place = counts.iter().position(|&(known, _)| known == client).ok_or_else(never_appended)?;
        let (due, count) = (next[place], counts[place].1);
        if number >= count {
            return Err(never_appended());
        }
        if number < due {
            let text = format!(
                "'{}' is in it twice, though client {client} appended it once: the append was executed again when its \
                 clerk lost the reply and retried",
                element(client, number)
            );
            return Err(AppendError { kind: AppendErrorKind::Duplicated, text });
        }
        if number > due {
            let missed = element(client, due);
            return Err(if after.contains(&missed) {
                let later = element(client, number);
                let text = format!("'{missed}' comes after '{later}', which client {client} appended later");
                AppendError { kind: AppendErrorKind::OutOfOrder, text }
            } else {
                missing(client, due)
            });
        }
        next[place] += 1;
        rest = after;
    }
    let short = counts.iter().zip(&next).find(|((_, count), next)| *next < count);
    short.map_or(Ok(()), |(&(client, _), &next)| {
        let wrong = missing(client, next);
        Err(if next > 0 { AppendError { kind: AppendErrorKind::LastMissing, ..wrong } } else { wrong })
    })
}

fn missing(client: u32, number: u64) -> AppendError {
    let missed = element(client, number);
    let text = format!("'{missed}' is not in it, though the append of client {client} was acknowledged");
    AppendError { kind: AppendErrorKind::Missing, text }
}

/// Splits the first element off `text`: its client, its number, and the rest.
fn split(text: &str) -> Option<(u32, u64, &str)> {
    let (client, text) = text.strip_prefix("x ")?.split_once(' ')?;
    let (number, after) = text.split_once(' ')?;
    let after = after.strip_prefix('y')?;
    let element = (client.parse().ok()?, number.parse().ok()?, after);
    // Clients never write signs or leading zeros.
    let plain = |digits: &str| digits == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    (plain(client) && plain(number)).then_some(element)
}

/// Returns the beginning of a text, short enough for a sentence.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 24;
    let dots = if text.chars().nth(SHOWN).is_some() { "..." } else { "" };
    text.chars().take(SHOWN).collect::<String>() + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(value: &str, counts: &[(u32, u64)]) -> String {
        check(value, counts).expect_err(value).text
    }

    #[test]
    fn an_element_equals_the_result_of_format() {
        for number in [0, 9, 10, 99, 100, 1234567890, u64::MAX] {
            let client = number as u32;
            assert_eq!(element(client, number), format!("x {client} {number} y"));
        }
    }

    #[test]
    fn interleaved_elements_of_several_clients_are_correct() {
        assert_eq!(check("", &[(0, 0)]), Ok(()));
        assert_eq!(check("x 3 0 yx 3 1 yx 3 2 y", &[(3, 3)]), Ok(()));
        assert_eq!(check("x 0 0 yx 1 0 yx 1 1 yx 0 1 y", &[(0, 2), (1, 2)]), Ok(()));
        let long: String = (0..1200).map(|number| element(12, number)).collect();
        assert_eq!(check(&long, &[(12, 1200)]), Ok(()));
    }

    #[test]
    fn a_missing_element_is_named() {
        let last = "'x 0 2 y' is not in it, though the append of client 0 was acknowledged";
        assert_eq!(wrong("x 0 0 yx 0 1 y", &[(0, 3)]), last);
        assert!(wrong("x 0 0 yx 0 2 y", &[(0, 3)]).starts_with("'x 0 1 y' is not in it"));
        assert!(wrong("x 1 0 y", &[(0, 1), (1, 1)]).starts_with("'x 0 0 y' is not in it"));
    }

    #[test]
    fn a_duplicated_element_is_named() {
        for value in ["x 0 0 yx 0 1 yx 0 1 y", "x 0 0 yx 0 1 yx 0 0 y"] {
            assert!(wrong(value, &[(0, 2)]).contains("is in it twice, though client 0 appended it once"), "{value}");
        }
    }

    #[test]
    fn an_element_out_of_order_is_named() {
        let sentence = "'x 0 0 y' comes after 'x 0 1 y', which client 0 appended later";
        assert_eq!(wrong("x 0 1 yx 0 0 y", &[(0, 2)]), sentence);
    }

    #[test]
    fn text_that_no_client_appended_is_found() {
        for (value, rest) in [
            ("x 0 0 yz", "'z'"),
            ("zx 0 0 y", "'zx 0 0 y'"),
            ("x 0 0 yx 0 1 y", "'x 0 1 y'"),
            ("x 0 0 yx 1 0 y", "'x 1 0 y'"),
            ("x 0 0 yx 0 00 y", "'x 0 00 y'"),
            ("x 0 0 yx 0 1", "'x 0 1'"),
            ("x 0 0 y13", "'13'"),
        ] {
            let sentence = wrong(value, &[(0, 1)]);
            assert!(
                sentence.contains(&format!("continues with {rest}, which no client has appended")),
                "{value}: {sentence}"
            );
        }
    }
}

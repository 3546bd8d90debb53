//! What must be in a value to which clients append. Each appends elements of its own, `x CLIENT NUMBER y`, numbered from
//! 0; so the value shows whether each of them took effect, once, in its client's order, and nothing else did.

/// The element number `number` of a client.
pub fn element(client: u32, number: u64) -> String {
    format!("x {client} {number} y")
}

/// Checks a value to which each client of `counts` has appended its first so many elements, and all of them have been
/// acknowledged: they are there, each once, those of one client in its order, and there is nothing else.
///
/// # Errors
///
/// A sentence that says what is wrong with it.
pub fn check(value: &str, counts: &[(u32, u64)]) -> Result<(), String> {
    let mut next: Vec<u64> = vec![0; counts.len()];
    let mut rest = value;
    while !rest.is_empty() {
        let at = value.len() - rest.len();
        let foreign = || format!("at byte {at} it goes on with '{}', which nobody has appended", beginning(rest));
        let (client, number, after) = split(rest).ok_or_else(foreign)?;
        let place = counts.iter().position(|&(known, _)| known == client).ok_or_else(foreign)?;
        let (due, count) = (next[place], counts[place].1);
        if number >= count {
            return Err(foreign());
        }
        if number < due {
            return Err(format!(
                "'{}' is in it twice, though client {client} appended it once: the append was executed again when its clerk \
                 had lost the reply and asked again",
                element(client, number)
            ));
        }
        if number > due {
            let missed = element(client, due);
            return Err(if after.contains(&missed) {
                format!("'{missed}' comes after '{}', which client {client} appended later", element(client, number))
            } else {
                missing(client, due)
            });
        }
        next[place] += 1;
        rest = after;
    }
    let short = counts.iter().zip(&next).find(|((_, count), next)| *next < count);
    short.map_or(Ok(()), |(&(client, _), &next)| Err(missing(client, next)))
}

fn missing(client: u32, number: u64) -> String {
    format!("'{}' is not in it, though the append of client {client} was acknowledged", element(client, number))
}

/// Takes an element off the front of `text`: its client, its number, and what follows it.
fn split(text: &str) -> Option<(u32, u64, &str)> {
    let (client, text) = text.strip_prefix("x ")?.split_once(' ')?;
    let (number, after) = text.split_once(" y")?;
    let element = (client.parse().ok()?, number.parse().ok()?, after);
    // Signs and leading zeros are nothing that a client has written.
    let plain = |digits: &str| digits == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    (plain(client) && plain(number)).then_some(element)
}

/// As much of a text as fits into a sentence.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 24;
    let dots = if text.chars().nth(SHOWN).is_some() { "..." } else { "" };
    text.chars().take(SHOWN).collect::<String>() + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(value: &str, counts: &[(u32, u64)]) -> String {
        check(value, counts).expect_err(value)
    }

    #[test]
    fn values_of_one_client_and_of_several_in_any_mixture_are_right() {
        assert_eq!(check("", &[(0, 0)]), Ok(()));
        assert_eq!(check("x 3 0 yx 3 1 yx 3 2 y", &[(3, 3)]), Ok(()));
        assert_eq!(check("x 0 0 yx 1 0 yx 1 1 yx 0 1 y", &[(0, 2), (1, 2)]), Ok(()));
        let long: String = (0..1200).map(|number| element(12, number)).collect();
        assert_eq!(check(&long, &[(12, 1200)]), Ok(()));
    }

    #[test]
    fn an_element_that_is_missing_is_named() {
        let last = "'x 0 2 y' is not in it, though the append of client 0 was acknowledged";
        assert_eq!(wrong("x 0 0 yx 0 1 y", &[(0, 3)]), last);
        assert!(wrong("x 0 0 yx 0 2 y", &[(0, 3)]).starts_with("'x 0 1 y' is not in it"));
        assert!(wrong("x 1 0 y", &[(0, 1), (1, 1)]).starts_with("'x 0 0 y' is not in it"));
    }

    #[test]
    fn an_element_that_is_there_twice_is_named() {
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
    fn anything_else_is_found() {
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
                sentence.contains(&format!("goes on with {rest}, which nobody has appended")),
                "{value}: {sentence}"
            );
        }
    }
}

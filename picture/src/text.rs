//! Texts: cut to a length that a person may still read, and each distinct one kept once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The most characters that a [`Text`] has.
pub const TEXT_CHARS_MAX: usize = 400;

/// A text of at most [`TEXT_CHARS_MAX`] characters.
///
/// A longer one keeps its beginning and its end and says in between how much is missing. It is cut when it is made, so that
/// ten thousand states that each hold a whole value cost little even before the page is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

impl Text {
    /// The text as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(shortened(text, TEXT_CHARS_MAX).into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        match shortened(&text, TEXT_CHARS_MAX) {
            Cow::Borrowed(_) => Text(text.into_boxed_str()),
            Cow::Owned(short) => Text(short.into_boxed_str()),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` in at most `chars_max` characters (at least 32): as it is, or with its middle replaced by a remark.
///
/// The end is kept because that is where a value that is appended to changes.
pub(crate) fn shortened(text: &str, chars_max: usize) -> Cow<'_, str> {
    assert!(chars_max >= 32, "there must be room for the remark");
    if text.len() <= chars_max {
        return text.into();
    }
    let chars = text.chars().count();
    if chars <= chars_max {
        return text.into();
    }
    let remark_chars = remark(chars).chars().count(); // at least as wide as the one that will be written
    let tail = (chars_max - remark_chars) / 3;
    let head = chars_max - remark_chars - tail;
    let position = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(position, _)| position);
    format!("{}{}{}", &text[..position(head)], remark(chars - head - tail), &text[position(chars - tail)..]).into()
}

/// What stands in the place of `missing` characters.
fn remark(missing: usize) -> String {
    format!(" …{missing} more… ")
}

/// Distinct texts, numbered in the order in which they were first asked for. Number 0 is the empty text.
pub(crate) struct Texts {
    chars_max: usize,
    numbers: HashMap<String, u32>, // only looked up, so its order cannot matter
    list: Vec<String>,
    bytes: usize,
}

impl Texts {
    /// No texts but the empty one; longer ones than `chars_max` will be cut.
    pub(crate) fn new(chars_max: usize) -> Texts {
        let mut texts = Texts { chars_max, numbers: HashMap::new(), list: Vec::new(), bytes: 0 };
        texts.number(&Text::default());
        texts
    }

    /// The number of `text`.
    pub(crate) fn number(&mut self, text: &Text) -> u32 {
        let text = shortened(text.as_str(), self.chars_max);
        if let Some(&number) = self.numbers.get(text.as_ref()) {
            return number;
        }
        let number = u32::try_from(self.list.len()).expect("fewer than 2^32 texts");
        self.bytes += text.len();
        self.list.push(text.clone().into_owned());
        self.numbers.insert(text.into_owned(), number);
        number
    }

    /// How many bytes all texts have together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The texts by number.
    pub(crate) fn into_list(self) -> Vec<String> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_stays_as_it_is() {
        assert_eq!(Text::from("put('x', 'ä')").as_str(), "put('x', 'ä')");
        let longest = "é".repeat(TEXT_CHARS_MAX);
        assert_eq!(Text::from(longest.as_str()).as_str(), longest);
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end_and_says_how_much_is_missing() {
        let long: String = (0..100_000).map(|i| format!("x {i} y")).collect();
        let text = Text::from(long.as_str());
        let chars = text.as_str().chars().count();
        assert!(chars <= TEXT_CHARS_MAX, "{chars} characters");
        let (head, rest) = text.as_str().split_once(" …").expect("a remark");
        let (missing, tail) = rest.split_once(" more… ").expect("a remark");
        assert!(long.starts_with(head) && long.ends_with(tail) && !head.is_empty() && !tail.is_empty());
        let missing: usize = missing.parse().expect("a number");
        let all = long.chars().count();
        assert!(head.chars().count() + tail.chars().count() + missing == all, "{text}");
    }

    #[test]
    fn a_text_that_was_cut_is_not_cut_again() {
        for chars in 395..1100 {
            let once = Text::from("ß".repeat(chars));
            assert_eq!(Text::from(once.as_str()), once);
        }
    }

    #[test]
    fn equal_texts_have_one_number() {
        let mut texts = Texts::new(32);
        let numbers = ["", "a", "b", "a", ""].map(|text| texts.number(&text.into()));
        assert_eq!(numbers, [0, 1, 2, 1, 0]);
        assert_eq!(texts.bytes(), 2);
        assert_eq!(texts.into_list(), ["", "a", "b"]);
    }
}

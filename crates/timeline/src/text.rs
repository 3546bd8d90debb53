//! Texts: cut to a readable length, and each distinct text stored once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The largest number of characters of a [`Text`].
pub const TEXT_CHARS_MAX: usize = 400;

/// A text of at most [`TEXT_CHARS_MAX`] characters.
///
/// A longer text keeps its beginning and its end, and a mark between them says how many characters are missing. It is
/// cut when it is created. So ten thousand states that each hold a whole value take little memory even before the page
/// is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

impl Text {
    /// Returns the text as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(shorten(text, TEXT_CHARS_MAX).into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        match shorten(&text, TEXT_CHARS_MAX) {
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

/// Returns `text` in at most `chars_max` characters (at least 32): unchanged, or with its middle replaced by a mark.
///
/// The end is kept because appended values differ at their ends.
pub(crate) fn shorten(text: &str, chars_max: usize) -> Cow<'_, str> {
    assert!(chars_max >= 32, "the mark must fit");
    if text.len() <= chars_max {
        return text.into();
    }
    let chars = text.chars().count();
    if chars <= chars_max {
        return text.into();
    }
    let mark_chars = omission_mark(chars).chars().count(); // at least as wide as the mark that is written
    let tail = (chars_max - mark_chars) / 3;
    let head = chars_max - mark_chars - tail;
    let position = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(position, _)| position);
    format!("{}{}{}", &text[..position(head)], omission_mark(chars - head - tail), &text[position(chars - tail)..])
        .into()
}

/// The mark that replaces `missing` characters.
fn omission_mark(missing: usize) -> String {
    format!(" …{missing} more… ")
}

/// Distinct texts, numbered in the order in which they were added. Number 0 is the empty text.
pub(crate) struct TextTable {
    chars_max: usize,
    numbers: HashMap<String, u32>, // only used for lookups, so its order does not matter
    list: Vec<String>,
    bytes: usize,
}

impl TextTable {
    /// Creates a table with only the empty text. Texts longer than `chars_max` are cut.
    pub(crate) fn new(chars_max: usize) -> TextTable {
        let mut texts = TextTable { chars_max, numbers: HashMap::new(), list: Vec::new(), bytes: 0 };
        texts.intern(&Text::default());
        texts
    }

    /// Returns the number of `text`, and adds it if it is new.
    pub(crate) fn intern(&mut self, text: &Text) -> u32 {
        let text = shorten(text.as_str(), self.chars_max);
        if let Some(&number) = self.numbers.get(text.as_ref()) {
            return number;
        }
        let number = u32::try_from(self.list.len()).expect("fewer than 2^32 texts");
        self.bytes += text.len();
        self.list.push(text.clone().into_owned());
        self.numbers.insert(text.into_owned(), number);
        number
    }

    /// The number of bytes of all texts together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The texts, by number.
    pub(crate) fn into_list(self) -> Vec<String> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_unchanged() {
        assert_eq!(Text::from("put('x', 'ä')").as_str(), "put('x', 'ä')");
        let longest = "é".repeat(TEXT_CHARS_MAX);
        assert_eq!(Text::from(longest.as_str()).as_str(), longest);
    }

    #[test]
    fn a_long_text_keeps_its_ends_and_counts_the_rest() {
        let long: String = (0..100_000).map(|i| format!("x {i} y")).collect();
        let text = Text::from(long.as_str());
        let chars = text.as_str().chars().count();
        assert!(chars <= TEXT_CHARS_MAX, "{chars} characters");
        let (head, rest) = text.as_str().split_once(" …").expect("a mark");
        let (missing, tail) = rest.split_once(" more… ").expect("a mark");
        assert!(long.starts_with(head) && long.ends_with(tail) && !head.is_empty() && !tail.is_empty());
        let missing: usize = missing.parse().expect("a number");
        let all = long.chars().count();
        assert!(head.chars().count() + tail.chars().count() + missing == all, "{text}");
    }

    #[test]
    fn a_cut_text_is_not_cut_again() {
        for chars in 395..1100 {
            let once = Text::from("ß".repeat(chars));
            assert_eq!(Text::from(once.as_str()), once);
        }
    }

    #[test]
    fn equal_texts_have_one_number() {
        let mut texts = TextTable::new(32);
        let numbers = ["", "a", "b", "a", ""].map(|text| texts.intern(&text.into()));
        assert_eq!(numbers, [0, 1, 2, 1, 0]);
        assert_eq!(texts.bytes(), 2);
        assert_eq!(texts.into_list(), ["", "a", "b"]);
    }
}

//! The page: a template with three slots, for the style, the data and the viewer.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::encode::encode;
use crate::model::Page;

const TEMPLATE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/style.css");

/// The viewer, one file a concern, in the order of `main.js`'s table of contents. Together they are one module.
const SCRIPTS: [&str; 18] = [
    include_str!("../assets/main.js"),
    include_str!("../assets/data.js"),
    include_str!("../assets/format.js"),
    include_str!("../assets/theme.js"),
    include_str!("../assets/view.js"),
    include_str!("../assets/lanes.js"),
    include_str!("../assets/axis.js"),
    include_str!("../assets/boxes.js"),
    include_str!("../assets/linearization.js"),
    include_str!("../assets/points.js"),
    include_str!("../assets/overview.js"),
    include_str!("../assets/selection.js"),
    include_str!("../assets/tooltip.js"),
    include_str!("../assets/search.js"),
    include_str!("../assets/filters.js"),
    include_str!("../assets/interaction.js"),
    include_str!("../assets/keyboard.js"),
    include_str!("../assets/link.js"),
];

impl Page {
    /// Writes the page as one HTML file that needs nothing else. The same page always gives the same bytes.
    ///
    /// # Errors
    /// Those of `out`; and `InvalidInput`, before anything is written, if the page contradicts itself: an operation that
    /// returns before its call, a linearization that names no operation, or one twice.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let data = encode(self)?;
        let mut out = io::BufWriter::new(out);
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("{{") {
            let (slot, after) = after.split_once("}}").expect("a slot of the template is closed");
            out.write_all(before.as_bytes())?;
            match slot {
                "style" => out.write_all(STYLE.as_bytes())?,
                "data" => data.serialize(&mut Serializer::with_formatter(&mut out, InsideScript))?,
                "script" => SCRIPTS.iter().try_for_each(|script| out.write_all(script.as_bytes()))?,
                other => unreachable!("the template has no slot {other}"),
            }
            rest = after;
        }
        out.write_all(rest.as_bytes())?;
        out.flush()
    }
}

/// JSON that may stand inside a script element: what could end the element, or begin a comment or an entity, is escaped.
///
/// In JSON these characters occur only within strings, where `\u003c` means the same as `<`. The two line separators are
/// what JSON allows in a string and JavaScript once did not.
struct InsideScript;

impl Formatter for InsideScript {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let special = |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(special) {
            let c = rest[at..].chars().next().expect("a character was found here");
            CompactFormatter.write_string_fragment(out, &rest[..at])?;
            write!(out, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(out, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_viewer_ends_its_own_element() {
        for script in SCRIPTS {
            assert!(!script.contains("</script") && !script.contains("<!--"), "{}", &script[..80]);
        }
        assert!(!STYLE.contains("</style"));
    }

    #[test]
    fn strings_are_escaped_and_mean_the_same() {
        let hostile = "</script><b>&amp; \u{2028}\u{2029} \"quoted\" \\ \n ä 🦀 <!--";
        let mut json = Vec::new();
        hostile.serialize(&mut Serializer::with_formatter(&mut json, InsideScript)).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }
}

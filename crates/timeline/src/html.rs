//! The HTML file: a template with three slots, for the style, the data and the viewer.

use std::io::{self, Write};

use crate::encode::encode;
use crate::model::Page;
use crate::pack::{base64, deflate};

const TEMPLATE: &str = include_str!("../assets/page.html");
const STYLE: &str = include_str!("../assets/style.css");

/// The viewer, one file per concern, in the order of the list in `main.js`. Together they are one JavaScript module.
const SCRIPTS: [&str; 26] = [
    include_str!("../assets/main.js"),
    include_str!("../assets/unpack.js"),
    include_str!("../assets/data.js"),
    include_str!("../assets/run.js"),
    include_str!("../assets/format.js"),
    include_str!("../assets/theme.js"),
    include_str!("../assets/view.js"),
    include_str!("../assets/lanes.js"),
    include_str!("../assets/axis.js"),
    include_str!("../assets/boxes.js"),
    include_str!("../assets/servers.js"),
    include_str!("../assets/calls.js"),
    include_str!("../assets/linearization.js"),
    include_str!("../assets/points.js"),
    include_str!("../assets/overview.js"),
    include_str!("../assets/selection.js"),
    include_str!("../assets/moment.js"),
    include_str!("../assets/state.js"),
    include_str!("../assets/panel.js"),
    include_str!("../assets/lines.js"),
    include_str!("../assets/tooltip.js"),
    include_str!("../assets/search.js"),
    include_str!("../assets/filters.js"),
    include_str!("../assets/interaction.js"),
    include_str!("../assets/keyboard.js"),
    include_str!("../assets/link.js"),
];

impl Page {
    /// Writes the page as one HTML file that needs no other file. The same page always gives the same bytes.
    ///
    /// # Errors
    /// Returns the errors of `out`. Returns `InvalidInput`, before anything is written, if the page contradicts itself:
    /// if an operation returns before its call, or if a linearization names an operation that does not exist, or one
    /// operation twice.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let json = serde_json::to_vec(&encode(self)?)?;
        write_page(&deflate(&json, &[]), out)
    }
}

/// The number of bytes of a page other than its data.
pub(crate) fn overhead_bytes() -> usize {
    TEMPLATE.len() + STYLE.len() + SCRIPTS.iter().map(|script| script.len()).sum::<usize>()
}

/// Writes a page with its data, which is deflated already.
pub(crate) fn write_page(data: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (slot, after) = after.split_once("}}").expect("a slot of the template is closed");
        out.write_all(before.as_bytes())?;
        match slot {
            "style" => out.write_all(STYLE.as_bytes())?,
            "data" => out.write_all(base64(data).as_bytes())?,
            "script" => SCRIPTS.iter().try_for_each(|script| out.write_all(script.as_bytes()))?,
            other => unreachable!("the template has no slot {other}"),
        }
        rest = after;
    }
    out.write_all(rest.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewer_does_not_close_its_own_element() {
        for script in SCRIPTS {
            assert!(!script.contains("</script") && !script.contains("<!--"), "{}", &script[..80]);
        }
        assert!(!STYLE.contains("</style"));
    }
}

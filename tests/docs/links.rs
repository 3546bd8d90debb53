//! The links of a page. The files and headings that they name must exist.

use std::fs;
use std::path::Path;

/// Returns one line for each link of `page` into this repository that has no target.
pub(crate) fn dead(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().expect("a page is in a folder");
    let mut dead = Vec::new();
    for link in links(text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
        let has_heading = |text: &str| headings(text).iter().any(|there| there == heading);
        let target = folder.join(file);
        let is_there = match (file, heading) {
            ("", _) => has_heading(text),
            (_, "") => target.exists(),
            (_, _) => fs::read_to_string(target).is_ok_and(|text| has_heading(&text)),
        };
        if !is_there {
            dead.push(format!("{}: {link} has no target", page.display()));
        }
    }
    dead
}

/// Returns the targets in `](...)`, outside of blocks and code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for behind in line.split("](").skip(1) {
            links.extend(behind.split_once(')').map(|(link, _)| link.to_string()));
        }
    }
    links
}

/// Returns the headings of a page as links name them: lower case, without punctuation, with dashes for spaces.
fn headings(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        }
        let title = line.trim_start_matches('#');
        if in_block || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase();
        let kept =
            kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c });
        headings.push(kept.collect());
    }
    headings
}

#[test]
fn a_dead_link_is_found() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = "# A title, `so` to say\n[a](README.md) [b](#a-title-so-to-say) [c](no-such-file.md)\n[d](README.md#no-such-title)";
    assert_eq!(headings(text), ["a-title-so-to-say"]);
    let dead = dead(&page, text);
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead[0].contains("no-such-file.md") && dead[1].contains("no-such-title"), "{dead:?}");
}

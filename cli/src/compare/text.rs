//! The text of a Go output: from bytes to lines, whatever wrote them, and back to something a terminal can be shown.

use std::collections::BTreeMap;

/// How wide everything that is printed is, in characters.
pub(super) const WIDTH: usize = 110;

/// The lines of an output with their numbers, from 1 on. Of `go test -json` they are what the tests printed, a package after
/// the other; the number is that of the JSON line where the line began.
pub(super) fn lines(bytes: &[u8]) -> Vec<(usize, String)> {
    let text = decode(bytes);
    let mut plain = Vec::new();
    let mut packages: Vec<Vec<(usize, String)>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut unended: BTreeMap<usize, (usize, String)> = BTreeMap::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start_matches('\u{16}');
        let Some(event) = json_event(line) else {
            plain.push((number, line.to_string()));
            continue;
        };
        let package = event["Package"].as_str().or(event["ImportPath"].as_str()).unwrap_or("").to_string();
        let place = *places.entry(package).or_insert_with(|| {
            packages.push(Vec::new());
            packages.len() - 1
        });
        let (mut began, mut output) = unended.remove(&place).unwrap_or((number, String::new()));
        output.push_str(event["Output"].as_str().unwrap_or(""));
        while let Some((line, rest)) = output.split_once('\n') {
            packages[place].push((began, line.strip_suffix('\r').unwrap_or(line).to_string()));
            (began, output) = (number, rest.to_string());
        }
        if !output.is_empty() {
            unended.insert(place, (began, output));
        }
    }
    for (place, line) in unended {
        packages[place].push(line);
    }
    plain.extend(packages.into_iter().flatten());
    plain
}

fn json_event(line: &str) -> Option<serde_json::Value> {
    let event: serde_json::Value = serde_json::from_str(line).ok().filter(|_| line.starts_with('{'))?;
    event["Action"].is_string().then_some(event)
}

/// UTF-8, or the UTF-16 that a redirection in PowerShell writes.
fn decode(bytes: &[u8]) -> String {
    let (bytes, little) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (rest, true),
        [0xFE, 0xFF, rest @ ..] => (rest, false),
        _ => {
            return String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).into_owned();
        }
    };
    let unit = |pair: &[u8]| match little {
        true => u16::from_le_bytes([pair[0], pair[1]]),
        false => u16::from_be_bytes([pair[0], pair[1]]),
    };
    let units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
    String::from_utf16_lossy(&units)
}

/// A text that somebody else wrote, as one may show it: what a terminal would obey is escaped, and what is beyond `width`
/// characters is cut off.
pub(super) fn shown(text: &str, width: usize) -> String {
    let mut shown = String::new();
    let mut used = 0;
    for char in text.trim().chars() {
        let escaped = match char {
            '\t' => " ".to_string(),
            '"' | '\'' | '\\' => char.to_string(),
            _ => char.escape_debug().to_string(),
        };
        used += escaped.chars().count();
        if used > width {
            let kept: String = shown.chars().take(width.saturating_sub(3)).collect();
            return kept + "...";
        }
        shown.push_str(&escaped);
    }
    shown
}

//! The text of a Go output: decodes bytes into lines, and escapes foreign text so that it is safe to print.

use std::collections::BTreeMap;

/// Width of all output, in characters.
pub(super) const WIDTH: usize = 110;

/// Returns the lines of an output with their numbers, from 1. For `go test -json` these are the lines that the tests
/// printed, one package after the other; each has the number of the JSON line where it began.
pub(super) fn lines(bytes: &[u8]) -> Vec<(usize, String)> {
    let text = decode(bytes);
    let mut plain = Vec::new();
    let mut packages: Vec<Vec<(usize, String)>> = Vec::new();
    let mut indexes: BTreeMap<String, usize> = BTreeMap::new();
    let mut unended: BTreeMap<usize, (usize, String)> = BTreeMap::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start_matches('\u{16}');
        let Some(event) = json_event(line) else {
            plain.push((number, line.to_string()));
            continue;
        };
        let package = event["Package"].as_str().or(event["ImportPath"].as_str()).unwrap_or("").to_string();
        let index = *indexes.entry(package).or_insert_with(|| {
            packages.push(Vec::new());
            packages.len() - 1
        });
        let (mut began, mut output) = unended.remove(&index).unwrap_or((number, String::new()));
        output.push_str(event["Output"].as_str().unwrap_or(""));
        while let Some((line, rest)) = output.split_once('\n') {
            packages[index].push((began, line.strip_suffix('\r').unwrap_or(line).to_string()));
            (began, output) = (number, rest.to_string());
        }
        if !output.is_empty() {
            unended.insert(index, (began, output));
        }
    }
    for (index, line) in unended {
        packages[index].push(line);
    }
    plain.extend(packages.into_iter().flatten());
    plain
}

fn json_event(line: &str) -> Option<serde_json::Value> {
    let event: serde_json::Value = serde_json::from_str(line).ok().filter(|_| line.starts_with('{'))?;
    event["Action"].is_string().then_some(event)
}

/// Decodes UTF-8, or the UTF-16 that PowerShell redirection writes.
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

/// Returns foreign text in a form that is safe to print: control characters are escaped, and text beyond `width`
/// characters is cut off.
pub(super) fn sanitized(text: &str, width: usize) -> String {
    let mut sanitized = String::new();
    let mut used = 0;
    for char in text.trim().chars() {
        let escaped = match char {
            '\t' => " ".to_string(),
            '"' | '\'' | '\\' => char.to_string(),
            _ => char.escape_debug().to_string(),
        };
        used += escaped.chars().count();
        if used > width {
            let kept: String = sanitized.chars().take(width.saturating_sub(3)).collect();
            return kept + "...";
        }
        sanitized.push_str(&escaped);
    }
    sanitized
}

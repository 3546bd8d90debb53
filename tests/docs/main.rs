//! Tests of the documentation: every link has a target, and every command works.
//!
//! The first line of each block of commands says how the block is tested:
//!
//! | after the three backticks | treatment |
//! |---|---|
//! | `sh run` | run as it stands |
//! | `sh long` | run with smaller numbers: `-n`, `--runs` and `LAB_RUNS` become 2 |
//! | `sh server until="..."` | start, and stop with Ctrl-C once these words were printed |
//! | `sh ci` | not run, because it is a step of `.ci/run`, which has the same line |
//! | `sh shown` | not run, because only the reader can fill in a name in it |
//!
//! `status=1` after the mark requires this exit status instead of 0.
//!
//! The commands run in reading order, in the folder of the workspace. Later commands of a page see the files that
//! earlier ones left. They take minutes and build programs, so they run only on request: `cargo test --test docs --
//! --ignored`.

use std::fs;
use std::path::{Path, PathBuf};

mod blocks;
mod commands;
mod links;

/// The pages in reading order.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_docs = fs::read_dir(root.join("docs")).expect("there is a folder of documentation");
    let mut in_docs: Vec<PathBuf> = in_docs.map(|entry| entry.expect("it can be read").path()).collect();
    in_docs.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    in_docs.sort();
    let mut pages = vec![root.join("README.md"), root.join("starter/README.md")];
    pages.extend(in_docs);
    pages
}

fn text(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("cannot read {}: {error}", page.display()))
}

#[test]
fn every_link_has_a_target() {
    let dead: Vec<String> = pages().iter().flat_map(|page| links::dead(page, &text(page))).collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_block_of_commands_has_a_mark() {
    let ci = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run"));
    let mut wrong = Vec::new();
    for page in pages() {
        for block in blocks::blocks(&text(&page)) {
            let place = format!("{}:{}", page.display(), block.line);
            match block.commands() {
                Err(error) => wrong.push(format!("{place}: {error}")),
                Ok(Some(commands)) if commands.treatment == blocks::Treatment::Ci => {
                    let lines = block.text.lines().map(blocks::without_comment).filter(|line| !line.is_empty());
                    let missing = lines.filter(|line| !ci.lines().any(|of_ci| of_ci.trim() == *line));
                    wrong.extend(missing.map(|line| format!("{place}: .ci/run has no line {line:?}")));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "runs all commands of the documentation, which takes minutes"]
fn every_command_works() {
    let mut failures = Vec::new();
    let mut run = 0;
    for page in pages() {
        for block in blocks::blocks(&text(&page)) {
            let commands = block.commands().expect("another test checks the marks");
            let Some(commands) = commands.filter(|commands| commands.treatment.is_run()) else { continue };
            let place = format!("{}:{}", page.display(), block.line);
            eprintln!("--- {place}\n{}", commands.script);
            run += 1;
            if let Err(error) = commands::run(&commands) {
                eprintln!("{error}");
                failures.push(format!("{place}: {error}"));
            }
        }
    }
    assert!(run > 10, "there are commands in the documentation");
    assert!(failures.is_empty(), "{} of {run} blocks fail:\n{}", failures.len(), failures.join("\n"));
}

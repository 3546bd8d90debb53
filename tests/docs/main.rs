//! The documentation tells the truth: its links lead somewhere, and its commands work.
//!
//! Each block of commands says in its first line what is to be done with it:
//!
//! | after the three backticks | what is done |
//! |---|---|
//! | `sh run` | it is run as it stands |
//! | `sh long` | it is run with smaller numbers: `-n`, `--runs` and `LAB_RUNS` become 2 |
//! | `sh server until="..."` | it is started, and stopped with Ctrl-C when it has printed these words |
//! | `sh ci` | it is a step of its own of `.ci/run`, which has this very line |
//! | `sh shown` | nothing: it has a name in it that only the reader can fill in |
//!
//! `status=1` after these means that it has to end with this exit status, and not with 0.
//!
//! Commands run in the order in which they are read, in the folder of the workspace; those of a page see what those
//! before them have left. That takes minutes and builds things, so it is asked for: `cargo test --test docs -- --ignored`.

use std::fs;
use std::path::{Path, PathBuf};

mod blocks;
mod commands;
mod links;

/// The pages, in the order in which they are read.
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
fn every_link_leads_somewhere() {
    let dead: Vec<String> = pages().iter().flat_map(|page| links::dead(page, &text(page))).collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_block_of_commands_says_what_is_to_be_done_with_it() {
    let ci = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run"));
    let mut wrong = Vec::new();
    for page in pages() {
        for block in blocks::blocks(&text(&page)) {
            let place = format!("{}:{}", page.display(), block.line);
            match block.commands() {
                Err(error) => wrong.push(format!("{place}: {error}")),
                Ok(Some(commands)) if commands.how == blocks::How::Ci => {
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
            let commands = block.commands().expect("another test looks at the marks");
            let Some(commands) = commands.filter(|commands| commands.how.is_run()) else { continue };
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
    assert!(failures.is_empty(), "{} of {run} blocks do not work:\n{}", failures.len(), failures.join("\n"));
}

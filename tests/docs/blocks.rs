//! The fenced blocks of a page, and what is to be done with those that are commands.

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// What stands behind the backticks.
    info: String,
    /// The number of its first line within the page.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// What is done with commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// They are run.
    Run,
    /// They are run with smaller numbers.
    Long,
    /// They are stopped when they have printed this.
    Server { until: String },
    /// They are a step of `.ci/run`.
    Ci,
    /// Nothing.
    Shown,
}

impl How {
    pub(crate) fn is_run(&self) -> bool {
        !matches!(self, How::Ci | How::Shown)
    }
}

/// Commands that are to be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commands {
    pub(crate) how: How,
    pub(crate) script: String,
    /// The exit status that they have to end with.
    pub(crate) status: i32,
}

/// The blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in page.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(info) if !open => {
                blocks.push(Block { info: info.trim().to_string(), line: number + 2, text: String::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let text = &mut blocks.last_mut().expect("one is open").text;
                text.push_str(line.trim_start_matches("   "));
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

impl Block {
    /// The commands in it, if it has commands.
    ///
    /// # Errors
    ///
    /// If it does not say what is to be done with them, in words that are known.
    pub(crate) fn commands(&self) -> Result<Option<Commands>, String> {
        let mut words = words(&self.info).into_iter();
        if words.next().as_deref() != Some("sh") {
            return Ok(None);
        }
        let (mark, mut until, mut status) = (words.next(), None, 0);
        for word in words {
            match word.split_once('=') {
                Some(("until", text)) => until = Some(text.to_string()),
                Some(("status", number)) => status = number.parse().map_err(|_| format!("no exit status: {word}"))?,
                _ => return Err(format!("unknown mark {word:?}")),
            }
        }
        let how = match (mark.as_deref(), until) {
            (Some("run"), None) => How::Run,
            (Some("long"), None) => How::Long,
            (Some("server"), Some(until)) => How::Server { until },
            (Some("ci"), None) => How::Ci,
            (Some("shown"), None) => How::Shown,
            (mark, _) => return Err(format!("a block of commands is marked {mark:?}; see tests/docs/main.rs")),
        };
        let script = if how == How::Long { smaller(&self.text) } else { self.text.clone() };
        Ok(Some(Commands { how, script, status }))
    }
}

/// The words of an info string; a value may have spaces between double quotes.
fn words(info: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in info.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The same with smaller numbers.
fn smaller(script: &str) -> String {
    const SMALL: &str = "2";
    let smaller_line = |line: &str| {
        let mut after_a_flag = false;
        let words = line.split(' ').map(|word| {
            let number = after_a_flag && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
            after_a_flag = ["-n", "--runs"].contains(&word);
            match word {
                _ if number => SMALL.to_string(),
                _ if word.starts_with("LAB_RUNS=") => format!("LAB_RUNS={SMALL}"),
                _ => word.to_string(),
            }
        });
        words.collect::<Vec<_>>().join(" ") + "\n"
    };
    script.lines().map(smaller_line).collect()
}

/// A line without what stands behind `#`, and without the spaces at its end.
pub(crate) fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim_end()
}

#[test]
fn numbers_become_smaller() {
    assert_eq!(
        smaller("LAB_RUNS=100 cargo test -- 3A\nraftlab run 3C -n 1000 -j 2\n"),
        "LAB_RUNS=2 cargo test -- 3A\nraftlab run 3C -n 2 -j 2\n"
    );
}

#[test]
fn a_block_says_what_is_done_with_it() {
    let page =
        "text\n```sh server until=\"ready to go\" status=130\nraftlab serve\n```\n```text\nsh\n```\n```sh\nls\n```\n";
    let [server, text, unmarked] = &blocks(page)[..] else { panic!("three blocks") };
    let how = How::Server { until: "ready to go".to_string() };
    assert_eq!(server.line, 3);
    assert_eq!(server.commands(), Ok(Some(Commands { how, script: "raftlab serve\n".to_string(), status: 130 })));
    assert_eq!(text.commands(), Ok(None));
    assert!(unmarked.commands().is_err());
}

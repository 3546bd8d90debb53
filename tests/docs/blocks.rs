//! The fenced blocks of a page, and the treatment of blocks with commands.

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The text after the backticks.
    info: String,
    /// The number of its first line in the page.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The treatment of a block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Run as it stands.
    Run,
    /// Run with smaller numbers.
    Long,
    /// Start, and stop once this text was printed.
    Server { until: String },
    /// Not run here, because it is a step of `.ci/run`.
    Ci,
    /// Not run.
    Shown,
}

impl Treatment {
    pub(crate) fn is_run(&self) -> bool {
        !matches!(self, Treatment::Ci | Treatment::Shown)
    }
}

/// The commands of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commands {
    pub(crate) treatment: Treatment,
    pub(crate) script: String,
    /// The required exit status.
    pub(crate) status: i32,
}

/// Returns the blocks of a page.
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
    /// Returns the commands of the block; `None` if it has no commands.
    ///
    /// # Errors
    ///
    /// Fails if a block of commands has no known mark.
    pub(crate) fn commands(&self) -> Result<Option<Commands>, String> {
        let mut words = words(&self.info).into_iter();
        if words.next().as_deref() != Some("sh") {
            return Ok(None);
        }
        let (mark, mut until, mut status) = (words.next(), None, 0);
        for word in words {
            match word.split_once('=') {
                Some(("until", text)) => until = Some(text.to_string()),
                Some(("status", number)) => {
                    status = number.parse().map_err(|_| format!("not an exit status: {word}"))?
                }
                _ => return Err(format!("unknown mark {word:?}")),
            }
        }
        let treatment = match (mark.as_deref(), until) {
            (Some("run"), None) => Treatment::Run,
            (Some("long"), None) => Treatment::Long,
            (Some("server"), Some(until)) => Treatment::Server { until },
            (Some("ci"), None) => Treatment::Ci,
            (Some("shown"), None) => Treatment::Shown,
            (mark, _) => return Err(format!("unknown mark {mark:?} of a block of commands; see tests/docs/main.rs")),
        };
        let script = if treatment == Treatment::Long { smaller(&self.text) } else { self.text.clone() };
        Ok(Some(Commands { treatment, script, status }))
    }
}

/// Splits an info string into words. A value may have spaces between double quotes.
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

/// Replaces the numbers of runs in a script by small ones.
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

/// A line without its comment and trailing spaces.
pub(crate) fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim_end()
}

#[test]
fn long_commands_get_smaller_numbers() {
    assert_eq!(
        smaller("LAB_RUNS=100 cargo test -- 3A\nraftlab run 3C -n 1000 -j 2\n"),
        "LAB_RUNS=2 cargo test -- 3A\nraftlab run 3C -n 2 -j 2\n"
    );
}

#[test]
fn the_mark_of_a_block_says_how_it_is_run() {
    let page =
        "text\n```sh server until=\"ready to go\" status=130\nraftlab serve\n```\n```text\nsh\n```\n```sh\nls\n```\n";
    let [server, text, unmarked] = &blocks(page)[..] else { panic!("three blocks") };
    let treatment = Treatment::Server { until: "ready to go".to_string() };
    assert_eq!(server.line, 3);
    assert_eq!(server.commands(), Ok(Some(Commands { treatment, script: "raftlab serve\n".to_string(), status: 130 })));
    assert_eq!(text.commands(), Ok(None));
    assert!(unmarked.commands().is_err());
}

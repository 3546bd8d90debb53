//! Tests of a page in a real browser: zoom, hover, filter, search, the jump to the error, keys.
//!
//! The browser is Debian's Chromium, run headless once per page. `chromium --headless --dump-dom FILE` loads the page,
//! lets its scripts run, and prints the resulting document. The test appends a script to the page (`tests/browser/`).
//! The script makes the events that a person would make, checks their effects, and leaves a report in the document.
//!
//! The browser's debugging protocol is not used. It needs a WebSocket client, an async runtime or a driver process of
//! the right version, and a hundred times the code. Its one advantage is input events that the browser trusts, and the
//! page does not check that. This way has an advantage in timing: with `--virtual-time-budget` the page's timers and
//! animations run on a clock that waits for work, so a slow machine changes nothing.
//!
//! Errors count wherever they appear: uncaught in the page, written to its console, or refused by its content policy.
//! Without a browser the tests print that they are skipped. `CHROMIUM=/path/to/it` names a browser that is not in the
//! `PATH`.

mod samples;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};

use timeline::{Page, Run};

/// The time that one browser may take on a machine that is busy with other work.
const LIMIT: Duration = Duration::from_secs(180);

/// Two browsers run at a time, because each has half a dozen processes of its own, which often wait for each other.
static BROWSERS: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

const HARNESS: &str = include_str!("browser/harness.js");

/// A script that runs before the page's scripts. It collects errors, wherever they appear. It drives frames by the
/// page's timers, because a browser without a visible window does not draw sixty times per second.
const PREPARE: &str = r#"<script>
window.consoleErrors = [];
addEventListener("error", (event) => consoleErrors.push(event.message));
addEventListener("unhandledrejection", (event) => consoleErrors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => consoleErrors.push("refused by policy: " + event.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...what) => consoleErrors.push(what.join(" "));
requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 16);
cancelAnimationFrame = clearTimeout;
</script>"#;

#[test]
fn the_controls_of_an_illegal_history_work() {
    in_browser("illegal", &samples::illegal(), include_str!("browser/illegal.js"), 25);
}

#[test]
fn a_legal_history_shows_operations_and_annotations() {
    in_browser("legal", &samples::legal(), include_str!("browser/legal.js"), 6);
}

#[test]
fn a_history_without_times_shows_positions_and_open_operations() {
    in_browser("order", &samples::order(), include_str!("browser/order.js"), 3);
}

#[test]
fn a_history_without_a_possible_operation_is_marked() {
    in_browser("nothing-possible", &samples::nothing_possible(), include_str!("browser/nothing-possible.js"), 2);
}

#[test]
fn an_undecided_history_shows_no_error() {
    in_browser("undecided", &samples::undecided(), include_str!("browser/undecided.js"), 1);
}

#[test]
fn a_page_may_have_only_annotations() {
    in_browser("annotations", &samples::annotations(), include_str!("browser/annotations.js"), 3);
}

#[test]
fn hostile_text_appears_as_text() {
    in_browser("hostile", &samples::hostile(), include_str!("browser/hostile.js"), 3);
}

#[test]
fn a_page_of_150_000_operations_is_usable() {
    in_browser("large", &samples::large(20, 150_000), include_str!("browser/large.js"), 6);
}

#[test]
fn an_empty_page_opens() {
    in_browser(
        "empty",
        &Page::default(),
        r#"await test("an empty page says so", () => check(shown("empty") && text("empty").includes("no operations"), text("empty")));"#,
        1,
    );
}

#[test]
fn the_controls_of_a_passed_run_work() {
    run_in_browser("run-passed", samples::runs::passed(), include_str!("browser/run-passed.js"), 17);
}

#[test]
fn a_failed_run_leads_to_its_first_problem() {
    run_in_browser("run-failed", samples::runs::failed(), include_str!("browser/run-failed.js"), 6);
}

#[test]
fn the_page_of_the_largest_run_is_usable() {
    let events = samples::runs::large(450_000, 55_000, 130_000);
    run_in_browser("run-large", events, include_str!("browser/run-large.js"), 4);
}

#[test]
fn the_page_of_an_empty_record_opens() {
    let script = r#"await test("an empty run says so", () => check(shown("empty") && text("empty").includes("Nothing"), text("empty")));"#;
    run_in_browser("run-empty", [], script, 1);
}

fn in_browser(name: &str, page: &Page, script: &str, tests_min: usize) {
    open_and_test(name, |html| page.write(html), script, tests_min);
}

fn run_in_browser(name: &str, events: impl IntoIterator<Item = record::Event>, script: &str, tests_min: usize) {
    let run = Run::from_events(events);
    open_and_test(name, |html| run.write(html), script, tests_min);
}

/// Opens a page in a browser and runs `script` in it. Fails if a test of the script fails or fewer than `tests_min`
/// ran.
fn open_and_test(name: &str, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, script: &str, tests_min: usize) {
    let Some(browser) = browser() else {
        // Written past the test runner, which would capture it.
        let _ = writeln!(std::io::stderr(), "skipped: no Chromium is installed to open the page '{name}' with");
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the page");
    let file = folder.join("page.html");
    let mut html = Vec::new();
    write(&mut html).expect("a page");
    fs::write(&file, with_script(html, script)).expect("the page can be written");

    let document = open(&browser, &file, &folder);
    let report = document.split_once("<pre id=\"report\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (report, _) = report.unwrap_or_else(|| panic!("the page left no report; it is kept as {}", file.display()));
    let failed: Vec<&str> = report.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{}\nthe page is kept as {}", failed.join("\n"), file.display());
    assert_eq!(report.lines().last(), Some("the end"), "{report}");
    let passed = report.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= tests_min, "only {passed} tests ran in the page:\n{report}");
    let _ = fs::remove_dir_all(&folder);
}

/// Returns the page with a script at the beginning, which prepares it, and one at the end, which tests it.
fn with_script(html: Vec<u8>, script: &str) -> String {
    let html = String::from_utf8(html).expect("UTF-8");
    let html = html.replacen("<head>", &format!("<head>{PREPARE}"), 1);
    let (before, after) = html.rsplit_once("</body>").expect("a body");
    // Modules run in their order, but the viewer starts at DOMContentLoaded, after all of them.
    format!(
        "{before}<script type=\"module\">
addEventListener(\"DOMContentLoaded\", async () => {{
await window.timeline.ready;
{HARNESS}
{script}
finish();
}});
</script></body>{after}"
    )
}

/// Returns the document that a page has become after its scripts have run.
fn open(browser: &Path, file: &Path, folder: &Path) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let place = NEXT.fetch_add(1, Relaxed) % BROWSERS.len();
    let _one_of_two = BROWSERS[place].lock().unwrap_or_else(PoisonError::into_inner);
    let (output, errors) = (folder.join("document.html"), folder.join("errors.log"));
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--window-size=1280,720", "--virtual-time-budget=120000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .stdout(File::create(&output).expect("a file for the document"))
        .stderr(File::create(&errors).expect("a file for errors"))
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", browser.display()));
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the browser's status") {
            break status;
        }
        if begin.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("the browser took longer than {LIMIT:?}; see {}", errors.display());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let log = || fs::read_to_string(&errors).unwrap_or_default();
    assert!(status.success(), "the browser ended with {status}:\n{}", log());
    fs::read_to_string(&output).expect("a document in UTF-8")
}

/// Returns the browser: the value of `CHROMIUM`, or the first of the usual names in the `PATH`.
fn browser() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

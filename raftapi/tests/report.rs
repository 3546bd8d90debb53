//! The events of reports and notes in the record of a run.

use labstd::Run;
use labstd::thread;
use labstd::time::{self, Duration};
use raftapi::{Index, Role, ServerId, Term, report};
use raftapi::{annotate, annotate_continuous, annotate_continuous_end, annotate_interval};
use record::{Options, Recorder, Scope};

/// Returns the lines of the record after `report` has run on a thread of server 1.
fn lines_of(report: impl FnOnce() + Send + 'static) -> Vec<String> {
    let recorder = Recorder::new(Options::default());
    let context = Scope::new(&recorder, None).into_context();
    let scope = Scope::new(&recorder, Some(ServerId(1)));
    let outcome = Run::simulated(1).context(context).execute(|| scope.enter("S1", report));
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"));
    recorder.events().map(|event| event.to_string()).collect()
}

#[test]
fn reports_are_events_of_the_threads_server() {
    let lines = lines_of(|| {
        report::restored(Term(2), Some(ServerId(0)), (Index(4), Term(1)));
        report::term(Term(3));
        report::role(Role::Candidate, Term(4));
        report::vote(Term(4), ServerId(1));
        report::truncated(Index(6));
        report::compacted(Index(5), Term(2));
        report::committed(Index(6));
        report::persisted(99);
        thread::spawn("service", || {
            report::applied(Index(5), Term(2));
            report::snapshot_taken(Index(5), 80);
            report::snapshot_installed(Index(9), Term(4));
        })
        .join()
        .expect("the service does not panic");
    });
    let expected = [
        "000000 PERS S1 starts in term 2, has voted for S0, with a snapshot up to index 4, term 1",
        "000000 TERM S1 moves to term 3",
        "000000 LEAD S1 becomes candidate in term 4",
        "000000 VOTE S1 votes for S1 in term 4",
        "000000 LOG1 S1 truncates its log after index 6",
        "000000 LOG1 S1 compacts its log up to index 5, term 2",
        "000000 CMIT S1 commits up to index 6",
        "000000 PERS S1 saves 99 bytes",
        "000000 APLY S1 applies index 5, term 2",
        "000000 SNAP S1 snapshots up to index 5, 80 bytes",
        "000000 SNAP S1 installs a snapshot up to index 9, term 4",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn new_entries_are_one_event_for_each_run_of_equal_terms() {
    let appended = |terms: &'static [u64]| {
        lines_of(move || report::appended(Index(5), terms.iter().copied().map(Term)))
            .into_iter()
            .map(|line| line.replace("000000 LOG1 S1 appends index ", ""))
            .collect::<Vec<_>>()
    };
    assert!(appended(&[]).is_empty());
    assert_eq!(appended(&[3]), ["5, term 3"]);
    assert_eq!(appended(&[3; 100]), ["5 to 104, term 3"]);
    assert_eq!(appended(&[1, 1, 2, 4, 4, 4]), ["5 to 6, term 1", "7, term 2", "8 to 10, term 4"]);
}

#[test]
fn notes_have_the_times_of_the_runs_clock() {
    let lines = lines_of(|| {
        let begun = time::run_elapsed();
        thread::sleep(Duration::from_millis(20));
        annotate("lease", "renewed", "by </script>");
        annotate_interval("catching up", begun + Duration::from_millis(5), "12 entries", "two messages");
        annotate_interval("catching up", Duration::from_secs(9), "nothing", "it has not begun");
        annotate_continuous("lease", "held", "");
        thread::sleep(Duration::from_millis(20));
        annotate_continuous_end("lease");
    });
    let expected = [
        "000200 NOTE S1 [lease] renewed: by </script>",
        "000200 NOTE S1 [catching up] 12 entries, since 000050: two messages",
        "000200 NOTE S1 [catching up] nothing, since 000200: it has not begun",
        "000200 NOTE S1 [lease] held, from now on: ",
        "000400 NOTE S1 [lease] ends",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn reports_and_notes_outside_any_run_do_nothing() {
    report::appended(Index(1), [Term(1)]);
    report::role(Role::Leader, Term(1));
    annotate("lease", "renewed", "");
    annotate_interval("lease", Duration::from_secs(1), "", "");
    annotate_continuous_end("lease");
}

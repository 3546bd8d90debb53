//! The events of a record, one after the other, and what the page speaks of.

use std::collections::BTreeMap;

use record::{Event, EventKind, Fault, Level, Peer, Role, ServerId};

use super::calls::{Call, Fate, Window};
use super::faults::Faults;
use super::history::{FAULT, FAULTS, History};
use super::servers::{Happening, What};
use crate::text::{TEXT_CHARS_MAX, shortened};

/// A server with a greater number is none of a cluster that can be drawn; its events are passed over.
const SERVERS_MAX: usize = 200;

/// How many logged lines a page has. Of more, the first tenth and the last nine are kept.
const LINES_MAX: usize = 20_000;

/// How long the text of a failure may be: it may have the stacks of several threads, and is what one came for.
const FAILURE_CHARS_MAX: usize = 8_000;

/// Up to here a browser's numbers are exact.
const EXACT_MAX: u64 = 1 << 53;

/// All that a page of a run says. Times are nanoseconds on the run's clock.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) scenario: String,
    /// What `RunBegun` and `RunEnded` said, in words.
    pub(super) about: Vec<String>,
    /// `passed`, `failed`, ... or nothing.
    pub(super) verdict: String,
    /// The last moment.
    pub(super) end: u64,
    pub(super) calls: Vec<Call>,
    /// Calls that the record itself only counts.
    pub(super) windows: Vec<Window>,
    /// Whom calls went to who is no server, numbered in the order of their names.
    pub(super) named: BTreeMap<String, usize>,
    /// By server; then, as the last one, what belongs to none.
    pub(super) servers: Vec<Vec<Happening>>,
    pub(super) faults: Faults,
    pub(super) history: History,
    /// `(at, server, text)`
    pub(super) failures: Vec<(u64, Option<usize>, u32)>,
    /// Methods, lines and other texts, by number.
    pub(super) texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
    /// Calls that are on their way, by number: their places.
    on_their_way: BTreeMap<u64, usize>,
    lines: usize,
    pub(super) lines_left_out: usize,
}

impl Gathered {
    pub(super) fn of(events: impl IntoIterator<Item = Event>) -> Gathered {
        let mut gathered = Gathered { servers: vec![Vec::new()], ..Gathered::default() };
        for event in events {
            gathered.take(event);
        }
        gathered.finish();
        gathered
    }

    fn take(&mut self, mut event: Event) {
        // Time does not go back in a record, and a browser's numbers are exact up to here.
        event.at = event.at.min(EXACT_MAX).max(self.end);
        let Event { at, server, ref kind } = event;
        self.end = at;
        self.history.happened(&event);
        if let Some(ServerId(server)) = server {
            self.grow(server);
        }
        let mine = server.map(|server| server.0).filter(|&server| server < SERVERS_MAX);
        let mut note = |what, values| self.note(at, mine, what, values);
        match kind {
            EventKind::RoleChanged { role, term } => {
                let role = match role {
                    Role::Follower => 0,
                    Role::Candidate => 1,
                    Role::Leader => 2,
                };
                note(What::Role, [role, term.0, 0]);
            }
            EventKind::TermChanged { term } => note(What::Term, [term.0, 0, 0]),
            EventKind::VoteGranted { term, to } => note(What::Vote, [to.0 as u64, term.0, 0]),
            EventKind::LogAppended { term, first, last } => {
                note(What::Append, [last.0, last.0.saturating_add(1).saturating_sub(first.0), term.0]);
            }
            EventKind::LogTruncated { last } => note(What::Truncate, [last.0, 0, 0]),
            EventKind::Committed { index } => note(What::Commit, [index.0, 0, 0]),
            EventKind::Applied { index, term } => note(What::Apply, [index.0, term.0, 0]),
            EventKind::SnapshotTaken { index, bytes } => note(What::Snapshot, [index.0, *bytes, 0]),
            EventKind::SnapshotInstalled { index, term } => note(What::Install, [index.0, term.0, 0]),
            EventKind::LogCompacted { index, term } => note(What::Compact, [index.0, term.0, 0]),
            EventKind::Restored { term, vote, snapshot_index, snapshot_term } => {
                note(What::Restore, [term.0, vote.map_or(0, |vote| 1 + vote.0 as u64), 0]);
                if snapshot_index.0 > 0 {
                    note(What::Compact, [snapshot_index.0, snapshot_term.0, 1]);
                }
            }
            EventKind::Persisted { bytes } => note(What::Persist, [*bytes, 0, 0]),
            EventKind::CommandSubmitted { index, term, bytes } => note(What::Command, [index.0, term.0, *bytes]),
            EventKind::LogLine { level, target, message } => self.line(at, mine, *level, target, message),
            EventKind::Failed { text } => {
                let text = self.cut_text(text, FAILURE_CHARS_MAX);
                self.failures.push((at, mine, text));
            }
            EventKind::Fault(fault) => self.fault(at, fault),
            EventKind::RunBegun { scenario, seed, servers, simulated } => {
                self.scenario.clone_from(scenario);
                self.grow((*servers).saturating_sub(1));
                let clock = if *simulated { "simulated" } else { "on threads" };
                self.about.extend([format!("seed {seed}"), format!("{servers} servers"), clock.to_owned()]);
            }
            EventKind::CalmFrom { moment } => {
                self.about.push(format!("nothing goes wrong from {} s on", *moment as f64 / 1e9));
            }
            EventKind::RunEnded { verdict, .. } => {
                self.verdict = verdict.to_string();
            }
            EventKind::CallsOmitted { since, calls, .. } => self.windows.push([(*since).min(at), at, *calls]),
            _ => self.call(event),
        }
    }

    /// What concerns an RPC.
    fn call(&mut self, event: Event) {
        let at = event.at;
        match event.kind {
            EventKind::RpcSent { call: number, from, to, method, bytes } => {
                let from = from.filter(|from| from.0 < SERVERS_MAX);
                match &to {
                    Peer::Server(to) if to.0 < SERVERS_MAX => self.grow(to.0),
                    Peer::Server(_) => return,
                    Peer::Named(name) => {
                        self.named.entry(name.to_string()).or_insert(0);
                    }
                }
                let method = self.text(&method);
                self.on_their_way.insert(number, self.calls.len());
                let fate = Fate::Open;
                self.calls.push(Call {
                    number,
                    sent: at,
                    from,
                    to,
                    method,
                    bytes,
                    delivered: None,
                    ended: None,
                    reply_bytes: 0,
                    fate,
                });
            }
            EventKind::RpcDelivered { call } => {
                if let Some(&place) = self.on_their_way.get(&call) {
                    self.calls[place].delivered = Some(at);
                }
            }
            EventKind::RpcAnswered { call, bytes } => {
                if let Some(place) = self.on_their_way.remove(&call) {
                    let call = &mut self.calls[place];
                    (call.ended, call.reply_bytes, call.fate) = (Some(at), bytes, Fate::Answered);
                }
            }
            EventKind::RpcLost { call, why } => {
                if let Some(place) = self.on_their_way.remove(&call) {
                    let call = &mut self.calls[place];
                    (call.ended, call.fate) = (Some(at), Fate::lost(why));
                }
            }
            _ => {}
        }
    }

    fn fault(&mut self, at: u64, fault: &Fault) {
        let (what, servers) = match fault {
            Fault::Crash(servers) => (Some(What::Crash), servers.clone()),
            Fault::Restart(servers) => (Some(What::Restart), servers.clone()),
            Fault::Connect(servers) | Fault::Disconnect(servers) => (None, servers.clone()),
            Fault::Partition(parts) => (None, parts.concat()),
        };
        for ServerId(server) in servers {
            self.grow(server);
            if let Some(what) = what.filter(|_| server < SERVERS_MAX) {
                self.note(at, Some(server), what, [0; 3]);
            }
        }
        self.faults.happened(at, fault);
    }

    fn line(&mut self, at: u64, server: Option<usize>, level: Level, target: &str, message: &str) {
        self.lines += 1;
        let values = [u64::from(self.text(message)), u64::from(self.text(target)), level as u64];
        self.note(at, server, What::Line, values);
    }

    fn note(&mut self, at: u64, server: Option<usize>, what: What, values: [u64; 3]) {
        let place = server.unwrap_or(self.servers.len() - 1);
        self.servers[place].push(Happening { at, what, values });
    }

    /// The cluster has a server of this number.
    fn grow(&mut self, server: usize) {
        while server < SERVERS_MAX && self.servers.len() <= server + 1 {
            self.servers.insert(self.servers.len() - 1, Vec::new());
        }
        self.faults.grow(self.servers.len() - 1);
    }

    /// The number of a text, cut as all texts of a page are.
    fn text(&mut self, text: &str) -> u32 {
        self.cut_text(text, TEXT_CHARS_MAX)
    }

    fn cut_text(&mut self, text: &str, chars_max: usize) -> u32 {
        let text = shortened(text, chars_max);
        if let Some(&number) = self.numbers.get(text.as_ref()) {
            return number;
        }
        let number = u32::try_from(self.texts.len()).expect("fewer than 2^32 texts");
        self.texts.push(text.clone().into_owned());
        self.numbers.insert(text.into_owned(), number);
        number
    }

    fn finish(&mut self) {
        self.history.finish(self.end);
        self.faults.finish(self.end);
        for (from, to, words) in std::mem::take(&mut self.faults.spans) {
            self.history.annotate(FAULTS, from, Some(to), &words, "", FAULT);
        }
        for (place, number) in self.named.values_mut().enumerate() {
            *number = place;
        }
        self.numbers = BTreeMap::new();
        self.on_their_way = BTreeMap::new();
        self.leave_out_lines();
    }

    /// Lines in the middle of a run that has too many.
    fn leave_out_lines(&mut self) {
        if self.lines <= LINES_MAX {
            return;
        }
        let mut times: Vec<u64> =
            self.servers.iter().flatten().filter(|row| row.what == What::Line).map(|row| row.at).collect();
        times.sort_unstable();
        let (from, to) = (times[LINES_MAX / 10], times[times.len() - LINES_MAX * 9 / 10]);
        for server in &mut self.servers {
            let before = server.len();
            server.retain(|row| row.what != What::Line || row.at <= from || row.at >= to);
            self.lines_left_out += before - server.len();
        }
        // Their texts stay numbered, but need not be carried.
        let mut used = vec![false; self.texts.len()];
        let rows = self.servers.iter().flatten().filter(|row| row.what == What::Line);
        rows.for_each(|row| row.values[..2].iter().for_each(|&text| used[text as usize] = true));
        self.calls.iter().for_each(|call| used[call.method as usize] = true);
        self.failures.iter().for_each(|(_, _, text)| used[*text as usize] = true);
        self.texts.iter_mut().zip(used).filter(|(_, used)| !used).for_each(|(text, _)| text.clear());
    }

    /// How many servers there are.
    pub(super) fn server_count(&self) -> usize {
        self.servers.len() - 1
    }
}

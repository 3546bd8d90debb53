//! The collection of a page's content from the events of a record, which are read one after the other.

use std::collections::BTreeMap;

use ids::ServerId;
use record::{Event, EventKind, Fault, Level, Peer, Role};

use super::calls::{Call, CallCount, RpcOutcome};
use super::faults::FaultBands;
use super::history::{FAULT, FAULTS, RunHistory};
use super::servers::{ServerEvent, ServerEventKind};
use crate::text::{TEXT_CHARS_MAX, shorten};

/// The largest number of servers of a cluster that can be drawn. Events of servers with greater numbers are ignored.
const SERVERS_MAX: usize = 200;

/// The largest number of logged lines on a page. If there are more, the first tenth and the last nine tenths of this
/// number are kept.
const LINES_MAX: usize = 20_000;

/// The largest number of characters of a failure's text. It may have the stacks of several threads, and it is the most
/// important text of the page.
const FAILURE_CHARS_MAX: usize = 8_000;

/// The limit up to which a browser's numbers are exact integers.
const EXACT_MAX: u64 = 1 << 53;

/// The content of the page of a run. Times are in nanoseconds on the run's clock.
#[derive(Default)]
pub(super) struct CollectedRun {
    pub(super) scenario: String,
    /// The contents of `RunBegun` and `RunEnded`, in words.
    pub(super) about: Vec<String>,
    /// `passed`, `failed` and so on, or empty.
    pub(super) verdict: String,
    /// The time of the last event.
    pub(super) end: u64,
    pub(super) calls: Vec<Call>,
    /// Calls that the record itself only counts.
    pub(super) windows: Vec<CallCount>,
    /// The receivers of calls that are not servers, numbered in the order of their names.
    pub(super) named: BTreeMap<String, usize>,
    /// The events of each server; at the end, the events that belong to no server.
    pub(super) servers: Vec<Vec<ServerEvent>>,
    pub(super) faults: FaultBands,
    pub(super) history: RunHistory,
    /// `(at, server, text)`
    pub(super) failures: Vec<(u64, Option<usize>, u32)>,
    /// Methods, lines and other texts, by number.
    pub(super) texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
    /// The calls in flight: the index of each call, by its number.
    in_flight: BTreeMap<u64, usize>,
    lines: usize,
    pub(super) lines_left_out: usize,
}

impl CollectedRun {
    pub(super) fn from_events(events: impl IntoIterator<Item = Event>) -> CollectedRun {
        let mut run = CollectedRun { servers: vec![Vec::new()], ..CollectedRun::default() };
        for event in events {
            run.add_event(event);
        }
        run.finish();
        run
    }

    fn add_event(&mut self, mut event: Event) {
        // Time does not go back in a record, and a browser's numbers are exact up to this limit.
        event.at = event.at.min(EXACT_MAX).max(self.end);
        let Event { at, server, ref kind } = event;
        self.end = at;
        self.history.add_event(&event);
        if let Some(ServerId(server)) = server {
            self.grow(server);
        }
        let mine = server.map(|server| server.0).filter(|&server| server < SERVERS_MAX);
        let mut add = |kind, values| self.add_row(at, mine, kind, values);
        match kind {
            EventKind::RoleChanged { role, term } => {
                let role = match role {
                    Role::Follower => 0,
                    Role::Candidate => 1,
                    Role::Leader => 2,
                };
                add(ServerEventKind::Role, [role, term.0, 0]);
            }
            EventKind::TermChanged { term } => add(ServerEventKind::Term, [term.0, 0, 0]),
            EventKind::VoteGranted { term, to } => add(ServerEventKind::Vote, [to.0 as u64, term.0, 0]),
            EventKind::LogAppended { term, first, last } => {
                add(ServerEventKind::Append, [last.0, last.0.saturating_add(1).saturating_sub(first.0), term.0]);
            }
            EventKind::LogTruncated { last } => add(ServerEventKind::Truncate, [last.0, 0, 0]),
            EventKind::Committed { index } => add(ServerEventKind::Commit, [index.0, 0, 0]),
            EventKind::Applied { index, term } => add(ServerEventKind::Apply, [index.0, term.0, 0]),
            EventKind::SnapshotTaken { index, bytes } => add(ServerEventKind::Snapshot, [index.0, *bytes, 0]),
            EventKind::SnapshotInstalled { index, term } => add(ServerEventKind::Install, [index.0, term.0, 0]),
            EventKind::LogCompacted { index, term } => add(ServerEventKind::Compact, [index.0, term.0, 0]),
            EventKind::Restored { term, vote, snapshot_index, snapshot_term } => {
                add(ServerEventKind::Restore, [term.0, vote.map_or(0, |vote| 1 + vote.0 as u64), 0]);
                if snapshot_index.0 > 0 {
                    add(ServerEventKind::Compact, [snapshot_index.0, snapshot_term.0, 1]);
                }
            }
            EventKind::Persisted { bytes } => add(ServerEventKind::Persist, [*bytes, 0, 0]),
            EventKind::CommandSubmitted { index, term, bytes } => {
                add(ServerEventKind::Command, [index.0, term.0, *bytes])
            }
            EventKind::LogLine { level, target, message } => self.add_line(at, mine, *level, target, message),
            EventKind::Failed { text } => {
                let text = self.cut_text(text, FAILURE_CHARS_MAX);
                self.failures.push((at, mine, text));
            }
            EventKind::Fault(fault) => self.add_fault(at, fault),
            EventKind::RunBegun { scenario, seed, servers, simulated } => {
                self.scenario.clone_from(scenario);
                self.grow((*servers).saturating_sub(1));
                let clock = if *simulated { "simulated" } else { "on threads" };
                self.about.extend([format!("seed {seed}"), format!("{servers} servers"), clock.to_owned()]);
            }
            EventKind::FaultCutoff { at } => {
                self.about.push(format!("no faults from {} s on", *at as f64 / 1e9));
            }
            EventKind::RunEnded { verdict, .. } => {
                self.verdict = verdict.to_string();
            }
            EventKind::CallsOmitted { since, calls, .. } => self.windows.push([(*since).min(at), at, *calls]),
            _ => self.add_call_event(event),
        }
    }

    /// Adds an event of an RPC.
    fn add_call_event(&mut self, event: Event) {
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
                self.in_flight.insert(number, self.calls.len());
                let outcome = RpcOutcome::InFlight;
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
                    outcome,
                });
            }
            EventKind::RpcDelivered { call } => {
                if let Some(&place) = self.in_flight.get(&call) {
                    self.calls[place].delivered = Some(at);
                }
            }
            EventKind::RpcReplied { call, bytes } => {
                if let Some(place) = self.in_flight.remove(&call) {
                    let call = &mut self.calls[place];
                    (call.ended, call.reply_bytes, call.outcome) = (Some(at), bytes, RpcOutcome::Replied);
                }
            }
            EventKind::RpcLost { call, reason } => {
                if let Some(place) = self.in_flight.remove(&call) {
                    let call = &mut self.calls[place];
                    (call.ended, call.outcome) = (Some(at), RpcOutcome::lost(reason));
                }
            }
            _ => {}
        }
    }

    fn add_fault(&mut self, at: u64, fault: &Fault) {
        let (kind, servers) = match fault {
            Fault::Crash(servers) => (Some(ServerEventKind::Crash), servers.clone()),
            Fault::Restart(servers) => (Some(ServerEventKind::Restart), servers.clone()),
            Fault::Connect(servers) | Fault::Disconnect(servers) => (None, servers.clone()),
            Fault::Partition(parts) => (None, parts.concat()),
        };
        for ServerId(server) in servers {
            self.grow(server);
            if let Some(kind) = kind.filter(|_| server < SERVERS_MAX) {
                self.add_row(at, Some(server), kind, [0; 3]);
            }
        }
        self.faults.add_fault(at, fault);
    }

    fn add_line(&mut self, at: u64, server: Option<usize>, level: Level, target: &str, message: &str) {
        self.lines += 1;
        let values = [u64::from(self.text(message)), u64::from(self.text(target)), level as u64];
        self.add_row(at, server, ServerEventKind::Line, values);
    }

    fn add_row(&mut self, at: u64, server: Option<usize>, kind: ServerEventKind, values: [u64; 3]) {
        let place = server.unwrap_or(self.servers.len() - 1);
        self.servers[place].push(ServerEvent { at, kind, values });
    }

    /// Ensures that the cluster has a server with this number.
    fn grow(&mut self, server: usize) {
        while server < SERVERS_MAX && self.servers.len() <= server + 1 {
            self.servers.insert(self.servers.len() - 1, Vec::new());
        }
        self.faults.grow(self.servers.len() - 1);
    }

    /// Returns the number of a text, which is cut like all texts of a page.
    fn text(&mut self, text: &str) -> u32 {
        self.cut_text(text, TEXT_CHARS_MAX)
    }

    fn cut_text(&mut self, text: &str, chars_max: usize) -> u32 {
        let text = shorten(text, chars_max);
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
        self.in_flight = BTreeMap::new();
        self.leave_out_lines();
    }

    /// Leaves out lines in the middle of a run that has too many.
    fn leave_out_lines(&mut self) {
        if self.lines <= LINES_MAX {
            return;
        }
        let mut times: Vec<u64> =
            self.servers.iter().flatten().filter(|row| row.kind == ServerEventKind::Line).map(|row| row.at).collect();
        times.sort_unstable();
        let (from, to) = (times[LINES_MAX / 10], times[times.len() - LINES_MAX * 9 / 10]);
        for server in &mut self.servers {
            let before = server.len();
            server.retain(|row| row.kind != ServerEventKind::Line || row.at <= from || row.at >= to);
            self.lines_left_out += before - server.len();
        }
        // Unused texts keep their numbers, but become empty.
        let mut used = vec![false; self.texts.len()];
        let rows = self.servers.iter().flatten().filter(|row| row.kind == ServerEventKind::Line);
        rows.for_each(|row| row.values[..2].iter().for_each(|&text| used[text as usize] = true));
        self.calls.iter().for_each(|call| used[call.method as usize] = true);
        self.failures.iter().for_each(|(_, _, text)| used[*text as usize] = true);
        self.texts.iter_mut().zip(used).filter(|(_, used)| !used).for_each(|(text, _)| text.clear());
    }

    /// The number of servers.
    pub(super) fn server_count(&self) -> usize {
        self.servers.len() - 1
    }
}

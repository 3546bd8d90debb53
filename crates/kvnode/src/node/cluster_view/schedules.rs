//! Random schedules of views: servers meet, save and restart, and one after the other is wiped, restored from an older
//! copy, or replaced. After each step, what the views have accepted must be possible:
//!
//! - All servers that have joined a cluster have joined the same one.
//! - A server admits no directory and no start that is older than what it has saved of that server.
//! - An empty directory does not take part where its server took part before, unless it is replaced.
//! - A replaced server takes part only when every other server has saved its new directory, and a majority has data.
//!
//! When the faults end, all servers take part again. At most one server has lost something at a time, because a cluster
//! without a majority of its data is refused.
//!
//! `SCHEDULES=30000 SCHEDULES_SEED=7 cargo test --release -p kvnode --lib schedules` runs others, and more of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// A step of a schedule. Numbers of servers are taken modulo the size of the cluster.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The first server connects to the second one, which answers if `is_answered`.
    Meet {
        from: usize,
        to: usize,
        is_answered: bool,
    },
    /// The server saves something, and sends a message to the other one.
    Save {
        from: usize,
        to: usize,
    },
    Restart(usize),
    /// The server's directory is copied.
    Copy(usize),
    /// The server loses its directory and starts in an empty one.
    Wipe(usize),
    /// The server starts with the last copy of its directory.
    Restore(usize),
    /// The server that has lost its data is started with `--replace`.
    Replace,
}

fn step() -> impl Strategy<Value = Step> {
    let meet = (0..5_usize, 0..5_usize, prop::bool::weighted(0.9)).prop_map(|(from, to, is_answered)| Step::Meet {
        from,
        to,
        is_answered,
    });
    prop_oneof![
        12 => meet,
        4 => (0..5_usize, 0..5_usize).prop_map(|(from, to)| Step::Save { from, to }),
        2 => (0..5_usize).prop_map(Step::Restart),
        1 => (0..5_usize).prop_map(Step::Copy),
        1 => (0..5_usize).prop_map(Step::Wipe),
        1 => (0..5_usize).prop_map(Step::Restore),
        1 => Just(Step::Replace),
    ]
}

/// A server's own record of another one, kept without the code under test.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Directories that were replaced.
    lost: BTreeSet<u64>,
    incarnation: Option<Incarnation>,
    saves: u64,
}

impl Seen {
    /// Returns whether the greeting is of an earlier state of the same directory.
    fn is_newer_than(&self, greeting: &Greeting) -> bool {
        let new = greeting.incarnation;
        self.incarnation
            .filter(|old| old.directory == new.directory && *old != new)
            .is_some_and(|old| new.start <= old.start || greeting.saves_at_start < self.saves)
    }
}

/// The content of a directory.
#[derive(Clone, Debug)]
struct Disk {
    membership: Membership,
    saves: u64,
    seen: BTreeMap<ServerId, Seen>,
    /// Whether the directory was empty when its server had taken part before.
    is_after_loss: bool,
}

/// A server: its disk, and its view if it runs.
struct Server {
    disk: Disk,
    copy: Option<Disk>,
    /// Whether the disk is a copy that was restored, or comes from one.
    is_copy: bool,
    view: Option<ClusterView>,
    /// As `disk.seen`, with what is not saved yet.
    seen: BTreeMap<ServerId, Seen>,
    term: Term,
}

/// The servers of a cluster.
struct World {
    servers: Vec<Server>,
    /// The server that has lost something and is not known to the others as it is now.
    lost: Option<ServerId>,
    /// The term of a server when it saved a directory of a replaced server.
    answers: BTreeMap<(usize, u64), Term>,
    /// The servers that have taken part at any time.
    have_taken_part: BTreeSet<ServerId>,
    cluster: Option<u128>,
    /// Whether a second server counts as lost, so that nothing is promised any more.
    is_over: bool,
    next_number: u64,
    counts: Counts,
}

/// The number of events. Schedules in which none of them happens would prove nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    founded: u64,
    admitted: u64,
    refused: u64,
    stopped: u64,
    replaced: u64,
}

impl World {
    fn new(servers: usize) -> World {
        let mut world = World {
            servers: Vec::new(),
            lost: None,
            answers: BTreeMap::new(),
            have_taken_part: BTreeSet::new(),
            cluster: None,
            is_over: false,
            next_number: 1,
            counts: Counts::default(),
        };
        for id in 0..servers {
            let disk = world.empty_disk(ServerId(id), Standing::New);
            world.servers.push(Server {
                seen: BTreeMap::new(),
                disk,
                copy: None,
                is_copy: false,
                view: None,
                term: Term(0),
            });
        }
        (0..servers).for_each(|id| world.start(id));
        world
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn empty_disk(&mut self, me: ServerId, standing: Standing) -> Disk {
        let is_after_loss = self.have_taken_part.contains(&me);
        let incarnation = Incarnation { directory: self.number(), start: 0, run: 0 };
        let membership = Membership { cluster: None, incarnation, standing, peers: BTreeMap::new() };
        Disk { membership, saves: 1, seen: BTreeMap::new(), is_after_loss }
    }

    /// Starts a server from its disk.
    fn start(&mut self, id: usize) {
        let run = self.number();
        let peers = (0..self.servers.len()).map(|id| format!("host-{id}")).collect();
        let server = &mut self.servers[id];
        let saves_at_start = server.disk.saves;
        server.disk.membership.incarnation.start += 1;
        server.disk.membership.incarnation.run = run;
        server.disk.saves += 1;
        server.seen = server.disk.seen.clone();
        server.view = Some(ClusterView::new(ServerId(id), peers, server.disk.membership.clone(), saves_at_start));
    }

    fn run(&mut self, step: Step) {
        if self.is_over {
            return;
        }
        let servers = self.servers.len();
        match step {
            Step::Meet { from, to, is_answered } if from % servers != to % servers => {
                self.connect(from % servers, to % servers, is_answered);
            }
            Step::Save { from, to } if from % servers != to % servers => self.send(from % servers, to % servers),
            Step::Meet { .. } | Step::Save { .. } => {}
            Step::Restart(id) => self.start(id % servers),
            Step::Copy(id) => self.servers[id % servers].copy = Some(self.servers[id % servers].disk.clone()),
            Step::Wipe(id) if self.may_lose(id % servers) => self.wipe(id % servers, Standing::New),
            Step::Restore(id) if self.may_lose(id % servers) => {
                let server = &mut self.servers[id % servers];
                if let Some(copy) = server.copy.clone() {
                    (server.disk, server.is_copy) = (copy, true);
                    self.lost = Some(ServerId(id % servers));
                    self.start(id % servers);
                }
            }
            Step::Wipe(_) | Step::Restore(_) => {}
            Step::Replace => {
                // An operator does this after the line that names the command.
                if let Some(ServerId(id)) = self.lost
                    && self.servers[id].view.is_none()
                {
                    self.wipe(id, Standing::Replacing);
                }
            }
        }
        self.check();
    }

    /// Returns whether a server may lose its data: no other server has lost its data.
    fn may_lose(&self, id: usize) -> bool {
        self.lost.is_none_or(|lost| lost.0 == id)
    }

    fn wipe(&mut self, id: usize, standing: Standing) {
        self.servers[id].disk = self.empty_disk(ServerId(id), standing);
        self.servers[id].is_copy = false;
        self.lost = Some(ServerId(id));
        self.start(id);
    }

    /// The server saves its view. A replaced server has caught up by then.
    fn save(&mut self, id: usize) {
        let server = &mut self.servers[id];
        if let Some(view) = &mut server.view {
            if matches!(view.membership.standing, Standing::CatchingUp(_)) {
                view.membership.standing = Standing::Member;
            }
            server.disk.membership = view.membership.clone();
            server.disk.seen = server.seen.clone();
            server.disk.saves += 1;
        }
    }

    /// `from` connects to `to`: `to` judges its greeting, and `from` judges the answer, as the loop does.
    fn connect(&mut self, from: usize, to: usize, is_answered: bool) {
        let Some(greeting) = self.greeting(from) else { return };
        if self.servers[to].view.is_none() {
            return;
        }
        match self.judge(to, &greeting) {
            Ok(true) if is_answered => {
                if let Some(answer) = self.greeting(to) {
                    let _ = self.judge(from, &answer);
                }
            }
            Ok(_) => {}
            Err(refusal) if refusal.must_stop && is_answered => {
                let by = self.greeting(to).expect("it runs");
                let view = self.servers[from].view.as_ref().expect("it runs");
                if view.check_age(&by).is_ok() {
                    self.stop(from, &by);
                }
            }
            Err(_) => {}
        }
    }

    fn greeting(&self, id: usize) -> Option<Greeting> {
        let server = &self.servers[id];
        server.view.as_ref().map(|view| view.greeting(server.term, Index(server.term.0)))
    }

    /// The server stops, because the sender of this greeting says that it has lost data.
    fn stop(&mut self, id: usize, by: &Greeting) {
        if self.lost != Some(ServerId(id)) {
            // The sender is an older copy, which nobody recognises (the window that `docs/storage.md` describes).
            let is_older = self.servers[id].seen.get(&by.from).is_some_and(|seen| seen.is_newer_than(by));
            assert!(self.servers[by.from.0].is_copy && !is_older, "S{id} must stop, but has lost nothing");
            self.is_over = true;
        }
        self.end(id);
    }

    fn end(&mut self, id: usize) {
        self.servers[id].view = None;
        self.counts.stopped += 1;
    }

    /// Lets `id` judge a greeting. Returns whether it still runs.
    fn judge(&mut self, id: usize, greeting: &Greeting) -> Result<bool, Refusal> {
        let view = self.servers[id].view.as_mut().expect("it runs");
        view.check_age(greeting)?;
        if view.check_own_record(greeting).is_err() {
            self.stop(id, greeting);
            return Ok(false);
        }
        let takes_part = view.takes_part();
        let effect = match view.receive(greeting) {
            Ok(effect) => effect,
            Err(refusal) => {
                self.counts.refused += 1;
                return Err(refusal);
            }
        };
        self.counts.admitted += 1;
        self.note_admission(id, greeting, takes_part, effect.replaced);
        if effect.must_save {
            self.save(id);
        }
        if effect.replaced {
            self.answers.insert((id, greeting.incarnation.directory), self.servers[id].term);
        }
        self.take_part(id);
        Ok(self.servers[id].view.is_some())
    }

    /// Checks that the admitted greeting is not older than what this server has seen.
    fn note_admission(&mut self, id: usize, greeting: &Greeting, takes_part: bool, replaced: bool) {
        let from = greeting.from;
        let seen = self.servers[id].seen.entry(from).or_default();
        let new = greeting.incarnation;
        // An empty directory may replace others repeatedly: it has never taken part.
        let is_lost = seen.lost.contains(&new.directory) && !replaced;
        assert!(!takes_part || !is_lost, "S{id} admits the lost directory of {from}");
        assert!(!seen.is_newer_than(greeting), "S{id} admits an older copy of {from}: {greeting:?} after {seen:?}");
        if seen.incarnation.is_none_or(|old| old.directory != new.directory) {
            let lost = seen.incarnation.filter(|_| takes_part || replaced).map(|old| old.directory);
            assert!(lost.is_none() || replaced, "S{id} admits another directory of {from}");
            seen.lost.extend(lost);
            seen.lost.remove(&new.directory);
            seen.saves = 0;
        }
        seen.incarnation = Some(new);
        seen.saves = seen.saves.max(greeting.saves_at_start);
    }

    /// Lets a server take its next step, and checks that it may.
    fn take_part(&mut self, id: usize) {
        let me = ServerId(id);
        let view = self.servers[id].view.as_mut().expect("it runs");
        if view.takes_part() {
            return;
        }
        let step = view.take_next_step();
        let have_majority = self.have_majority();
        match step {
            NextStep::Wait => return,
            NextStep::Stop(reason) => {
                assert!(!have_majority, "S{id} stops, but a majority has data: {reason}");
                return self.end(id);
            }
            NextStep::TakePart => {
                assert!(!self.servers[id].disk.is_after_loss, "S{id} takes part in an empty directory");
                self.counts.founded += 1;
            }
            NextStep::CatchUp { term, commit } => {
                let own = self.servers[id].disk.membership.incarnation.directory;
                for (other, server) in self.servers.iter().enumerate().filter(|(other, _)| *other != id) {
                    let known = server.disk.membership.peers.get(&me).map(|record| record.incarnation.directory);
                    assert_eq!(known, Some(own), "S{id} takes part before S{other} has saved its directory");
                    let answer = self.answers[&(other, own)];
                    assert!(answer <= term && answer.0 <= commit.0, "S{id} does not know term {answer} of S{other}");
                }
                assert!(have_majority, "S{id} replaces one of a lost majority");
                self.counts.replaced += 1;
            }
        }
        self.note_learned(id);
        self.save(id);
        self.have_taken_part.insert(me);
    }

    /// Notes the directories that a server has learned from a server of the cluster.
    fn note_learned(&mut self, id: usize) {
        let Server { view, seen, term, .. } = &mut self.servers[id];
        for (server, record) in &view.as_ref().expect("it runs").membership.peers {
            let seen = seen.entry(*server).or_default();
            if let Some(old) = seen.incarnation.filter(|old| old.directory != record.incarnation.directory) {
                seen.lost.insert(old.directory);
                seen.lost.remove(&record.incarnation.directory);
                *seen = Seen { incarnation: Some(record.incarnation), saves: 0, lost: seen.lost.clone() };
                self.answers.insert((id, record.incarnation.directory), *term);
            }
        }
    }

    /// `from` saves, and sends a message to `to`, which reads it if the two have admitted each other.
    fn send(&mut self, from: usize, to: usize) {
        self.servers[from].term.0 += 1;
        self.save(from);
        let saves = self.servers[from].disk.saves;
        let Some(run) = self.servers[from].view.as_ref().map(|view| view.membership.incarnation.run) else { return };
        let server = &mut self.servers[to];
        let Some(view) = server.view.as_mut().filter(|view| view.run_of(ServerId(from)) == Some(run)) else { return };
        if view.takes_part() && view.note_saves(ServerId(from), saves) {
            let seen = server.seen.entry(ServerId(from)).or_default();
            seen.saves = seen.saves.max(saves);
        }
    }

    /// Returns whether a majority of the directories have all of their data.
    fn have_majority(&self) -> bool {
        let has_data = |&(id, server): &(usize, &Server)| {
            server.disk.membership.standing.has_data() && self.lost != Some(ServerId(id))
        };
        self.servers.iter().enumerate().filter(has_data).count() > self.servers.len() / 2
    }

    /// Checks that there is one cluster, and notes whether the lost server is an ordinary one again.
    fn check(&mut self) {
        for server in &self.servers {
            if let Some(cluster) = server.disk.membership.cluster {
                assert_eq!(*self.cluster.get_or_insert(cluster), cluster, "two clusters were founded");
            }
        }
        if let Some(lost) = self.lost {
            let own = &self.servers[lost.0].disk.membership;
            let knows = |server: &Server| {
                server.disk.membership.peers.get(&lost).is_some_and(|record| record.incarnation == own.incarnation)
            };
            let others = self.servers.iter().enumerate().filter(|(id, _)| *id != lost.0);
            // An older copy may not know what its server knew before it takes part.
            let is_ready = own.standing.takes_part() || own.standing == Standing::New && !self.servers[lost.0].is_copy;
            if is_ready && others.map(|(_, server)| server).all(knows) {
                self.lost = None;
            }
        }
    }

    /// Lets all servers meet until all of them take part. A lost server is replaced.
    fn recover(&mut self) {
        if self.is_over || !self.have_majority() {
            // The line of a lost server says that it cannot be replaced.
            return;
        }
        let servers = self.servers.len();
        let pairs = || (0..servers).flat_map(|from| (0..servers).map(move |to| (from, to)));
        for _ in 0..10 {
            self.run(Step::Replace);
            for (from, to) in pairs().filter(|(from, to)| from != to) {
                self.run(Step::Meet { from, to, is_answered: true });
            }
            (0..servers).for_each(|id| self.save(id));
        }
        let is_member = |server: &Server| server.view.as_ref().is_some_and(|view| view.takes_part());
        assert!(self.is_over || self.servers.iter().all(is_member), "some server does not take part");
    }
}

#[test]
fn views_accept_nothing_impossible_in_random_schedules() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (cases, seed) = (number("SCHEDULES", 2_000), number("SCHEDULES_SEED", 1));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed as u8; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let totals = std::cell::Cell::new(Counts::default());
    let schedules = (prop_oneof![Just(2_usize), Just(3), Just(5)], prop::collection::vec(step(), 0..150));
    let result = runner.run(&schedules, |(servers, steps)| {
        let mut world = World::new(servers);
        steps.into_iter().for_each(|step| world.run(step));
        world.recover();
        totals.set(totals.get() + world.counts);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let Counts { founded, admitted, refused, stopped, replaced } = totals.get();
    println!("{cases} schedules: {:?}", totals.get());
    let few = u64::from(cases) / 10;
    assert!([founded, admitted, refused, stopped, replaced].iter().all(|&count| count > few), "too few events");
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            founded: self.founded + other.founded,
            admitted: self.admitted + other.admitted,
            refused: self.refused + other.refused,
            stopped: self.stopped + other.stopped,
            replaced: self.replaced + other.replaced,
        }
    }
}

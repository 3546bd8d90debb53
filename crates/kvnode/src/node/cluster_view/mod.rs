//! A server's knowledge of its cluster, and its judgement of greetings. This file decides and does no
//! I/O: the loop saves what has changed before it answers.
//!
//! # A new cluster
//!
//! New servers wait until all of them have met, and each has heard from each other one that it knows the same
//! directories. Then each computes the cluster's id from the random numbers of these directories, so they need no
//! leader to agree on it. A server that knows a directory of each other server has saved this, and accepts no other
//! new directory. So a server that takes part knows that no other cluster can be founded by the servers that it has
//! met, and from then on an empty directory of one of them is one that has lost data.
//!
//! # A server that lost its data
//!
//! It has an empty directory, an older copy of its directory, or a directory that was replaced. The others recognise it
//! by what they have saved of it, refuse it, and it stops. With `serve --replace` it waits until every other server has
//! answered; `raft::core::replacement` explains why every one must.

use raftapi::{Index, ServerId, Term};
use xxhash_rust::xxh3::xxh3_128;

use super::greeting::{Greeting, Refusal};
use crate::storage::{Incarnation, Membership, PeerRecord, Standing};

/// The command that an operator must run for a server without data.
pub(super) const REPLACE: &str = "run `kvnode serve --replace` with the same arguments while all other servers run";

/// A server's view of its cluster.
pub(super) struct ClusterView {
    pub(super) me: ServerId,
    /// The addresses of all servers, as this server was started with them.
    pub(super) peers: Vec<String>,
    /// The saved part.
    pub(super) membership: Membership,
    /// The number of durable commits that the directory had when it was opened.
    saves_at_start: u64,
    /// The last greeting of each other server since this one started.
    heard: Vec<Option<Heard>>,
}

/// The content of another server's last greeting.
#[derive(Clone, Debug)]
struct Heard {
    standing: Standing,
    cluster: Option<u128>,
    directories: Vec<Option<u64>>,
    term: Term,
    commit: Index,
}

/// The effect of a greeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GreetingEffect {
    /// Whether the membership has changed and must be saved.
    pub(super) must_save: bool,
    /// Whether the server has taken the place of one that lost its data.
    pub(super) replaced: bool,
}

/// The next step of a server that does not take part yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Others must be heard first.
    Wait,
    /// All servers have met: take part.
    TakePart,
    /// All others have answered: take part in `term`, with the own vote given, and store everything up to `commit`
    /// before voting.
    CatchUp {
        /// The highest term of the answers.
        term: Term,
        /// The highest commit index of the answers.
        commit: Index,
    },
    /// The server can never take part, for this reason.
    Stop(String),
}

impl ClusterView {
    pub(super) fn new(me: ServerId, peers: Vec<String>, membership: Membership, saves_at_start: u64) -> ClusterView {
        let heard = vec![None; peers.len()];
        ClusterView { me, peers, membership, saves_at_start, heard }
    }

    /// Returns whether this server takes part in the cluster.
    pub(super) fn takes_part(&self) -> bool {
        self.membership.standing.takes_part()
    }

    /// Returns the random number of the last known start of a server.
    pub(super) fn run_of(&self, server: ServerId) -> Option<u64> {
        self.membership.peers.get(&server).map(|record| record.incarnation.run)
    }

    /// Notes the number of durable commits of a server. Returns `false` if it is not a new one.
    pub(super) fn note_saves(&mut self, server: ServerId, saves: u64) -> bool {
        let record = self.membership.peers.get_mut(&server).filter(|record| record.saves < saves);
        record.is_some_and(|record| {
            record.saves = saves;
            true
        })
    }

    /// Returns the greeting of this server.
    pub(super) fn greeting(&self, term: Term, commit: Index) -> Greeting {
        let Membership { cluster, incarnation, standing, .. } = self.membership;
        Greeting {
            from: self.me,
            peers: self.peers.clone(),
            cluster,
            incarnation,
            saves_at_start: self.saves_at_start,
            standing,
            directories: self.directories(),
            term,
            commit,
        }
    }

    /// Judges the greeting of another server, and records what it says.
    ///
    /// # Errors
    ///
    /// If the two servers do not belong together, or the other one has lost data.
    pub(super) fn receive(&mut self, greeting: &Greeting) -> Result<GreetingEffect, Refusal> {
        let from = greeting.from;
        self.check_cluster(greeting)?;
        let known = self.membership.peers.get(&from).copied();
        self.check_age(greeting)?;
        let is_same = known.is_some_and(|known| known.incarnation.directory == greeting.incarnation.directory);
        let replaced = !is_same && self.check_other_directory(known.is_some(), greeting)?;
        // The saves of another directory say nothing about this one.
        let saves = known.filter(|_| is_same).map_or(0, |known| known.saves).max(greeting.saves_at_start);
        let record = PeerRecord { incarnation: greeting.incarnation, saves };
        let must_save = known.is_none_or(|known| known.incarnation != record.incarnation);
        self.membership.peers.insert(from, record);
        self.heard[from.0] = Some(Heard {
            standing: greeting.standing,
            cluster: greeting.cluster,
            directories: greeting.directories.clone(),
            term: greeting.term,
            commit: greeting.commit,
        });
        Ok(GreetingEffect { must_save, replaced })
    }

    /// Checks that the directory of another server is not an older copy of the known one.
    pub(super) fn check_age(&self, greeting: &Greeting) -> Result<(), Refusal> {
        match self.membership.peers.get(&greeting.from) {
            Some(known) if known.incarnation.directory == greeting.incarnation.directory => {
                check_same_directory(known, greeting)
            }
            _ => Ok(()),
        }
    }

    /// Checks that both servers are of the same cluster, as far as both know it.
    fn check_cluster(&self, greeting: &Greeting) -> Result<(), Refusal> {
        let Greeting { from, ref peers, cluster, .. } = *greeting;
        let me = self.me;
        if *peers != self.peers {
            return Err(Refusal::now(format!(
                "{from} has --peers {}, but {me} has --peers {}: start all servers with the same list",
                peers.join(","),
                self.peers.join(",")
            )));
        }
        match (cluster, self.membership.cluster) {
            (Some(theirs), Some(ours)) if theirs != ours => Err(Refusal::now(format!(
                "{from} belongs to cluster {theirs:032x}, but {me} belongs to cluster {ours:032x}: check --peers and \
                 --data of both"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks a directory of a server that is not the known one, or the first one. Returns whether it replaces the
    /// known one.
    fn check_other_directory(&self, is_known: bool, greeting: &Greeting) -> Result<bool, Refusal> {
        let from = greeting.from;
        match greeting.standing {
            // A server with data of an earlier version knows that there was an earlier directory only if it met it.
            Standing::New if self.takes_part() || is_known && (self.knows_all() || self.has_old_data()) => {
                Err(Refusal::of_lost_data(lost_directory(from)))
            }
            Standing::Replacing => Ok(true),
            _ if is_known && self.takes_part() => Err(Refusal::of_lost_data(format!(
                "the data directory of {from} was replaced by another one: start {from} with that directory, or, if it \
                 is lost, move this one away and {REPLACE}"
            ))),
            // This server does not take part yet, and may have met a directory that is not used any more.
            _ => Ok(false),
        }
    }

    /// Judges what another server knows of this one.
    ///
    /// # Errors
    ///
    /// One line, if this server has lost its data and must stop.
    pub(super) fn check_own_record(&self, greeting: &Greeting) -> Result<(), String> {
        let recorded = directory_in(&greeting.directories, self.me);
        let own = self.membership.incarnation.directory;
        let is_lost =
            self.membership.standing == Standing::New && greeting.standing.takes_part() && recorded != Some(own);
        if is_lost { Err(lost_directory(self.me)) } else { Ok(()) }
    }

    /// Returns the next step of a server that does not take part yet, and takes it in the membership.
    pub(super) fn take_next_step(&mut self) -> NextStep {
        let step = self.next_step();
        match step {
            NextStep::TakePart => self.membership.standing = Standing::Member,
            NextStep::CatchUp { commit, .. } => self.membership.standing = Standing::CatchingUp(commit),
            NextStep::Wait | NextStep::Stop(_) => return step,
        }
        self.join();
        step
    }

    fn next_step(&self) -> NextStep {
        let standing = self.membership.standing;
        // A server of the cluster that knows this very directory: it is new and has never taken part.
        let own = self.membership.incarnation.directory;
        let knows_this =
            |heard: &&Heard| heard.standing.takes_part() && directory_in(&heard.directories, self.me) == Some(own);
        match standing {
            Standing::CatchingUp(_) | Standing::Member => NextStep::Wait,
            Standing::New | Standing::Unregistered if self.heard.iter().flatten().any(|heard| knows_this(&heard)) => {
                NextStep::TakePart
            }
            _ if self.missing().next().is_some() => NextStep::Wait,
            Standing::New | Standing::Unregistered => self.found_cluster(),
            Standing::Replacing => self.replace(),
        }
    }

    /// All servers have met, and none belongs to a cluster yet.
    fn found_cluster(&self) -> NextStep {
        let others = || self.heard.iter().flatten().map(|heard| heard.standing);
        if others().any(Standing::takes_part) {
            // That server knows another directory of this one, and refuses it, or will tell the cluster's id.
            return NextStep::Wait;
        }
        let all = || others().chain([self.membership.standing]);
        if all().any(|standing| standing == Standing::Replacing) && !all().any(Standing::has_data) {
            // A server was lost before the cluster was founded. It stops and says so.
            return NextStep::Wait;
        }
        // A server saves its knowledge before it tells others.
        let own = self.directories();
        if self.heard.iter().flatten().any(|heard| heard.directories != own) {
            return NextStep::Wait;
        }
        if all().all(|standing| standing == Standing::New) {
            return NextStep::TakePart;
        }
        if all().any(|standing| standing == Standing::New) {
            let empty = self
                .others()
                .find(|other| self.heard[other.0].as_ref().is_some_and(|heard| heard.standing == Standing::New));
            let empty = empty.unwrap_or(self.me);
            let why = format!(
                "the data directory of {empty} is new, but other servers have data of an earlier version: start {empty} \
                 with its old directory, or, if it is lost, {REPLACE}"
            );
            return if empty == self.me { NextStep::Stop(why) } else { NextStep::Wait };
        }
        let with_data = all().filter(|standing| *standing == Standing::Unregistered).count();
        if with_data < self.majority() { NextStep::Wait } else { NextStep::TakePart }
    }

    /// All other servers have been heard by this server, which has no data.
    fn replace(&self) -> NextStep {
        let heard = || self.heard.iter().flatten();
        // A greeting that was written before its sender knew this directory is no answer: its sender still accepts
        // messages of the lost directory.
        let own = Some(self.membership.incarnation.directory);
        if heard().any(|heard| directory_in(&heard.directories, self.me) != own) {
            return NextStep::Wait;
        }
        if heard().all(|heard| heard.standing == Standing::New) {
            // Each of them knows this directory, and so founds no cluster any more. A write needs a majority that takes
            // part, so nothing was ever acknowledged.
            return NextStep::Stop(
                "this cluster was never founded, so there is no server to replace: move the data directories of all \
                 servers away, and start all of them without --replace"
                    .to_string(),
            );
        }
        let with_data = heard().filter(|heard| heard.standing.has_data()).count();
        if with_data < self.majority() {
            // Some of these may have their data soon, or have them since they were heard.
            if heard().any(|heard| matches!(heard.standing, Standing::CatchingUp(_) | Standing::New)) {
                return NextStep::Wait;
            }
            return NextStep::Stop(format!(
                "only {with_data} of {} servers have their data, which is not a majority: acknowledged writes may be \
                 lost, and no server can be replaced; put the data directories of more servers back, or restore a backup \
                 with `kvnode restore`",
                self.peers.len()
            ));
        }
        if heard().any(|heard| heard.standing == Standing::Unregistered) {
            // These servers take part first, and tell the cluster's id.
            return NextStep::Wait;
        }
        let term = heard().map(|heard| heard.term).max().unwrap_or_default();
        let commit = heard().map(|heard| heard.commit).max().unwrap_or_default();
        NextStep::CatchUp { term, commit }
    }

    /// Sets the cluster's id: that of a server which takes part already, or the one that all servers compute now.
    fn join(&mut self) {
        let joined = self.heard.iter().flatten().find(|heard| heard.standing.takes_part()).cloned();
        if let Some(Heard { cluster, directories, .. }) = joined {
            self.membership.cluster = cluster;
            self.learn_directories(&directories);
            return;
        }
        let directories: Vec<u8> =
            self.directories().into_iter().flat_map(|directory| directory.unwrap_or(0).to_le_bytes()).collect();
        self.membership.cluster = Some(xxh3_128(&directories));
    }

    /// Learns the directories of the cluster from a server that takes part. A new server may have met others with
    /// directories that are not those of the cluster.
    fn learn_directories(&mut self, directories: &[Option<u64>]) {
        for other in self.others() {
            let is_replacing = self.heard[other.0].as_ref().is_some_and(|heard| heard.standing == Standing::Replacing);
            let known = self.membership.peers.get(&other).map(|record| record.incarnation.directory);
            let directory = directory_in(directories, other);
            if let Some(directory) = directory.filter(|_| known != directory && !is_replacing) {
                let incarnation = Incarnation { directory, start: 0, run: 0 };
                self.membership.peers.insert(other, PeerRecord { incarnation, saves: 0 });
            }
        }
    }

    /// Returns the other servers that this one has not heard since its start.
    pub(super) fn missing(&self) -> impl Iterator<Item = ServerId> {
        self.others().filter(|other| self.heard[other.0].is_none())
    }

    fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.peers.len()).map(ServerId).filter(move |other| *other != me)
    }

    fn directories(&self) -> Vec<Option<u64>> {
        let directory = |server: ServerId| {
            if server == self.me {
                return Some(self.membership.incarnation.directory);
            }
            self.membership.peers.get(&server).map(|record| record.incarnation.directory)
        };
        (0..self.peers.len()).map(ServerId).map(directory).collect()
    }

    /// Returns whether this server knows a directory of every other server.
    pub(super) fn knows_all(&self) -> bool {
        self.others().all(|other| self.membership.peers.contains_key(&other))
    }

    fn has_old_data(&self) -> bool {
        self.membership.standing == Standing::Unregistered
    }

    fn majority(&self) -> usize {
        self.peers.len() / 2 + 1
    }
}

/// Returns the known directory of `server`, in a list that another server has sent.
fn directory_in(directories: &[Option<u64>], server: ServerId) -> Option<u64> {
    directories.get(server.0).copied().flatten()
}

/// Checks that a known directory has not gone back to an earlier state.
fn check_same_directory(known: &PeerRecord, greeting: &Greeting) -> Result<(), Refusal> {
    let (from, theirs, ours) = (greeting.from, greeting.incarnation, known.incarnation);
    let is_repeated = theirs.start == ours.start && theirs.run != ours.run;
    let problem = if theirs.start < ours.start || is_repeated {
        format!("it begins start {}, but {from} had begun start {} before", theirs.start, ours.start)
    } else if theirs != ours && greeting.saves_at_start < known.saves {
        format!("it had {} saves when it was opened, but {from} had made {}", greeting.saves_at_start, known.saves)
    } else {
        return Ok(());
    };
    Err(Refusal::of_lost_data(format!(
        "the data directory of {from} is an older copy: {problem}; start {from} with its latest directory, or, if that \
         is lost, move this one away and {REPLACE}"
    )))
}

/// Returns the reason to refuse a new directory of a server that had another one.
fn lost_directory(server: ServerId) -> String {
    format!(
        "the data directory of {server} is new, but {server} was in this cluster with another one: start {server} with \
         that directory, or, if it is lost, {REPLACE}"
    )
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod schedules;

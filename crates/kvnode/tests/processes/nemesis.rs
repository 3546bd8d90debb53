//! The source of faults of a soak. Processes are killed and stopped, and links are cut in one direction. Syncs are
//! slow, syncs fail, and disks are full. Data directories are emptied, restored from an older copy, or removed under a
//! running server. A server that stops must give the expected reason. A server without its data must stop until it is
//! replaced.
//!
//! A fault often has side faults: other servers are killed or stopped, and links are cut, while it happens and while a
//! lost server is replaced. Side faults lose no data, and at most one server is without its data at a time, because the
//! cluster promises nothing else: a majority must have its data.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use kvnode::node::NodeStatus;
use raftapi::ServerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cluster::Processes;

/// Time limit for a server to catch up.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
/// The interval at which the nemesis looks at a server.
const POLL: Duration = Duration::from_millis(20);

/// The source of faults. After each fault all servers run, are connected, and have their data.
pub(crate) struct Nemesis {
    pub(crate) cluster: Processes,
    rng: ChaCha8Rng,
    side_faults: Vec<SideFault>,
    /// The number of faults of each kind.
    pub(crate) counts: BTreeMap<&'static str, u32>,
    /// The number of side faults of each kind.
    pub(crate) side_counts: BTreeMap<&'static str, u32>,
    /// The number of servers that stopped by themselves, by reason.
    pub(crate) reasons: BTreeMap<&'static str, u32>,
}

/// A fault that ends when the nemesis says so.
enum SideFault {
    Killed(ServerId),
    Stopped(ServerId),
    /// The links on which the first server connects to the second one are cut.
    Cut(Vec<(ServerId, ServerId)>),
}

impl Nemesis {
    /// Takes over a cluster that was just started.
    pub(crate) fn new(cluster: Processes, seed: u64) -> Nemesis {
        let nemesis = Nemesis {
            cluster,
            rng: ChaCha8Rng::seed_from_u64(seed),
            side_faults: Vec::new(),
            counts: BTreeMap::new(),
            side_counts: BTreeMap::new(),
            reasons: BTreeMap::new(),
        };
        // Before the cluster is founded, a server has no data that it could lose.
        servers().for_each(|server| nemesis.wait_until_member(server));
        nemesis
    }

    /// Lets one fault happen, with its side faults, and then everything work for a while.
    pub(crate) fn fault(&mut self) {
        let server = ServerId(self.rng.random_range(0..servers().len()));
        let kind = match self.rng.random_range(0..100) {
            0..25 => self.kill_some(),
            25..40 => self.stop_and_continue(server),
            40..55 => self.cut_links(server),
            55..65 => self.sync_fails(server),
            65..75 => self.disk_is_full(server),
            75..83 => self.empty_directory(server),
            83..91 => self.older_copy(server),
            _ => self.remove_directory(server),
        };
        *self.counts.entry(kind).or_default() += 1;
        self.end_side_faults();
        self.pause(100..600);
    }

    fn pause(&mut self, milliseconds: Range<u64>) {
        thread::sleep(Duration::from_millis(self.rng.random_range(milliseconds)));
    }

    /// Lets up to two side faults happen to other servers than `server`, and to any links.
    fn begin_side_faults(&mut self, server: ServerId) {
        for other in servers().filter(|other| *other != server) {
            let (fault, kind) = match self.rng.random_range(0..100) {
                0..20 => {
                    self.cluster.kill(other);
                    (SideFault::Killed(other), "killed")
                }
                20..40 => {
                    self.cluster.signal(other, "STOP");
                    (SideFault::Stopped(other), "stopped")
                }
                40..55 => (self.cut_some_links(), "partitioned"),
                _ => continue,
            };
            self.side_faults.push(fault);
            *self.side_counts.entry(kind).or_default() += 1;
        }
    }

    /// Cuts some links, each in one direction.
    fn cut_some_links(&mut self) -> SideFault {
        let pairs = servers().flat_map(|from| servers().map(move |to| (from, to)));
        let cut: Vec<_> = pairs.filter(|(from, to)| from != to && self.rng.random_bool(0.5)).collect();
        cut.iter().for_each(|&(from, to)| self.cluster.set_link(from, to, false));
        SideFault::Cut(cut)
    }

    fn end_side_faults(&mut self) {
        for fault in std::mem::take(&mut self.side_faults) {
            match fault {
                SideFault::Killed(server) => self.cluster.boot(server),
                SideFault::Stopped(server) => self.cluster.signal(server, "CONT"),
                SideFault::Cut(links) => links.iter().for_each(|&(from, to)| self.cluster.set_link(from, to, true)),
            }
        }
    }

    /// Lets side faults happen for a while.
    fn side_faults(&mut self, server: ServerId, milliseconds: Range<u64>) {
        self.begin_side_faults(server);
        self.pause(milliseconds);
        self.end_side_faults();
    }

    fn kill_some(&mut self) -> &'static str {
        let killed: Vec<ServerId> = servers().filter(|_| self.rng.random_bool(0.5)).collect();
        killed.iter().for_each(|&id| self.cluster.kill(id));
        self.pause(0..300);
        killed.iter().for_each(|&id| self.cluster.boot(id));
        "killed"
    }

    fn stop_and_continue(&mut self, server: ServerId) -> &'static str {
        self.cluster.signal(server, "STOP");
        self.side_faults(server, 100..1500);
        self.cluster.signal(server, "CONT");
        "stopped"
    }

    fn cut_links(&mut self, server: ServerId) -> &'static str {
        let cut = self.cut_some_links();
        self.side_faults.push(cut);
        self.side_faults(server, 300..1500);
        "partitioned"
    }

    /// Makes each sync slow, and one of them fail: the server must stop, and starts again.
    fn sync_fails(&mut self, server: ServerId) -> &'static str {
        let (delay, failing) = (self.rng.random_range(0..20), self.rng.random_range(20..60));
        self.boot_with_faults(server, &format!("{delay}:{failing}:0"));
        self.side_faults(server, 100..1500);
        self.expect_stop(server, "failing sync", &[1], &["check whether the disk is full or broken"]);
        self.cluster.boot(server);
        "failing sync"
    }

    /// Fills the disk at some write: the server must stop. While the disk is full it cannot start. With free space it
    /// starts again, with its data.
    fn disk_is_full(&mut self, server: ServerId) -> &'static str {
        let (delay, full_at) = (self.rng.random_range(0..5), self.rng.random_range(1..200));
        let advice = ["check whether the disk is full or broken", "the disk is full: free some space"];
        self.boot_with_faults(server, &format!("{delay}:0:{full_at}"));
        self.side_faults(server, 100..1500);
        self.expect_stop(server, "full disk", &[1, 2], &advice);
        if self.rng.random_bool(0.5) {
            let full_at = self.rng.random_range(1..4);
            self.cluster.boot_with(server, &["--disk-faults", &format!("0:0:{full_at}")]);
            self.expect_stop(server, "disk that is full at the start", &[1, 2], &advice);
        }
        self.cluster.boot(server);
        "full disk"
    }

    fn boot_with_faults(&mut self, server: ServerId, faults: &str) {
        self.cluster.kill(server);
        self.cluster.boot_with(server, &["--disk-faults", faults]);
    }

    fn empty_directory(&mut self, server: ServerId) -> &'static str {
        self.cluster.kill(server);
        fs::remove_dir_all(self.cluster.data(server)).expect("a directory");
        self.cluster.boot(server);
        self.stops_and_is_replaced(server, "is new");
        "emptied"
    }

    fn older_copy(&mut self, server: ServerId) -> &'static str {
        let (data, copy) = (self.cluster.data(server), self.cluster.data(server).with_extension("copy"));
        self.cluster.kill(server);
        let _ = fs::remove_dir_all(&copy);
        crate::lost_data::copy(&data, &copy);
        self.cluster.boot(server);
        // The cluster promises nothing if only servers that cannot be reached know of the later start.
        self.wait_until_known_to_all(server);
        self.cluster.kill(server);
        fs::remove_dir_all(&data).expect("a directory");
        fs::rename(&copy, &data).expect("the copy");
        self.cluster.boot(server);
        self.stops_and_is_replaced(server, "is an older copy");
        "older copy"
    }

    fn remove_directory(&mut self, server: ServerId) -> &'static str {
        fs::remove_dir_all(self.cluster.data(server)).expect("a directory");
        self.expect_stop(server, "removed directory", &[1], &["was removed or replaced under the running server"]);
        self.cluster.boot(server);
        self.stops_and_is_replaced(server, "is new");
        "removed"
    }

    /// The server must stop for this reason as soon as it meets another one, and is then replaced. Side faults happen
    /// before either.
    fn stops_and_is_replaced(&mut self, server: ServerId, reason: &'static str) {
        self.side_faults(server, 0..1000);
        let line = self.expect_stop(server, reason, &[1], &[reason]);
        assert!(line.contains("serve --replace"), "{line}");
        let _ = fs::remove_dir_all(self.cluster.data(server));
        self.cluster.boot_with(server, &["--replace"]);
        self.side_faults(server, 0..1000);
        self.wait_until_member(server);
    }

    /// The server must stop by itself, with one of these statuses and one of these texts in its line. Returns the line.
    #[track_caller]
    fn expect_stop(&mut self, server: ServerId, reason: &'static str, codes: &[i32], texts: &[&str]) -> String {
        let (code, line) = self.cluster.wait_for_end(server);
        assert!(code.is_some_and(|code| codes.contains(&code)), "{code:?}: {line}");
        assert!(texts.iter().any(|text| line.contains(text)), "{line}");
        *self.reasons.entry(reason).or_default() += 1;
        line
    }

    /// Waits until the server follows or leads as an ordinary member.
    fn wait_until_member(&self, server: ServerId) {
        let is_member = |status: &NodeStatus| status.standing.is_empty() && status.leader.is_some();
        self.wait(server, "does not catch up", || self.cluster.status(server).as_ref().is_some_and(is_member));
    }

    /// Waits until all other servers have saved the present start of `server`.
    fn wait_until_known_to_all(&self, server: ServerId) {
        self.wait(server, "is not admitted by all others", || self.cluster.is_known_to_all(server));
    }

    fn wait(&self, server: ServerId, problem: &str, is_done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_done() {
            assert!(begun.elapsed() < TIMEOUT, "{server} {problem}: {}", self.cluster.log_tail(server));
            thread::sleep(POLL);
        }
    }
}

fn servers() -> impl ExactSizeIterator<Item = ServerId> {
    (0..3).map(ServerId)
}

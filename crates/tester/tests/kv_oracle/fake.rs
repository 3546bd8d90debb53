//! Key/value servers that agree by sharing one map in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::rng::{self, RngExt};
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{KvClerk, KvService, Persister, ServerId, Term};
use serde::{Deserialize, Serialize};
use tester::{Clock, KvSubject};

/// The mistake of a server, if it makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    Nothing,
    ExecutesDuplicates,
    LosesAppends,
    AddsSpace,
    SwapsAppends,
    ReadsOldValues,
    ReadsWhileCutOff,
    WritesWhileCutOff,
    DropsWaitingPuts,
    NeverRecovers,
    NeverAnswers,
    IgnoresRetries,
    ExecutesSlowly,
    SavesTooMuch,
    SavesUnrequestedSnapshot,
    SavesLargeSnapshot,
    NeverLeads,
    OutlivesKill,
}

/// Number of requests that clerks on threads have sent.
pub(super) static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Request {
    clerk: u64,
    number: u64,
    what: What,
    key: String,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    Get,
    Put,
    Append,
}

/// The store: all keys, shared by all servers.
#[derive(Default)]
struct Store {
    values: BTreeMap<String, String>,
    /// The values before the last writes.
    before: BTreeMap<String, String>,
    /// The last executed number of each clerk.
    done: BTreeMap<u64, u64>,
    operations: u64,
    /// An append that is executed after the next one.
    late: Option<Request>,
}

/// A fake server. It leads if it reaches no server with a lower number. It executes an operation if it leads and
/// reaches a majority.
pub(super) struct Fake(Arc<Inner>);

struct Inner {
    me: ServerId,
    mistake: Mistake,
    peers: Vec<ClientEnd>,
    store: Arc<Mutex<Store>>,
    /// Whether it was ever cut off from the majority.
    was_cut_off: AtomicBool,
}

impl Fake {
    pub(super) fn with(mistake: Mistake) -> KvSubject {
        let store: Arc<Mutex<Option<Arc<Mutex<Store>>>>> = Arc::default();
        KvSubject::with_factory(move |peers, me, persister, _| {
            let store = Arc::clone(store.lock().get_or_insert_default());
            let was_cut_off = AtomicBool::new(false);
            match mistake {
                Mistake::SavesTooMuch => persister.save(vec![0; 8001], Bytes::new()),
                Mistake::SavesUnrequestedSnapshot => persister.save(vec![], Bytes::from_static(&[0])),
                Mistake::SavesLargeSnapshot => persister.save(vec![], Bytes::from_static(&[0; 501])),
                Mistake::OutlivesKill => {
                    thread::spawn("survivor", || thread::sleep(Duration::from_secs(100)));
                }
                _ => {}
            }
            Fake(Arc::new(Inner { me, mistake, peers, store, was_cut_off }))
        })
    }
}

impl KvService for Fake {
    type Clerk = FakeClerk;

    fn make(_: Vec<ClientEnd>, _: ServerId, _: Arc<Persister>, _: Option<usize>) -> Fake {
        unreachable!("these servers are made by `Fake::with`")
    }

    fn services(&self) -> Vec<Service> {
        let inner = Arc::clone(&self.0);
        let ask = move |request: Request| inner.ask(&request);
        let service = Service::new("Fake").nonblocking_method("Ping", |(): ()| ());
        // Only the network stops a clerk that never gets an answer and never waits.
        let at_once = self.0.mistake == Mistake::IgnoresRetries;
        vec![if at_once { service.nonblocking_method("Ask", ask) } else { service.method("Ask", ask) }]
    }

    fn get_state(&self) -> (Term, bool) {
        (Term(self.0.me.0 as u64), self.0.leads() && self.0.mistake != Mistake::NeverLeads)
    }

    fn kill(&self) {}
}

impl Inner {
    fn ask(&self, request: &Request) -> Option<String> {
        let Inner { mistake, was_cut_off, .. } = self;
        if !self.leads() {
            return None;
        }
        if !self.reaches_majority() {
            let answers = match mistake {
                Mistake::ReadsWhileCutOff => request.what == What::Get,
                Mistake::WritesWhileCutOff => request.what == What::Put,
                _ => false,
            };
            was_cut_off.store(true, SeqCst);
            return answers.then(String::new);
        }
        if was_cut_off.load(SeqCst) {
            match mistake {
                Mistake::DropsWaitingPuts if request.what == What::Put => return Some(String::new()),
                Mistake::NeverRecovers => return None,
                _ => {}
            }
        }
        if *mistake == Mistake::ExecutesSlowly {
            thread::sleep(Duration::from_millis(35));
        }
        let mut store = self.store.lock();
        store.operations += 1;
        let again = store.done.get(&request.clerk) == Some(&request.number);
        if *mistake == Mistake::NeverAnswers && store.operations > 100 || *mistake == Mistake::IgnoresRetries && again {
            return None;
        }
        Some(store.execute(request, *mistake))
    }

    fn leads(&self) -> bool {
        !self.peers[..self.me.0].iter().any(reached)
    }

    fn reaches_majority(&self) -> bool {
        let others = self.peers.iter().enumerate().filter(|(peer, _)| *peer != self.me.0);
        let enough = self.peers.len() / 2;
        others.filter(|(_, peer)| reached(peer)).take(enough).count() == enough
    }
}

fn reached(peer: &ClientEnd) -> bool {
    peer.call::<(), ()>("Fake.Ping", &()).is_some()
}

impl Store {
    fn execute(&mut self, request: &Request, mistake: Mistake) -> String {
        let Request { clerk, number, what, key, value } = request;
        let some = self.operations.is_multiple_of(20);
        if *what == What::Get {
            let values = if mistake == Mistake::ReadsOldValues && some { &self.before } else { &self.values };
            return values.get(key).cloned().unwrap_or_default();
        }
        if self.done.insert(*clerk, *number) == Some(*number) && mistake != Mistake::ExecutesDuplicates {
            return String::new();
        }
        let present = self.values.entry(key.clone()).or_default();
        self.before.insert(key.clone(), present.clone());
        if *what == What::Put {
            present.clone_from(value);
            return String::new();
        }
        match mistake {
            Mistake::LosesAppends if some => {}
            Mistake::AddsSpace if some => present.push_str(&format!("{value} ")),
            Mistake::SwapsAppends if some => self.late = Some(request.clone()),
            _ => present.push_str(value),
        }
        if self.late.as_ref().is_some_and(|late| late.key == *key && late.number != *number)
            && let Some(late) = self.late.take()
        {
            present.push_str(&late.value);
        }
        String::new()
    }
}

/// A clerk that retries without a pause.
pub(super) struct FakeClerk {
    clerk: u64,
    number: u64,
    servers: Vec<ClientEnd>,
}

impl FakeClerk {
    fn ask(&mut self, what: What, key: &str, value: &str) -> String {
        self.number += 1;
        let (clerk, number) = (self.clerk, self.number);
        let request = Request { clerk, number, what, key: key.to_string(), value: value.to_string() };
        loop {
            ATTEMPTS.fetch_add(u64::from(labstd::clock() == Clock::Threads), SeqCst);
            let reply = self.servers[0].call::<Request, Option<String>>("Fake.Ask", &request);
            match reply.flatten() {
                Some(value) => return value,
                None => self.servers.rotate_left(1),
            }
        }
    }
}

impl KvClerk for FakeClerk {
    fn make(servers: Vec<ClientEnd>) -> FakeClerk {
        let clerk = rng::stream(&format!("asker/{}", servers[0].name())).random();
        FakeClerk { clerk, number: 0, servers }
    }
    fn get(&mut self, key: &str) -> String {
        self.ask(What::Get, key, "")
    }
    fn put(&mut self, key: &str, value: &str) {
        self.ask(What::Put, key, value);
    }
    fn append(&mut self, key: &str, value: &str) {
        self.ask(What::Append, key, value);
    }
}

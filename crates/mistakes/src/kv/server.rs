//! A server of the service: handlers that start a command and wait, one applier thread, and the making of snapshots.

use labrpc::{ClientEnd, Service};
use labstd::channel::{self, Receiver, RecvTimeoutError};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{ApplyMsg, Index, KvService, Persister, Raft, ServerId, Started, Term, report};

use super::clerk::{Clerk, NO_MISTAKE};
use super::messages::{Operation, Reply, Request};
use super::mistake::KvMistake;
use super::state::{State, Store};

/// Interval at which a waiting handler checks whether its command can still be applied, and the applier whether the
/// server was killed.
const POLL: Duration = Duration::from_millis(50);

/// A server of the service, over a Raft of type `R`. Its clerks make the mistake number `CLERK`, or none.
pub struct KvServer<R: Raft, const CLERK: u8 = NO_MISTAKE>(Arc<Server<R>>);

/// The state that the handlers and the applier share.
struct Server<R: Raft> {
    raft: R,
    max_raft_state: Option<usize>,
    mistake: Option<KvMistake>,
    state: Mutex<State>,
    /// Signalled when an entry was applied, and when the server is killed.
    applied: Condvar,
}

impl<R: Raft, const CLERK: u8> KvServer<R, CLERK> {
    /// Returns a function that makes servers with `mistake`, or correct servers if there is none. Their Rafts are
    /// correct.
    pub fn factory(
        mistake: Option<KvMistake>,
    ) -> impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Option<usize>) -> KvServer<R, CLERK> + Send + Sync + 'static
    {
        move |peers, me, persister, max_raft_state| {
            KvServer::start_server(peers, me, persister, max_raft_state, mistake)
        }
    }

    fn start_server(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        max_raft_state: Option<usize>,
        mistake: Option<KvMistake>,
    ) -> KvServer<R, CLERK> {
        let saved = persister.read_snapshot();
        let starts_empty = saved.is_empty() || mistake == Some(KvMistake::DoesNotReadItsSnapshotBack);
        let store = if starts_empty { Store::default() } else { read_snapshot(&saved) };
        let (apply_tx, apply_rx) = channel::bounded(1);
        let raft = R::make(peers, me, persister, apply_tx);
        let state = Mutex::new(State::new(store));
        let server = Arc::new(Server { raft, max_raft_state, mistake, state, applied: Condvar::new() });
        let applying = Arc::clone(&server);
        thread::spawn(format!("kv-applier-{me}"), move || applying.apply(&apply_rx));
        KvServer(server)
    }
}

impl<R: Raft, const CLERK: u8> KvService for KvServer<R, CLERK> {
    type Clerk = Clerk<CLERK>;

    fn make(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        max_raft_state: Option<usize>,
    ) -> KvServer<R, CLERK> {
        KvServer::start_server(peers, me, persister, max_raft_state, None)
    }

    fn services(&self) -> Vec<Service> {
        let [getting, putting, appending] = [0; 3].map(|_| Arc::clone(&self.0));
        let service = Service::new("KvServer")
            .method("Get", move |request| getting.get(&request))
            .method("Put", move |request| putting.propose_and_wait(&request))
            .method("Append", move |request| appending.propose_and_wait(&request));
        let mut services = self.0.raft.services();
        services.push(service);
        services
    }

    fn get_state(&self) -> (Term, bool) {
        self.0.raft.get_state()
    }

    fn kill(&self) {
        if !self.0.makes(KvMistake::DoesNotWakeWaitersWhenKilled) {
            self.0.state.lock().killed = true;
            self.0.applied.notify_all();
        }
        self.0.raft.kill();
    }
}

/// The handlers.
impl<R: Raft> Server<R> {
    fn get(&self, request: &Request) -> Reply {
        if let Operation::Get { key } = &request.operation {
            let (term, leads) = self.raft.get_state();
            let state = self.state.lock();
            let local = match self.mistake {
                Some(KvMistake::ServesReadsLocally) => leads,
                Some(KvMistake::ServesReadsAsAFollower) => true,
                Some(KvMistake::ReadsBeforeItsFirstEntry) => leads && state.latest_term() != Some(term),
                _ => false,
            };
            if local {
                return state.store.get(key);
            }
        }
        self.propose_and_wait(request)
    }

    /// Puts the request into the log, and waits until it is executed. A request that was executed before is not put
    /// into the log again.
    fn propose_and_wait(&self, request: &Request) -> Reply {
        if self.is_duplicate(&self.state.lock().store, request) {
            let refuses = self.makes(KvMistake::RefusesADuplicate);
            return if refuses { Reply::ErrWrongLeader } else { Reply::written() };
        }
        if self.makes(KvMistake::WaitsBeforeItProposes) {
            thread::sleep(POLL);
        }
        let started = self.raft.start(labgob::encode(request));
        if started.is_some() && !request.operation.is_read() && self.makes(KvMistake::AnswersBeforeItApplies) {
            return Reply::written();
        }
        started.and_then(|started| self.wait_for(started)).unwrap_or(Reply::ErrWrongLeader)
    }

    /// Waits until a started command is applied, and returns its reply; `None` if the command is lost, or may be.
    fn wait_for(&self, Started { index, term }: Started) -> Option<Reply> {
        let mut state = self.state.lock();
        loop {
            if let Some((applied, reply)) = state.outcome(index) {
                // Index and term together identify an entry (section 5.3, Log Matching). An entry of another term is
                // another command, and this one is lost.
                let same_entry = *applied == term || self.makes(KvMistake::RepliesByIndexAlone);
                return same_entry.then(|| reply.clone());
            }
            if state.killed || state.is_evicted(index) || !self.still_leads(term) {
                return None;
            }
            if self.makes(KvMistake::HoldsItsLockWhileItWaits) {
                thread::sleep(POLL);
            } else {
                self.applied.wait_for(&mut state, POLL);
            }
        }
    }

    /// Reports whether a command that this server started in `term` may still be applied. An isolated leader believes
    /// so until it hears of a new leader.
    fn still_leads(&self, term: Term) -> bool {
        self.makes(KvMistake::NeverChecksThatItStillLeads) || self.raft.get_state() == (term, true)
    }
}

/// The applier.
impl<R: Raft> Server<R> {
    /// Runs the applier thread: it applies the messages of the Raft in order until the server is killed.
    fn apply(&self, apply_ch: &Receiver<ApplyMsg>) {
        while !self.state.lock().killed {
            match apply_ch.recv_timeout(POLL) {
                Ok(ApplyMsg::Command { index, term, command }) => {
                    self.apply_command(index, term, &command);
                    self.make_snapshot_if_large(index);
                }
                Ok(ApplyMsg::Snapshot { index, term, snapshot }) => self.install_snapshot(index, term, &snapshot),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn apply_command(&self, index: Index, term: Term, command: &[u8]) {
        let mut request: Request =
            labgob::decode(command).unwrap_or_else(|error| panic!("a command in the log is damaged: {error}"));
        if self.makes(KvMistake::TracksAllClientsAsOne) {
            request.client = 0;
        }
        let mut state = self.state.lock();
        // The store contains all entries that a snapshot covers.
        if index <= state.store.last_applied {
            return;
        }
        report::applied(index, term);
        state.store.last_applied = index;
        // A retry may have entered the log before the first attempt was applied.
        let duplicate =
            self.is_duplicate(&state.store, &request) && !self.makes(KvMistake::ChecksForDuplicatesOnlyOnArrival);
        if duplicate && self.makes(KvMistake::DoesNotReplyToADuplicate) {
            return;
        }
        if self.makes(KvMistake::KeepsEverySerial) {
            state.store.all_serials.push(request.serial);
        }
        let reply = if duplicate { Reply::written() } else { state.store.execute(request) };
        state.store_outcome(index, term, reply);
        self.applied.notify_all();
    }

    /// Installs a snapshot of the leader, which covers entries that the leader's log no longer has.
    fn install_snapshot(&self, index: Index, term: Term, snapshot: &[u8]) {
        let mut state = self.state.lock();
        if index > state.store.last_applied && !self.makes(KvMistake::IgnoresAnInstalledSnapshot) {
            report::snapshot_installed(index, term);
            state.store = read_snapshot(snapshot);
        }
    }
}

/// Snapshots: section 7.
impl<R: Raft> Server<R> {
    /// Makes a snapshot up to `index`, the last applied entry, if the saved Raft state is too large.
    fn make_snapshot_if_large(&self, index: Index) {
        let max = match self.max_raft_state {
            Some(max) if !self.makes(KvMistake::NeverMakesASnapshot) => max,
            None if self.makes(KvMistake::MakesUnrequestedSnapshots) => 0,
            _ => return,
        };
        if self.raft.persist_bytes() >= max {
            let mut store = self.state.lock().store.clone();
            if self.makes(KvMistake::OmitsDuplicatesFromTheSnapshot) {
                store.newest_serials.clear();
            }
            let snapshot = labgob::encode(&store);
            report::snapshot_taken(index, snapshot.len());
            self.raft.snapshot(index, snapshot);
        }
    }
}

impl<R: Raft> Server<R> {
    /// Section 8: "If it receives a command whose serial number has already been executed, it responds immediately
    /// without re-executing the request." Reads are never duplicates, because executing one again does no harm.
    fn is_duplicate(&self, store: &Store, request: &Request) -> bool {
        !request.operation.is_read() && store.has_executed(request) && !self.makes(KvMistake::ReexecutesARetry)
    }

    fn makes(&self, mistake: KvMistake) -> bool {
        self.mistake == Some(mistake)
    }
}

/// Decodes a snapshot.
///
/// # Panics
///
/// If the snapshot is damaged.
fn read_snapshot(snapshot: &[u8]) -> Store {
    labgob::decode(snapshot).unwrap_or_else(|error| panic!("a snapshot is damaged: {error}"))
}

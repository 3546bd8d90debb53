//! A server of the service: handlers that start a command and wait, one thread that applies, and when a snapshot is
//! made.

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

/// How often a handler that waits looks whether there is still something to wait for, and the applier whether it is to
/// stop.
const LOOK: Duration = Duration::from_millis(50);

/// A server of the service, over a Raft of the sort `R`. Its clerks make the mistake number `CLERK`, or none.
pub struct KvServer<R: Raft, const CLERK: u8 = NO_MISTAKE>(Arc<Server<R>>);

/// What the handlers and the applier share.
struct Server<R: Raft> {
    raft: R,
    max_raft_state: Option<usize>,
    mistake: Option<KvMistake>,
    state: Mutex<State>,
    /// Signalled when something was applied, and at the end.
    applied: Condvar,
}

impl<R: Raft, const CLERK: u8> KvServer<R, CLERK> {
    /// A maker of servers that make `mistake`, or none. Their Rafts make none.
    pub fn making(
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
        let nothing = saved.is_empty() || mistake == Some(KvMistake::DoesNotReadItsSnapshotBack);
        let store = if nothing { Store::default() } else { read_snapshot(&saved) };
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
            .method("Put", move |request| putting.agree_on(&request))
            .method("Append", move |request| appending.agree_on(&request));
        let mut services = self.0.raft.services();
        services.push(service);
        services
    }

    fn get_state(&self) -> (Term, bool) {
        self.0.raft.get_state()
    }

    fn kill(&self) {
        if !self.0.makes(KvMistake::ForgetsTheWaitersWhenItIsKilled) {
            self.0.state.lock().killed = true;
            self.0.applied.notify_all();
        }
        self.0.raft.kill();
    }
}

/// The handlers.
impl<R: Raft> Server<R> {
    fn get(&self, request: &Request) -> Reply {
        if let Operation::Get { key } = &request.operation
            && self.makes(KvMistake::AnswersReadsLocally)
            && self.raft.get_state().1
        {
            return self.state.lock().store.get(key);
        }
        self.agree_on(request)
    }

    /// Puts the request into the log, and waits until it is done. What is done already need not be in the log again.
    fn agree_on(&self, request: &Request) -> Reply {
        if self.is_done(&self.state.lock().store, request) {
            let refuses = self.makes(KvMistake::RefusesADuplicate);
            return if refuses { Reply::ErrWrongLeader } else { Reply::done() };
        }
        let started = self.raft.start(labgob::encode(request));
        started.and_then(|started| self.wait_for(started)).unwrap_or(Reply::ErrWrongLeader)
    }

    /// Waits until a command is applied; `None` if it is lost, or might be.
    fn wait_for(&self, Started { index, term }: Started) -> Option<Reply> {
        let mut state = self.state.lock();
        loop {
            if let Some((applied, reply)) = state.outcome(index) {
                // An entry is known by its index and its term (section 5.3, Log Matching). One of another term is
                // somebody else's command; this one is lost.
                let mine = *applied == term || self.makes(KvMistake::AnswersByIndexAlone);
                return mine.then(|| reply.clone());
            }
            if state.killed || state.is_forgotten(index) || !self.still_leads_in(term) {
                return None;
            }
            if self.makes(KvMistake::HoldsItsLockWhileItWaits) {
                thread::sleep(LOOK);
            } else {
                self.applied.wait_for(&mut state, LOOK);
            }
        }
    }

    /// Whether what this server started in `term` may still become something here. A leader that is cut off does not
    /// know better until it hears of a new one.
    fn still_leads_in(&self, term: Term) -> bool {
        self.makes(KvMistake::NeverLooksWhetherItStillLeads) || self.raft.get_state() == (term, true)
    }
}

/// The applier.
impl<R: Raft> Server<R> {
    /// Takes what the Raft delivers, one after the other, until the server is killed.
    fn apply(&self, apply_ch: &Receiver<ApplyMsg>) {
        while !self.state.lock().killed {
            match apply_ch.recv_timeout(LOOK) {
                Ok(ApplyMsg::Command { index, term, command }) => {
                    self.take_command(index, term, &command);
                    self.make_snapshot_if_due(index);
                }
                Ok(ApplyMsg::Snapshot { index, term, snapshot }) => self.take_snapshot(index, term, &snapshot),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take_command(&self, index: Index, term: Term, command: &[u8]) {
        let request: Request =
            labgob::decode(command).unwrap_or_else(|error| panic!("a command in the log is damaged: {error}"));
        let mut state = self.state.lock();
        // What a snapshot covers is in the store.
        if index <= state.store.last_applied {
            return;
        }
        report::applied(index, term);
        state.store.last_applied = index;
        // It may have been put into the log again before it was done.
        let done = self.is_done(&state.store, &request) && !self.makes(KvMistake::LooksForDuplicatesOnlyWhenAsked);
        if done && self.makes(KvMistake::LeavesTheWaiterOfADuplicate) {
            return;
        }
        let reply = if done { Reply::done() } else { state.store.execute(request) };
        state.keep_outcome(index, term, reply);
        self.applied.notify_all();
    }

    /// The leader has sent a snapshot, because this server lacks what is no longer in anybody's log.
    fn take_snapshot(&self, index: Index, term: Term, snapshot: &[u8]) {
        let mut state = self.state.lock();
        if index > state.store.last_applied && !self.makes(KvMistake::IgnoresASnapshotThatComes) {
            report::snapshot_installed(index, term);
            state.store = read_snapshot(snapshot);
        }
    }
}

/// Snapshots: section 7.
impl<R: Raft> Server<R> {
    /// Makes a snapshot of everything up to `index`, the last entry that was applied, if the log has grown too long.
    fn make_snapshot_if_due(&self, index: Index) {
        let max = match self.max_raft_state {
            Some(max) if !self.makes(KvMistake::NeverMakesASnapshot) => max,
            None if self.makes(KvMistake::MakesSnapshotsUnasked) => 0,
            _ => return,
        };
        if self.raft.persist_bytes() >= max {
            let mut store = self.state.lock().store.clone();
            if self.makes(KvMistake::LeavesTheDuplicatesOutOfTheSnapshot) {
                store.done.clear();
            }
            let snapshot = labgob::encode(&store);
            report::snapshot_taken(index, snapshot.len());
            self.raft.snapshot(index, snapshot);
        }
    }
}

impl<R: Raft> Server<R> {
    /// Section 8: "If it receives a command whose serial number has already been executed, it responds immediately
    /// without re-executing the request." To read once more does no harm.
    fn is_done(&self, store: &Store, request: &Request) -> bool {
        !request.operation.is_read() && store.has_done(request) && !self.makes(KvMistake::ExecutesARetryAgain)
    }

    fn makes(&self, mistake: KvMistake) -> bool {
        self.mistake == Some(mistake)
    }
}

/// What a snapshot says.
///
/// # Panics
///
/// If it is damaged.
fn read_snapshot(snapshot: &[u8]) -> Store {
    labgob::decode(snapshot).unwrap_or_else(|error| panic!("a snapshot is damaged: {error}"))
}

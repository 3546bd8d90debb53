//! The cost of one committed operation, layer by layer: a Put of 16 bytes by one clerk, on threads, three servers, a
//! reliable network. `cargo bench --manifest-path bench/Cargo.toml --bench hops` measures the whole, its layers, and
//! the least possible cost.
//!
//! Every row contains the rows that it names, so the cost of a layer is the difference. `docs/performance.md` explains
//! the table.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use kvraft::messages::{Command, Operation, OperationId, Reply, WriteArgs};
use kvraft::{Clerk, KvServer};
use labrpc::{Answer, ClientEnd, Network, Server, Service};
use labstd::sync::{Arc, Condvar, Mutex, Weak};
use labstd::time::Duration;
use labstd::{channel, thread};
use raft::Raft;
use raft::core::{AppendEntriesArgs, Core, Entry};
use raftapi::{Consumer, Index, KvClerk, KvService, Persister, Raft as _, RaftExt as _, ServerId, Term};

const SERVERS: usize = 3;

/// Number of measurements of each row; the median counts.
const ROUNDS: usize = 5;

/// Number of repetitions in each measurement.
const TIMES: u32 = 20_000;

fn main() {
    println!("{:<74} {:>9}", "one Put, 1 clerk, 3 servers on threads", "us");
    row("floor: a thread switch, by a lock and a condition variable", labstd::run(thread_switch));
    row("floor: an entry into three logs, encoded and decoded for two of them", floor());
    row("the request encoded and decoded, its reply too", codec());
    row("the core alone: proposed, sent to both, acknowledged, committed", core());
    row("a call whose handler replies", labstd::run(|| call(replying_service())));
    row("a call whose answer is deferred but given at once", labstd::run(|| call(deferring_service())));
    row("Raft of one server: start, committed (a step: lock, core, save, consumer)", labstd::run(|| replicate(1)));
    row("Raft: start, until it is committed (two calls, five steps)", labstd::run(|| replicate(SERVERS)));
    row("the whole: Put (Raft, a call, the codec, the service)", labstd::run(put));
}

fn row(what: &str, micros: f64) {
    println!("{what:<74} {micros:>9.2}");
}

/// Returns the median of [`ROUNDS`] rounds, in microseconds for each repetition.
fn measure(mut body: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            (0..TIMES).for_each(|_| body());
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Measures two threads that wake each other in turn, on the processors that the OS chooses.
fn thread_switch() -> f64 {
    let turn = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let pass_on = |turn: &(Mutex<u32>, Condvar), mine: u32| {
        let mut now = turn.0.lock();
        while *now % 2 != mine {
            turn.1.wait(&mut now);
        }
        *now += 1;
        turn.1.notify_one();
    };
    let others = Arc::clone(&turn);
    let other = thread::spawn("other", move || (0..TIMES * ROUNDS as u32).for_each(|_| pass_on(&others, 1)));
    let both = measure(|| pass_on(&turn, 0));
    other.join().expect("the thread does not panic");
    both / 2.0
}

/// Measures the unavoidable work: the entry is encoded, decoded and stored on three servers. It has no terms, locks,
/// files or clients.
fn floor() -> f64 {
    let mut logs: [Vec<Entry>; SERVERS] = Default::default();
    measure(|| {
        let entry = Entry { term: Term(1), command: Bytes::copy_from_slice(b"16 bytes of text") };
        let prev_log_index = Index(logs[0].len() as u64);
        let (term, leader_id) = (Term(1), ServerId(0));
        let args = AppendEntriesArgs {
            term,
            leader_id,
            prev_log_index,
            prev_log_term: term,
            entries: vec![entry.clone()],
            leader_commit: prev_log_index,
        };
        logs[0].push(entry);
        for log in &mut logs[1..] {
            let received: AppendEntriesArgs = labgob::decode(&labgob::encode(&args)).expect("it was just encoded");
            log.extend(received.entries);
        }
        if logs[0].len() == TIMES as usize {
            logs.iter_mut().for_each(Vec::clear);
        }
    })
}

fn command(seq: u64) -> Command {
    let operation = Operation::Put { key: "0".to_string(), value: "16 bytes of text".to_string() };
    Command { id: OperationId { client: 1 << 61, seq }, operation }
}

fn codec() -> f64 {
    let mut seq = 0;
    measure(|| {
        seq += 1;
        let request = labgob::encode(&WriteArgs(command(seq)));
        black_box(labgob::decode::<WriteArgs>(&request).expect("it was just encoded"));
        let reply = labgob::encode(&Reply::Written);
        black_box(labgob::decode::<Reply>(&reply).expect("it was just encoded"));
    })
}

/// Measures a leader and its followers as plain values. Nothing is saved, whatever the core requests.
fn core() -> f64 {
    let mut servers: Vec<Core> = (0..SERVERS).map(|id| Core::new(ServerId(id), SERVERS)).collect();
    let (leader, followers) = servers.split_first_mut().expect("there are three");
    for (peer, args) in leader.election_timeout().request_votes {
        let (reply, _) = followers[peer.0 - 1].handle_request_vote(args);
        let _ = leader.handle_request_vote_reply(peer, args.term, reply);
    }
    measure(|| {
        let proposed = leader.propose(Bytes::from_static(b"16 bytes of text"));
        let _ = black_box(proposed.expect("the server is the leader"));
        for peer in [ServerId(1), ServerId(2)] {
            let (args, sent) = leader.append_entries(peer).expect("there is an entry to send");
            let (reply, _) = followers[peer.0 - 1].handle_append_entries(args);
            let _ = leader.handle_append_entries_reply(peer, &sent, reply);
        }
        black_box(leader.take_committed());
    })
}

fn replying_service() -> Service {
    Service::new("S").nonblocking_method("Do", |(): ()| ())
}

fn deferring_service() -> Service {
    Service::new("S").deferred_method("Do", |(): (), answer: Answer<()>| answer.give(&()))
}

fn call(service: Service) -> f64 {
    let network = Network::new();
    network.add_server("S0", Server::new().with(service));
    let end = ends(&network, "caller", 1).remove(0);
    measure(|| end.call::<(), ()>("S.Do", &()).expect("the network is reliable"))
}

/// A consumer that takes committed entries and discards them.
struct DiscardingConsumer(Raft);

impl Consumer for DiscardingConsumer {
    fn on_commit(&self) {
        black_box(self.0.take_committed());
    }
}

fn replicate(count: usize) -> f64 {
    let network = Network::new();
    let servers: Vec<Arc<DiscardingConsumer>> = (0..count)
        .map(|me| {
            let (apply_ch, _) = channel::bounded(1);
            let ends = ends(&network, &format!("S{me}"), count);
            let raft = Raft::make(ends, ServerId(me), Arc::new(Persister::new()), apply_ch);
            let server = Arc::new(DiscardingConsumer(raft));
            let consumer: Weak<DiscardingConsumer> = Arc::downgrade(&server);
            assert!(server.0.deliver_to(consumer), "the reference supports consumers");
            network.add_server(server_name(me), server.0.services().into_iter().fold(Server::new(), Server::with));
            server
        })
        .collect();
    let leads = |server: &&Arc<DiscardingConsumer>| server.0.get_state().1;
    let leader = loop {
        match servers.iter().find(leads) {
            Some(leader) => break leader,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let micros = measure(|| {
        black_box(leader.0.start(Bytes::from_static(b"16 bytes of text"))).expect("the server is the leader");
    });
    servers.iter().for_each(|server| server.0.kill());
    micros
}

fn put() -> f64 {
    let network = Network::new();
    let servers: Vec<KvServer<Raft>> = (0..SERVERS)
        .map(|me| {
            let ends = ends(&network, &format!("S{me}"), SERVERS);
            let server = KvServer::make(ends, ServerId(me), Arc::new(Persister::new()), Some(1000));
            network.add_server(server_name(me), server.services().into_iter().fold(Server::new(), Server::with));
            server
        })
        .collect();
    let mut clerk = Clerk::make(ends(&network, "clerk", SERVERS));
    // Waits for a leader.
    clerk.put("0", "");
    let micros = measure(|| clerk.put("0", "16 bytes of text"));
    servers.iter().for_each(KvService::kill);
    micros
}

/// Makes ends to `servers` servers.
fn ends(network: &Network, whose: &str, servers: usize) -> Vec<ClientEnd> {
    let end = |to| {
        let name = format!("{whose}->S{to}");
        let end = network.make_end(&name);
        network.connect(&name, server_name(to));
        network.enable(&name, true);
        end
    };
    (0..servers).map(end).collect()
}

fn server_name(me: usize) -> String {
    format!("S{me}")
}

//! Clients of a server: pipelining, late and lost replies, limits, and the clerk's retries with exactly-once execution.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::{
    CallError, Clerk, ClerkError, ClerkSettings, ClientReply, ClientRequest, Connection, Limits, Listener, WriteOp,
};
use raftapi::ServerId;
use support::{TIMEOUT, TestHandler, eventually, identity, listen};

fn get(key: &str) -> ClientRequest {
    ClientRequest::Get { key: key.into() }
}

fn append(client: u64, seq: u64, key: &str, value: &str) -> ClientRequest {
    let value = Bytes::copy_from_slice(value.as_bytes());
    ClientRequest::Write { client, seq, key: key.into(), op: WriteOp::Append, value }
}

fn open(listener: &Listener) -> Connection {
    Connection::open(&listener.address().to_string(), &Limits::default()).expect("the server admits clients")
}

#[test]
fn every_kind_of_request_gets_its_reply() {
    let (listener, _) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    let call = |request| connection.call(request, TIMEOUT).expect("a reply");
    assert_eq!(call(get("k")), ClientReply::Value(None));
    assert_eq!(call(append(1, 1, "k", "one")), ClientReply::Written);
    assert_eq!(call(append(1, 1, "k", "one")), ClientReply::Written);
    assert_eq!(call(get("k")), ClientReply::Value(Some("one".into())));
    assert_eq!(call(ClientRequest::Status), ClientReply::Status("fine".into()));
    assert_eq!(call(ClientRequest::Admin("x".into())), ClientReply::Admin("x".into()));
    listener.stop();
}

#[test]
fn replies_may_be_sent_in_any_order_and_by_any_thread() {
    let (listener, state) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    *state.hold.lock() = true;
    let pending = connection.submit_all((0..100).map(|n| get(&n.to_string())).collect()).expect("the request is sent");
    eventually("all requests have arrived", || state.held.lock().len() == 100);
    let mut held = std::mem::take(&mut *state.held.lock());
    std::thread::spawn(move || {
        while let Some((request, reply)) = held.pop() {
            let ClientRequest::Get { key } = request else { panic!("only Gets were sent") };
            reply.send(ClientReply::Value(Some(key.into())));
        }
    });
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.wait(TIMEOUT), Ok(ClientReply::Value(Some(n.to_string().into()))));
    }
    listener.stop();
}

#[test]
fn many_threads_share_one_connection() {
    let (listener, state) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let connection = &connection;
            scope.spawn(move || {
                for seq in 1..=50 {
                    let reply = connection.call(append(client, seq, &client.to_string(), "x"), TIMEOUT);
                    assert_eq!(reply, Ok(ClientReply::Written));
                }
            });
        }
    });
    let store = state.store.lock();
    assert_eq!(store.len(), 8);
    assert!(store.values().all(|value| value.len() == 50), "every write was executed once: {store:?}");
    drop(store);
    listener.stop();
}

#[test]
fn a_dropped_request_is_answered_with_outcome_unknown() {
    let (listener, state) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    *state.hold.lock() = true;
    let pending = connection.submit(get("k")).expect("the request is sent");
    eventually("the request has arrived", || !state.held.lock().is_empty());
    state.held.lock().clear();
    assert_eq!(pending.wait(TIMEOUT), Ok(ClientReply::OutcomeUnknown));
    listener.stop();
}

#[test]
fn a_late_reply_does_not_disturb_the_connection() {
    let (listener, state) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    *state.hold.lock() = true;
    assert_eq!(connection.call(get("slow"), Duration::from_millis(50)), Err(CallError::TimedOut));
    eventually("the request has arrived", || !state.held.lock().is_empty());
    *state.hold.lock() = false;
    for (_, reply) in state.held.lock().drain(..) {
        reply.send(ClientReply::Busy);
    }
    assert_eq!(connection.call(get("k"), TIMEOUT), Ok(ClientReply::Value(None)));
    listener.stop();
}

#[test]
fn requests_and_replies_above_the_limit_are_refused() {
    let limits = Limits { request_bytes: 1000, reply_bytes: 1000, ..Limits::default() };
    let (listener, state) = listen(0, 1, limits);
    let connection = Connection::open(&listener.address().to_string(), &limits).expect("the client is admitted");
    let long = connection.call(append(1, 1, "k", &"x".repeat(1000)), TIMEOUT);
    assert!(matches!(long, Err(CallError::TooLong { length: 1001.., limit: 1000 })), "{long:?}");
    state.store.lock().insert("k".into(), vec![b'x'; 1000]);
    let reply = connection.call(get("k"), TIMEOUT);
    assert!(matches!(&reply, Ok(ClientReply::Refused(why)) if why.contains("1000 bytes")), "{reply:?}");
    state.store.lock().clear();
    assert_eq!(connection.call(get("k"), TIMEOUT), Ok(ClientReply::Value(None)), "the connection stays usable");

    // A client that exceeds the limit receives the reason.
    let rude = open(&listener);
    let ended = rude.call(append(1, 1, "k", &"x".repeat(2000)), TIMEOUT);
    assert!(matches!(&ended, Err(CallError::Ended(why)) if why.contains("the limit is 1000")), "{ended:?}");
    listener.stop();
}

#[test]
fn a_client_with_too_many_requests_in_flight_is_not_read() {
    let (listener, state) = listen(0, 1, Limits { requests_in_flight: 10, ..Limits::default() });
    let connection = open(&listener);
    *state.hold.lock() = true;
    let pending = connection.submit_all((0..30).map(|n| get(&n.to_string())).collect()).expect("the request is sent");
    for wave in 1..=3 {
        eventually("the next ten requests have arrived", || state.held.lock().len() == 10);
        assert_eq!(*state.requests.lock(), 10 * wave, "at most ten requests are in flight");
        for (_, reply) in std::mem::take(&mut *state.held.lock()) {
            reply.send(ClientReply::Busy);
        }
    }
    for pending in pending {
        assert_eq!(pending.wait(TIMEOUT), Ok(ClientReply::Busy));
    }
    listener.stop();
}

#[test]
fn a_client_above_the_limit_is_refused_until_another_leaves() {
    let (listener, _) = listen(0, 1, Limits { clients: 2, ..Limits::default() });
    let (first, second) = (open(&listener), open(&listener));
    let address = listener.address().to_string();
    let third = Connection::open(&address, &Limits::default()).expect_err("there are two clients already");
    assert!(third.to_string().contains("there are 2 clients"), "{third}");
    assert_eq!(second.call(get("k"), TIMEOUT), Ok(ClientReply::Value(None)), "the other clients are unaffected");
    drop(first);
    eventually("there is room for a client again", || Connection::open(&address, &Limits::default()).is_ok());
    listener.stop();
}

#[test]
fn an_idle_client_is_disconnected_unless_it_waits_for_a_reply() {
    let (listener, state) = listen(0, 1, Limits { idle: Duration::from_millis(100), ..Limits::default() });
    *state.hold.lock() = true;
    let waiting = open(&listener);
    let pending = waiting.submit(get("k")).expect("the request is sent");
    let idle = open(&listener);
    eventually("the idle client is disconnected", || idle.ended().is_some());
    assert!(idle.ended().is_some_and(|why| why.contains("waited too long")), "{:?}", idle.ended());
    for (_, reply) in state.held.lock().drain(..) {
        reply.send(ClientReply::Busy);
    }
    assert_eq!(pending.wait(TIMEOUT), Ok(ClientReply::Busy));
    listener.stop();
}

#[test]
fn stopping_closes_busy_connections_and_frees_the_port() {
    let (listener, state) = listen(0, 1, Limits::default());
    let address = listener.address().to_string();
    let connection = open(&listener);
    *state.hold.lock() = true;
    let pending = connection.submit(get("k")).expect("the request is sent");
    eventually("the request has arrived", || !state.held.lock().is_empty());
    let started = Instant::now();
    listener.stop();
    assert!(started.elapsed() < Duration::from_secs(4), "stopping took {:?}", started.elapsed());
    assert!(matches!(pending.wait(TIMEOUT), Err(CallError::Ended(_))));
    drop(connection);
    Listener::bind(&address).expect("the port is free again").serve(
        identity(0, 1),
        Limits::default(),
        TestHandler::default(),
    );
}

#[test]
fn a_taken_port_and_a_bad_address_are_one_line_errors() {
    let (listener, _) = listen(0, 1, Limits::default());
    let address = listener.address().to_string();
    let used = Listener::bind(&address).expect_err("the port is in use").to_string();
    assert!(used.contains(&address) && used.contains("choose another port"), "{used}");
    for bad in ["nowhere", "127.0.0.1:port", "no.such.host.invalid:1"] {
        let error = Listener::bind(bad).expect_err("the address is invalid").to_string();
        assert!(error.contains(bad) && error.contains("HOST:PORT") && !error.contains('\n'), "{error}");
    }
    listener.stop();
}

fn settings() -> ClerkSettings {
    ClerkSettings { deadline: Some(TIMEOUT), ..ClerkSettings::default() }
}

#[test]
fn a_clerk_follows_a_hint_to_an_unlisted_server() {
    let (leader, state) = listen(0, 2, Limits::default());
    let (follower, other) = listen(1, 2, Limits::default());
    let leader_addr = Some(leader.address().to_string());
    *other.fixed_reply.lock() = Some(ClientReply::NotLeader { leader: Some(ServerId(0)), leader_addr });
    let mut clerk = Clerk::new([follower.address().to_string()], settings());
    assert_eq!(clerk.get("k"), Ok(None));
    assert_eq!(clerk.put("k", "a"), Ok(()));
    assert_eq!(clerk.append("k", "b"), Ok(()));
    assert_eq!(clerk.get("k"), Ok(Some("ab".into())));
    assert_eq!(*other.requests.lock(), 1, "the clerk stays with the leader");
    assert_eq!(*state.requests.lock(), 4);
}

#[test]
fn a_write_is_executed_once_although_its_replies_are_lost() {
    let (listener, state) = listen(0, 1, Limits::default());
    // The second server is dead, so the clerk has to return to the first.
    let (dead, _) = listen(1, 2, Limits::default());
    let addresses = [listener.address().to_string(), dead.address().to_string()];
    dead.stop();
    let mut clerk = Clerk::new(addresses, settings());
    *state.replies_to_drop.lock() = 3;
    assert_eq!(clerk.append("k", "x"), Ok(()));
    assert_eq!(*state.requests.lock(), 4, "the clerk retried until it had a reply");
    assert_eq!(clerk.get("k"), Ok(Some("x".into())));
}

#[test]
fn a_clerk_survives_the_restart_of_a_server() {
    let (listener, _) = listen(0, 1, Limits::default());
    let address = listener.address().to_string();
    let mut clerk = Clerk::new([address.clone()], settings());
    assert_eq!(clerk.put("k", "x"), Ok(()));
    listener.stop();
    let again = std::thread::spawn(move || {
        let bound = Listener::bind(&address).expect("the port is free");
        bound.serve(identity(0, 1), Limits::default(), TestHandler::default())
    });
    assert_eq!(clerk.get("k"), Ok(None), "the new server is empty");
    again.join().expect("the server starts").stop();
}

#[test]
fn a_clerk_gives_up_in_time_and_reports_the_last_failure() {
    let (listener, state) = listen(0, 1, Limits::default());
    *state.fixed_reply.lock() = Some(ClientReply::NotLeader { leader: None, leader_addr: None });
    let settings = ClerkSettings { deadline: Some(Duration::from_millis(300)), ..ClerkSettings::default() };
    let mut clerk = Clerk::new([listener.address().to_string()], settings);
    let error = clerk.get("k").expect_err("there is no leader");
    assert!(matches!(&error, ClerkError::GaveUp { last } if last.contains("does not lead")), "{error}");
    *state.fixed_reply.lock() = Some(ClientReply::Refused("never".into()));
    assert_eq!(clerk.put("k", "x"), Err(ClerkError::Refused("never".into())));
}

#[test]
fn clerks_have_different_ids() {
    let one = Clerk::new(["127.0.0.1:1".to_string()], settings());
    let two = Clerk::new(["127.0.0.1:1".to_string()], settings());
    assert_ne!(one.client(), two.client());
    assert!(one.client() < 1 << 62 && two.client() < 1 << 62);
}

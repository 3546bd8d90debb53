//! Clients of a server: pipelining, answers that come late or never, limits, and the clerk's way to exactly once.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::wire::{
    CallError, Clerk, ClerkError, ClerkSettings, ClientReply, ClientRequest, Connection, Limits, Listener, WriteOp,
};
use raftapi::ServerId;
use support::{PATIENCE, Server, eventually, identity, listen};

fn get(key: &str) -> ClientRequest {
    ClientRequest::Get { key: key.into() }
}

fn append(client: u64, seq: u64, key: &str, value: &str) -> ClientRequest {
    let value = Bytes::copy_from_slice(value.as_bytes());
    ClientRequest::Write { client, seq, key: key.into(), op: WriteOp::Append, value }
}

fn open(listener: &Listener) -> Connection {
    Connection::open(&listener.address().to_string(), &Limits::default()).expect("the server lets clients in")
}

#[test]
fn every_kind_of_request_gets_its_reply() {
    let (listener, _) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    let call = |request| connection.call(request, PATIENCE).expect("it is answered");
    assert_eq!(call(get("k")), ClientReply::Value(None));
    assert_eq!(call(append(1, 1, "k", "one")), ClientReply::Written);
    assert_eq!(call(append(1, 1, "k", "one")), ClientReply::Written);
    assert_eq!(call(get("k")), ClientReply::Value(Some("one".into())));
    assert_eq!(call(ClientRequest::Status), ClientReply::Status("fine".into()));
    assert_eq!(call(ClientRequest::Admin("x".into())), ClientReply::Admin("x".into()));
    listener.stop();
}

#[test]
fn replies_may_come_in_any_order_and_from_any_thread() {
    let (listener, desk) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    *desk.keep.lock() = true;
    let pending = connection.submit_all((0..100).map(|n| get(&n.to_string())).collect()).expect("it is sent");
    eventually("all requests have come", || desk.kept.lock().len() == 100);
    let mut kept = std::mem::take(&mut *desk.kept.lock());
    std::thread::spawn(move || {
        while let Some((request, reply)) = kept.pop() {
            let ClientRequest::Get { key } = request else { panic!("only Gets were sent") };
            reply.send(ClientReply::Value(Some(key.into())));
        }
    });
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.wait(PATIENCE), Ok(ClientReply::Value(Some(n.to_string().into()))));
    }
    listener.stop();
}

#[test]
fn many_threads_share_one_connection() {
    let (listener, desk) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let connection = &connection;
            scope.spawn(move || {
                for seq in 1..=50 {
                    let reply = connection.call(append(client, seq, &client.to_string(), "x"), PATIENCE);
                    assert_eq!(reply, Ok(ClientReply::Written));
                }
            });
        }
    });
    let store = desk.store.lock();
    assert_eq!(store.len(), 8);
    assert!(store.values().all(|value| value.len() == 50), "every write was executed once: {store:?}");
    drop(store);
    listener.stop();
}

#[test]
fn a_request_that_is_let_go_is_answered_as_such() {
    let (listener, desk) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    *desk.keep.lock() = true;
    let pending = connection.submit(get("k")).expect("it is sent");
    eventually("the request has come", || !desk.kept.lock().is_empty());
    desk.kept.lock().clear();
    assert_eq!(pending.wait(PATIENCE), Ok(ClientReply::Unanswered));
    listener.stop();
}

#[test]
fn a_late_reply_disturbs_nobody() {
    let (listener, desk) = listen(0, 1, Limits::default());
    let connection = open(&listener);
    *desk.keep.lock() = true;
    assert_eq!(connection.call(get("slow"), Duration::from_millis(50)), Err(CallError::TimedOut));
    eventually("the request has come", || !desk.kept.lock().is_empty());
    *desk.keep.lock() = false;
    for (_, reply) in desk.kept.lock().drain(..) {
        reply.send(ClientReply::Busy);
    }
    assert_eq!(connection.call(get("k"), PATIENCE), Ok(ClientReply::Value(None)));
    listener.stop();
}

#[test]
fn a_request_that_is_too_long_is_not_sent_and_a_reply_that_is_too_long_is_refused() {
    let limits = Limits { request_bytes: 1000, reply_bytes: 1000, ..Limits::default() };
    let (listener, desk) = listen(0, 1, limits);
    let connection = Connection::open(&listener.address().to_string(), &limits).expect("it is let in");
    let long = connection.call(append(1, 1, "k", &"x".repeat(1000)), PATIENCE);
    assert!(matches!(long, Err(CallError::TooLong { length: 1001.., most: 1000 })), "{long:?}");
    desk.store.lock().insert("k".into(), vec![b'x'; 1000]);
    let reply = connection.call(get("k"), PATIENCE);
    assert!(matches!(&reply, Ok(ClientReply::Refused(why)) if why.contains("1000 bytes")), "{reply:?}");
    desk.store.lock().clear();
    assert_eq!(connection.call(get("k"), PATIENCE), Ok(ClientReply::Value(None)), "the connection lives on");

    // A client that does not keep to the limit is told so.
    let rude = open(&listener);
    let ended = rude.call(append(1, 1, "k", &"x".repeat(2000)), PATIENCE);
    assert!(matches!(&ended, Err(CallError::Ended(why)) if why.contains("1000 are allowed")), "{ended:?}");
    listener.stop();
}

#[test]
fn a_client_with_too_much_under_way_is_not_read_until_some_is_answered() {
    let (listener, desk) = listen(0, 1, Limits { requests_under_way: 10, ..Limits::default() });
    let connection = open(&listener);
    *desk.keep.lock() = true;
    let pending = connection.submit_all((0..30).map(|n| get(&n.to_string())).collect()).expect("it is sent");
    for wave in 1..=3 {
        eventually("the next ten have come", || desk.kept.lock().len() == 10);
        assert_eq!(*desk.requests.lock(), 10 * wave, "no more than ten are under way");
        for (_, reply) in std::mem::take(&mut *desk.kept.lock()) {
            reply.send(ClientReply::Busy);
        }
    }
    for pending in pending {
        assert_eq!(pending.wait(PATIENCE), Ok(ClientReply::Busy));
    }
    listener.stop();
}

#[test]
fn one_client_too_many_is_told_so_and_let_in_when_another_has_left() {
    let (listener, _) = listen(0, 1, Limits { clients: 2, ..Limits::default() });
    let (first, second) = (open(&listener), open(&listener));
    let address = listener.address().to_string();
    let third = Connection::open(&address, &Limits::default()).expect_err("there are two already");
    assert!(third.to_string().contains("there are 2 clients"), "{third}");
    assert_eq!(second.call(get("k"), PATIENCE), Ok(ClientReply::Value(None)), "the others do not notice");
    drop(first);
    eventually("there is a place again", || Connection::open(&address, &Limits::default()).is_ok());
    listener.stop();
}

#[test]
fn an_idle_client_is_disconnected_but_not_one_that_waits() {
    let (listener, desk) = listen(0, 1, Limits { idle: Duration::from_millis(100), ..Limits::default() });
    *desk.keep.lock() = true;
    let waiting = open(&listener);
    let pending = waiting.submit(get("k")).expect("it is sent");
    let idle = open(&listener);
    eventually("the idle one is disconnected", || idle.ended().is_some());
    assert!(idle.ended().is_some_and(|why| why.contains("waited too long")), "{:?}", idle.ended());
    for (_, reply) in desk.kept.lock().drain(..) {
        reply.send(ClientReply::Busy);
    }
    assert_eq!(pending.wait(PATIENCE), Ok(ClientReply::Busy));
    listener.stop();
}

#[test]
fn stopping_ends_connections_with_requests_under_way_and_frees_the_port() {
    let (listener, desk) = listen(0, 1, Limits::default());
    let address = listener.address().to_string();
    let connection = open(&listener);
    *desk.keep.lock() = true;
    let pending = connection.submit(get("k")).expect("it is sent");
    eventually("the request has come", || !desk.kept.lock().is_empty());
    let begun = Instant::now();
    listener.stop();
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    assert!(matches!(pending.wait(PATIENCE), Err(CallError::Ended(_))));
    drop(connection);
    Listener::bind(&address).expect("the port is free again").serve(
        identity(0, 1),
        Limits::default(),
        Server::default(),
    );
}

#[test]
fn a_port_in_use_and_an_address_that_is_none_are_told_in_one_line() {
    let (listener, _) = listen(0, 1, Limits::default());
    let address = listener.address().to_string();
    let used = Listener::bind(&address).expect_err("it is in use").to_string();
    assert!(used.contains(&address) && used.contains("choose another port"), "{used}");
    for bad in ["nowhere", "127.0.0.1:port", "no.such.host.invalid:1"] {
        let error = Listener::bind(bad).expect_err("it is none").to_string();
        assert!(error.contains(bad) && error.contains("HOST:PORT") && !error.contains('\n'), "{error}");
    }
    listener.stop();
}

fn settings() -> ClerkSettings {
    ClerkSettings { deadline: Some(PATIENCE), ..ClerkSettings::default() }
}

#[test]
fn a_clerk_follows_a_hint_even_to_a_server_that_it_did_not_know() {
    let (leader, desk) = listen(0, 2, Limits::default());
    let (follower, other) = listen(1, 2, Limits::default());
    let leader_addr = Some(leader.address().to_string());
    *other.answer.lock() = Some(ClientReply::NotLeader { leader: Some(ServerId(0)), leader_addr });
    let mut clerk = Clerk::new([follower.address().to_string()], settings());
    assert_eq!(clerk.get("k"), Ok(None));
    assert_eq!(clerk.put("k", "a"), Ok(()));
    assert_eq!(clerk.append("k", "b"), Ok(()));
    assert_eq!(clerk.get("k"), Ok(Some("ab".into())));
    assert_eq!(*other.requests.lock(), 1, "it stays with the leader");
    assert_eq!(*desk.requests.lock(), 4);
}

#[test]
fn a_write_is_executed_once_though_its_answer_is_lost() {
    let (listener, desk) = listen(0, 1, Limits::default());
    // Another one that nobody answers: the clerk has to come back.
    let (dead, _) = listen(1, 2, Limits::default());
    let addresses = [listener.address().to_string(), dead.address().to_string()];
    dead.stop();
    let mut clerk = Clerk::new(addresses, settings());
    *desk.forget.lock() = 3;
    assert_eq!(clerk.append("k", "x"), Ok(()));
    assert_eq!(*desk.requests.lock(), 4, "it was asked again until it answered");
    assert_eq!(clerk.get("k"), Ok(Some("x".into())));
}

#[test]
fn a_clerk_survives_a_server_that_starts_again() {
    let (listener, _) = listen(0, 1, Limits::default());
    let address = listener.address().to_string();
    let mut clerk = Clerk::new([address.clone()], settings());
    assert_eq!(clerk.put("k", "x"), Ok(()));
    listener.stop();
    let again = std::thread::spawn(move || {
        let bound = Listener::bind(&address).expect("the port is free");
        bound.serve(identity(0, 1), Limits::default(), Server::default())
    });
    assert_eq!(clerk.get("k"), Ok(None), "it is another server, with nothing in it");
    again.join().expect("it starts").stop();
}

#[test]
fn a_clerk_gives_up_in_time_and_says_what_was_last() {
    let (listener, desk) = listen(0, 1, Limits::default());
    *desk.answer.lock() = Some(ClientReply::NotLeader { leader: None, leader_addr: None });
    let settings = ClerkSettings { deadline: Some(Duration::from_millis(300)), ..ClerkSettings::default() };
    let mut clerk = Clerk::new([listener.address().to_string()], settings);
    let error = clerk.get("k").expect_err("nobody leads");
    assert!(matches!(&error, ClerkError::GaveUp { last } if last.contains("does not lead")), "{error}");
    *desk.answer.lock() = Some(ClientReply::Refused("never".into()));
    assert_eq!(clerk.put("k", "x"), Err(ClerkError::Refused("never".into())));
}

#[test]
fn clerks_have_different_numbers() {
    let one = Clerk::new(["127.0.0.1:1".to_string()], settings());
    let two = Clerk::new(["127.0.0.1:1".to_string()], settings());
    assert_ne!(one.client(), two.client());
    assert!(one.client() < 1 << 62 && two.client() < 1 << 62);
}

//! The events of calls in the record of a run.

use ids::ServerId;
use labrpc::{Network, Server, Service, Verdict};
use labstd::thread;
use record::{Event, EventKind, Loss, Peer, Recorder, Scope};

use crate::harness::{end, end_to, ms};

/// Runs `body` in a recorded simulation. The network has two servers: "one", which has an id in the cluster, and
/// "other", which has none. Returns the events and the hash of the record.
fn recorded(seed: u64, body: impl FnOnce(&Network) + Send + 'static) -> (Vec<Event>, u64) {
    let recorder = Recorder::default();
    let context = Scope::new(&recorder, None).into_context();
    let run = labstd::Run::simulated(seed).context(context);
    let inside = recorder.clone();
    let outcome = run.execute(move || {
        let service = || {
            Service::new("S")
                .nonblocking_method("Double", |n: u64| 2 * n)
                .method("Sleep", |(): ()| thread::sleep(ms(200)))
        };
        let network = Network::new();
        network.add_server("one", Scope::new(&inside, Some(ServerId(1))).enter("S1", || Server::new().with(service())));
        network.add_server("other", Server::new().with(service()));
        body(&network);
    });
    outcome.result.expect("the run passes");
    (recorder.events().collect(), recorder.hash())
}

/// Returns the server and the kind of each event, without its time.
fn servers_and_kinds(events: Vec<Event>) -> Vec<(Option<ServerId>, EventKind)> {
    events.into_iter().map(|event| (event.server, event.kind)).collect()
}

#[test]
fn a_call_is_sent_delivered_and_answered() {
    let (events, _) = recorded(1, |network| {
        let end = end_to(network, "c", "one");
        assert_eq!(end.call("S.Double", &300u64), Some(600u64));
    });
    assert!(events.windows(2).all(|pair| pair[0].at < pair[1].at), "each message takes time");
    let to = Peer::Server(ServerId(1));
    assert_eq!(
        servers_and_kinds(events),
        [
            (None, EventKind::RpcSent { call: 1, from: None, to, method: "S.Double".into(), bytes: 3 }),
            (Some(ServerId(1)), EventKind::RpcDelivered { call: 1 }),
            (None, EventKind::RpcReplied { call: 1, bytes: 3 }),
        ]
    );
}

#[test]
fn a_call_between_servers_names_both() {
    let (events, _) = recorded(1, |network| {
        let scope = record::scope().expect("the run is recorded");
        let end = end_to(network, "c", "other");
        Scope::new(&scope.recorder, Some(ServerId(0))).enter("S0", || end.call::<u64, u64>("S.Double", &1));
    });
    let (from, to) = (Some(ServerId(0)), Peer::Named("other".into()));
    assert_eq!(
        servers_and_kinds(events),
        [
            (from, EventKind::RpcSent { call: 1, from, to, method: "S.Double".into(), bytes: 1 }),
            (None, EventKind::RpcDelivered { call: 1 }),
            (from, EventKind::RpcReplied { call: 1, bytes: 1 }),
        ]
    );
}

/// Returns the reasons for which the calls of `body` were lost, in order.
fn losses(body: impl FnOnce(&Network) + Send + 'static) -> Vec<Loss> {
    let loss = |event: Event| match event.kind {
        EventKind::RpcLost { reason, .. } => Some(reason),
        _ => None,
    };
    recorded(1, body).0.into_iter().filter_map(loss).collect()
}

#[test]
fn a_lost_call_says_where_and_why() {
    let double = |network: &Network, times: u32| {
        let end = end_to(network, "c", "one");
        (0..times).for_each(|_| _ = end.call::<u64, u64>("S.Double", &1));
    };
    assert_eq!(
        losses(move |network| {
            network.delete_server("one");
            double(network, 1);
        }),
        [Loss::Unreachable]
    );
    let unreliable = losses(move |network| {
        network.set_reliable(false);
        double(network, 100);
    });
    assert!(unreliable.contains(&Loss::RequestDropped) && unreliable.contains(&Loss::ReplyDropped));
    assert_eq!(
        losses(move |network| {
            network.intercept(|_| Verdict::Drop);
            double(network, 1);
        }),
        [Loss::Intercepted]
    );

    let during_a_handler = |change: fn(&Network)| {
        losses(move |network| {
            end_to(network, "c", "one").call_async("S.Sleep", &(), |_: Option<()>| ());
            thread::sleep(ms(50));
            change(network);
            thread::sleep(ms(500));
        })
    };
    assert_eq!(during_a_handler(|network| network.delete_server("one")), [Loss::ServerGone]);
    assert_eq!(during_a_handler(|network| network.enable("c", false)), [Loss::Unreachable]);
    assert_eq!(during_a_handler(|network| network.delete_end("c")), [Loss::Abandoned]);

    let held_at_cleanup = losses(|network| {
        network.intercept(|_| Verdict::Hold);
        end_to(network, "c", "one").call_async("S.Sleep", &(), |_: Option<()>| ());
        thread::sleep(ms(50));
        network.cleanup();
        thread::sleep(ms(1));
    });
    assert_eq!(held_at_cleanup, [Loss::NetworkGone]);
}

#[test]
fn a_deleted_server_keeps_its_id_and_an_unknown_one_its_name() {
    let (events, _) = recorded(1, |network| {
        network.delete_server("one");
        for (name, server) in [("a", "one"), ("b", "nobody")] {
            assert_eq!(end_to(network, name, server).call::<u64, u64>("S.Double", &1), None);
        }
        network.make_end("c");
    });
    let targets: Vec<Peer> = events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::RpcSent { to, .. } => Some(to),
            _ => None,
        })
        .collect();
    assert_eq!(targets, [Peer::Server(ServerId(1)), Peer::Named("nobody".into())]);
}

#[test]
fn the_same_seed_leaves_the_same_record() {
    let run = |seed| {
        let (events, hash) = recorded(seed, |network| {
            network.set_reliable(false);
            network.set_long_reordering(true);
            network.add_server("server", Server::new().with(Service::new("S").method("Double", |n: u64| 2 * n)));
            let callers = (0..5u64).map(|caller| {
                let end = end(network, caller);
                thread::spawn(format!("caller {caller}"), move || {
                    (0..20u64).for_each(|n| _ = end.call::<u64, u64>("S.Double", &n));
                })
            });
            callers.collect::<Vec<_>>().into_iter().for_each(|caller| caller.join().expect("no panic"));
        });
        (events, hash)
    };
    for seed in 1..=5 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1), run(2));
}

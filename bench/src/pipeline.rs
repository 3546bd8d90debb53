//! One client of our key/value service with many writes in flight. It fills its pipeline, and collects the finished
//! writes. Three servers on threads, a reliable network, two cores, Puts of 16 bytes, one key per write in flight.

use std::time::{Duration, Instant};

use kvraft::{KvServer, Pipeline};
use labrpc::{ClientEnd, Network, Server};
use labstd::Run;
use labstd::sync::Arc;
use raft::Raft;
use raftapi::{KvClerk, KvService, Persister, ServerId};

use crate::clerks::{SERVERS, TIME_LIMIT, VALUE};
use crate::cpu;

/// Returns the number of Puts per second with `in_flight` Puts in flight. The servers make no snapshots.
pub(crate) fn puts_a_second(in_flight: usize, measured: Duration) -> f64 {
    let body = move || {
        let network = Network::new();
        let servers: Vec<KvServer<Raft>> = (0..SERVERS).map(|me| start(&network, me)).collect();
        // Waits for a leader.
        kvraft::Clerk::make(ends(&network, "clerk")).put("ready", "");
        let a_second = put(&ends(&network, "pipeline"), in_flight, measured);
        servers.iter().for_each(KvService::kill);
        network.cleanup();
        a_second
    };
    cpu::on_cores(2, || Run::threads(1).time_limit(TIME_LIMIT).execute(body).result.expect("the run passes"))
}

/// Submits and collects Puts for `measured`. Returns their number per second.
fn put(servers: &[ClientEnd], in_flight: usize, measured: Duration) -> f64 {
    let keys: Vec<String> = (0..in_flight).map(|key| key.to_string()).collect();
    let mut pipeline = Pipeline::make(servers, in_flight);
    let mut keys = keys.iter().cycle();
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < measured {
        for _ in pipeline.in_flight()..in_flight {
            pipeline.put(keys.next().expect("a cycle has no end"), VALUE);
        }
        done += pipeline.collect().len();
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

/// Starts a server and adds it to the network.
fn start(network: &Network, me: usize) -> KvServer<Raft> {
    let server = KvServer::make(ends(network, &format!("S{me}")), ServerId(me), Arc::new(Persister::new()), None);
    network.add_server(server_name(me), server.services().into_iter().fold(Server::new(), Server::with));
    server
}

/// Makes ends to all servers.
fn ends(network: &Network, whose: &str) -> Vec<ClientEnd> {
    let end = |to| {
        let name = format!("{whose}->S{to}");
        let end = network.make_end(&name);
        network.connect(&name, server_name(to));
        network.enable(&name, true);
        end
    };
    (0..SERVERS).map(end).collect()
}

fn server_name(me: usize) -> String {
    format!("S{me}")
}

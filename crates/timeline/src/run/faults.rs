//! The faults of a run: crashed, disconnected and partitioned servers, as bands in their lanes and as a lane of texts.

use std::collections::BTreeSet;

use ids::ServerId;
use record::Fault;

/// The state of a server with respect to faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    Healthy,
    /// The server reaches only the servers of the same part.
    Partitioned(usize),
    Disconnected,
    Crashed,
}

/// An interval in which a server was not healthy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FaultBand {
    pub(super) server: usize,
    pub(super) from: u64,
    pub(super) to: u64,
    /// 0: in a partition; 1: cut off; 2: crashed.
    pub(super) kind: u64,
    /// The number of its part, in a partition.
    pub(super) part: usize,
}

/// The faults so far.
#[derive(Default)]
pub(super) struct FaultBands {
    servers: Vec<(ServerState, u64)>,
    parts: Vec<BTreeSet<usize>>,
    text: String,
    since: u64,
    pub(super) bands: Vec<FaultBand>,
    /// The intervals of equal faults: `(from, to, text)`.
    pub(super) spans: Vec<(u64, u64, String)>,
}

impl FaultBands {
    /// Ensures that the cluster has at least this many servers.
    pub(super) fn grow(&mut self, servers: usize) {
        while self.servers.len() < servers {
            self.servers.push((ServerState::Healthy, 0));
        }
    }

    /// Records a change that the tester made.
    pub(super) fn add_fault(&mut self, at: u64, fault: &Fault) {
        let all = self.servers.len();
        match fault {
            Fault::Connect(servers) | Fault::Restart(servers) => self.set(at, servers, ServerState::Healthy),
            Fault::Disconnect(servers) => self.set(at, servers, ServerState::Disconnected),
            Fault::Crash(servers) => self.set(at, servers, ServerState::Crashed),
            Fault::Partition(parts) => {
                self.parts = parts.iter().map(|part| part.iter().map(|server| server.0).collect()).collect();
                let healed = parts.iter().any(|part| part.len() >= all);
                for (number, part) in parts.iter().enumerate() {
                    let living: Vec<ServerId> =
                        part.iter().copied().filter(|server| self.state(server.0) != ServerState::Crashed).collect();
                    self.set(at, &living, if healed { ServerState::Healthy } else { ServerState::Partitioned(number) });
                }
            }
        }
        let text = self.describe();
        if text != self.text {
            self.close(at);
            self.text = text;
            self.since = at;
        }
    }

    /// Ends all open bands and intervals at the end of the run.
    pub(super) fn finish(&mut self, at: u64) {
        self.close(at);
        self.text.clear();
        let all: Vec<ServerId> = (0..self.servers.len()).map(ServerId).collect();
        self.set(at, &all, ServerState::Healthy);
    }

    fn state(&self, server: usize) -> ServerState {
        self.servers.get(server).map_or(ServerState::Healthy, |(state, _)| *state)
    }

    fn set(&mut self, at: u64, servers: &[ServerId], new: ServerState) {
        for &ServerId(server) in servers {
            let Some((state, since)) = self.servers.get_mut(server) else { continue };
            if *state == new {
                continue;
            }
            let (kind, part) = match *state {
                ServerState::Healthy => (None, 0),
                ServerState::Partitioned(part) => (Some(0), part),
                ServerState::Disconnected => (Some(1), 0),
                ServerState::Crashed => (Some(2), 0),
            };
            if let Some(kind) = kind.filter(|_| *since < at) {
                self.bands.push(FaultBand { server, from: *since, to: at, kind, part });
            }
            (*state, *since) = (new, at);
        }
    }

    fn close(&mut self, at: u64) {
        if !self.text.is_empty() && self.since < at {
            self.spans.push((self.since, at, self.text.clone()));
        }
    }

    /// Describes the faults as the course's timelines do: `partition = [S0] [S1 S2] / crash = [S3]`. The text is empty
    /// if all servers are healthy.
    fn describe(&self) -> String {
        let those = |wanted: &dyn Fn(usize) -> bool| {
            (0..self.servers.len()).filter(|&server| wanted(server)).collect::<Vec<usize>>()
        };
        let cut_off = those(&|server| self.state(server) == ServerState::Disconnected);
        let crashed = those(&|server| self.state(server) == ServerState::Crashed);
        let mut groups: Vec<Vec<usize>> = cut_off.iter().map(|&server| vec![server]).collect();
        groups.extend(
            (0..self.parts.len()).map(|part| those(&|server| self.state(server) == ServerState::Partitioned(part))),
        );
        groups.push(those(&|server| self.state(server) == ServerState::Healthy));
        groups.retain(|group| !group.is_empty());
        let divided = groups.len() > 1 || !cut_off.is_empty();
        let mut texts = Vec::new();
        if divided {
            texts.push(format!(
                "partition = {}",
                groups.iter().map(|group| brackets(group)).collect::<Vec<_>>().join(" ")
            ));
        }
        if !crashed.is_empty() {
            texts.push(format!("crash = {}", brackets(&crashed)));
        }
        texts.join(" / ")
    }
}

/// Formats a list of servers: `[S0 S2]`.
fn brackets(servers: &[usize]) -> String {
    let names: Vec<String> = servers.iter().map(|&server| ServerId(server).to_string()).collect();
    format!("[{}]", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(servers: &[usize]) -> Vec<ServerId> {
        servers.iter().copied().map(ServerId).collect()
    }

    #[test]
    fn faults_are_described_in_the_words_of_the_course() {
        let mut faults = FaultBands::default();
        faults.grow(5);
        faults.add_fault(10, &Fault::Disconnect(ids(&[1])));
        assert_eq!(faults.text, "partition = [S1] [S0 S2 S3 S4]");
        faults.add_fault(20, &Fault::Crash(ids(&[4])));
        assert_eq!(faults.text, "partition = [S1] [S0 S2 S3] / crash = [S4]");
        faults.add_fault(30, &Fault::Connect(ids(&[1])));
        assert_eq!(faults.text, "crash = [S4]");
        faults.add_fault(40, &Fault::Restart(ids(&[4])));
        assert_eq!(faults.text, "");
        faults.add_fault(50, &Fault::Partition(vec![ids(&[0, 1]), ids(&[2, 3, 4])]));
        assert_eq!(faults.text, "partition = [S0 S1] [S2 S3 S4]");
        faults.add_fault(60, &Fault::Partition(vec![ids(&[0, 1, 2, 3, 4])]));
        faults.finish(70);
        let spans: Vec<(u64, u64)> = faults.spans.iter().map(|(from, to, _)| (*from, *to)).collect();
        assert_eq!(spans, [(10, 20), (20, 30), (30, 40), (50, 60)]);
        assert_eq!(faults.bands[0], FaultBand { server: 1, from: 10, to: 30, kind: 1, part: 0 });
        assert_eq!(faults.bands[1], FaultBand { server: 4, from: 20, to: 40, kind: 2, part: 0 });
        assert_eq!(faults.bands.len(), 2 + 5, "each server is in a part");
    }

    #[test]
    fn a_fault_repaired_at_once_leaves_no_trace() {
        let mut faults = FaultBands::default();
        faults.grow(3);
        faults.add_fault(10, &Fault::Disconnect(ids(&[1])));
        faults.add_fault(10, &Fault::Connect(ids(&[1])));
        faults.finish(20);
        assert!(faults.bands.is_empty() && faults.spans.is_empty());
    }
}

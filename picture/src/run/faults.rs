//! Who was crashed, cut off or partitioned, and since when: as bands in the lanes of the servers, and as one lane of words.

use std::collections::BTreeSet;

use record::{Fault, ServerId};

/// How a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Well,
    /// It reaches those of the same part alone.
    Part(usize),
    CutOff,
    Crashed,
}

/// A span in which a server was not well.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) server: usize,
    pub(super) from: u64,
    pub(super) to: u64,
    /// 0: in a partition; 1: cut off; 2: crashed.
    pub(super) kind: u64,
    /// Which part, of a partition.
    pub(super) part: usize,
}

/// The faults so far.
#[derive(Default)]
pub(super) struct Faults {
    servers: Vec<(Standing, u64)>,
    parts: Vec<BTreeSet<usize>>,
    text: String,
    since: u64,
    pub(super) bands: Vec<Band>,
    /// `(from, to, words)`
    pub(super) spans: Vec<(u64, u64, String)>,
}

impl Faults {
    /// The cluster has at least so many servers.
    pub(super) fn grow(&mut self, servers: usize) {
        while self.servers.len() < servers {
            self.servers.push((Standing::Well, 0));
        }
    }

    /// The tester changed something.
    pub(super) fn happened(&mut self, at: u64, fault: &Fault) {
        let all = self.servers.len();
        match fault {
            Fault::Connect(servers) | Fault::Restart(servers) => self.set(at, servers, Standing::Well),
            Fault::Disconnect(servers) => self.set(at, servers, Standing::CutOff),
            Fault::Crash(servers) => self.set(at, servers, Standing::Crashed),
            Fault::Partition(parts) => {
                self.parts = parts.iter().map(|part| part.iter().map(|server| server.0).collect()).collect();
                let healed = parts.iter().any(|part| part.len() >= all);
                for (number, part) in parts.iter().enumerate() {
                    let living: Vec<ServerId> =
                        part.iter().copied().filter(|server| self.standing(server.0) != Standing::Crashed).collect();
                    self.set(at, &living, if healed { Standing::Well } else { Standing::Part(number) });
                }
            }
        }
        let text = self.words();
        if text != self.text {
            self.close(at);
            self.text = text;
            self.since = at;
        }
    }

    /// The run is over: what is open ends.
    pub(super) fn finish(&mut self, at: u64) {
        self.close(at);
        self.text.clear();
        let all: Vec<ServerId> = (0..self.servers.len()).map(ServerId).collect();
        self.set(at, &all, Standing::Well);
    }

    fn standing(&self, server: usize) -> Standing {
        self.servers.get(server).map_or(Standing::Well, |(standing, _)| *standing)
    }

    fn set(&mut self, at: u64, servers: &[ServerId], new: Standing) {
        for &ServerId(server) in servers {
            let Some((standing, since)) = self.servers.get_mut(server) else { continue };
            if *standing == new {
                continue;
            }
            let (kind, part) = match *standing {
                Standing::Well => (None, 0),
                Standing::Part(part) => (Some(0), part),
                Standing::CutOff => (Some(1), 0),
                Standing::Crashed => (Some(2), 0),
            };
            if let Some(kind) = kind.filter(|_| *since < at) {
                self.bands.push(Band { server, from: *since, to: at, kind, part });
            }
            (*standing, *since) = (new, at);
        }
    }

    fn close(&mut self, at: u64) {
        if !self.text.is_empty() && self.since < at {
            self.spans.push((self.since, at, self.text.clone()));
        }
    }

    /// `partition = [S0] [S1 S2] / crash = [S3]`, as the course's pictures have it; nothing if all is well.
    fn words(&self) -> String {
        let those = |wanted: &dyn Fn(usize) -> bool| {
            (0..self.servers.len()).filter(|&server| wanted(server)).collect::<Vec<usize>>()
        };
        let cut_off = those(&|server| self.standing(server) == Standing::CutOff);
        let crashed = those(&|server| self.standing(server) == Standing::Crashed);
        let mut groups: Vec<Vec<usize>> = cut_off.iter().map(|&server| vec![server]).collect();
        groups.extend((0..self.parts.len()).map(|part| those(&|server| self.standing(server) == Standing::Part(part))));
        groups.push(those(&|server| self.standing(server) == Standing::Well));
        groups.retain(|group| !group.is_empty());
        let divided = groups.len() > 1 || !cut_off.is_empty();
        let mut words = Vec::new();
        if divided {
            words.push(format!(
                "partition = {}",
                groups.iter().map(|group| brackets(group)).collect::<Vec<_>>().join(" ")
            ));
        }
        if !crashed.is_empty() {
            words.push(format!("crash = {}", brackets(&crashed)));
        }
        words.join(" / ")
    }
}

/// `[S0 S2]`
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
    fn the_words_are_those_of_the_course() {
        let mut faults = Faults::default();
        faults.grow(5);
        faults.happened(10, &Fault::Disconnect(ids(&[1])));
        assert_eq!(faults.text, "partition = [S1] [S0 S2 S3 S4]");
        faults.happened(20, &Fault::Crash(ids(&[4])));
        assert_eq!(faults.text, "partition = [S1] [S0 S2 S3] / crash = [S4]");
        faults.happened(30, &Fault::Connect(ids(&[1])));
        assert_eq!(faults.text, "crash = [S4]");
        faults.happened(40, &Fault::Restart(ids(&[4])));
        assert_eq!(faults.text, "");
        faults.happened(50, &Fault::Partition(vec![ids(&[0, 1]), ids(&[2, 3, 4])]));
        assert_eq!(faults.text, "partition = [S0 S1] [S2 S3 S4]");
        faults.happened(60, &Fault::Partition(vec![ids(&[0, 1, 2, 3, 4])]));
        faults.finish(70);
        let spans: Vec<(u64, u64)> = faults.spans.iter().map(|(from, to, _)| (*from, *to)).collect();
        assert_eq!(spans, [(10, 20), (20, 30), (30, 40), (50, 60)]);
        assert_eq!(faults.bands[0], Band { server: 1, from: 10, to: 30, kind: 1, part: 0 });
        assert_eq!(faults.bands[1], Band { server: 4, from: 20, to: 40, kind: 2, part: 0 });
        assert_eq!(faults.bands.len(), 2 + 5, "each server is in a part");
    }

    #[test]
    fn what_is_put_right_at_once_leaves_no_trace() {
        let mut faults = Faults::default();
        faults.grow(3);
        faults.happened(10, &Fault::Disconnect(ids(&[1])));
        faults.happened(10, &Fault::Connect(ids(&[1])));
        faults.finish(20);
        assert!(faults.bands.is_empty() && faults.spans.is_empty());
    }
}

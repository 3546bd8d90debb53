//! Entries that services apply: each entry, in order, or a snapshot in place of entries.

use ids::{Index, ServerId};
use record::{Event, EventKind, Fault};

use super::finding::{Findings, time};
use super::replay::ReplayState;
use super::rule::Rule;

/// Progress of each service.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// Last index that each service applied; unknown after a restart, because the service may have restored a snapshot.
    last: Vec<Option<Index>>,
}

impl Services {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        self.last.resize(state.servers.len(), Some(Index::ZERO));
        if let EventKind::Fault(Fault::Restart(servers)) = &event.kind {
            for server in servers {
                if let Some(last) = self.last.get_mut(server.0) {
                    *last = None;
                }
            }
            return;
        }
        let Some((server, replica)) = state.of(event).filter(|(_, replica)| replica.running) else { return };
        match event.kind {
            EventKind::Applied { index, .. } => {
                let last = self.last[server.0].replace(index);
                if let Some(last) = last.filter(|last| index != last.next()) {
                    let snapshot = replica.log.base;
                    let skipped = snapshot > last && index == snapshot.next();
                    let rule = match (skipped, state.kv) {
                        (false, _) => Rule::ApplyInOrder,
                        (true, true) => Rule::InstallResetsService,
                        (true, false) => Rule::DeliverSnapshot,
                    };
                    applied(server, last, index, rule, event.at, found);
                }
            }
            EventKind::SnapshotInstalled { index, .. } => {
                if let Some(last) = self.last[server.0].replace(index).filter(|last| index < *last) {
                    let seen = format!(
                        "{server} delivered a snapshot up to index {index} at {}, when its service had applied \
                         everything up to index {last}",
                        time(event.at)
                    );
                    found.add(Rule::IgnoreOldSnapshot, seen, &[]);
                }
            }
            _ => {}
        }
    }
}

fn applied(server: ServerId, last: Index, index: Index, rule: Rule, at: u64, found: &mut Findings) {
    let now = time(at);
    if rule == Rule::DeliverSnapshot {
        let seen = format!(
            "the service of {server} applied index {index} at {now}, and before that index {last}: the entries \
             between them are in a snapshot that its leader had sent, and {server} did not deliver it before"
        );
        found.add(rule, seen, &[]);
    } else if rule == Rule::InstallResetsService {
        let seen = format!(
            "the service of {server} applied index {index} at {now}, and before that index {last}: the entries \
             between them are in a snapshot that its leader had sent, and the service did not restore it"
        );
        found.add(Rule::InstallResetsService, seen, &[]);
    } else {
        let seen = format!("{server} applied index {index} at {now}, but the index before it was {last}");
        found.add(Rule::ApplyInOrder, seen, &[]);
    }
}

//! What the servers have applied, and the checks on every single entry that they deliver: the same command at the same
//! index everywhere, each index once, in order (the state machine safety property of the paper's Figure 3).

use std::collections::BTreeMap;

use raftapi::{Index, ServerId};

use crate::command::Command;

/// Every entry that each server has delivered.
#[derive(Debug)]
pub struct Applied {
    servers: Vec<Delivered>,
    max_index: Index,
}

#[derive(Clone, Debug, Default)]
struct Delivered {
    /// Everything delivered so far, by this incarnation and by those before it.
    log: BTreeMap<Index, Command>,
    /// The last index that this incarnation delivered.
    last: Index,
}

impl Applied {
    /// Nothing applied, on `servers` servers.
    pub fn new(servers: usize) -> Applied {
        Applied { servers: vec![Delivered::default(); servers], max_index: Index::ZERO }
    }

    /// A new incarnation of `server` begins: it has to deliver its log from the first entry again. What the one before
    /// it delivered is kept for comparison.
    pub fn restarted(&mut self, server: ServerId) {
        self.servers[server.0].last = Index::ZERO;
    }

    /// `server` delivers `command` as the entry at `index`.
    ///
    /// # Errors
    ///
    /// A sentence, if the index is not the next one, or if any server has delivered another command there.
    pub fn deliver(&mut self, server: ServerId, index: Index, command: Command) -> Result<(), String> {
        let mine = &self.servers[server.0];
        if index <= mine.last {
            return Err(format!(
                "{server} applied index {index} again: it had already applied everything up to {}",
                mine.last
            ));
        }
        if index != mine.last.next() {
            return Err(format!(
                "{server} applied index {index} out of order: the last one before it was {}",
                mine.last
            ));
        }
        for (other, delivered) in self.servers.iter().enumerate() {
            if let Some(theirs) = delivered.log.get(&index)
                && *theirs != command
            {
                let who = if other == server.0 { "before its restart it".into() } else { ServerId(other).to_string() };
                return Err(format!(
                    "two commands are committed at index {index}: {server} applied {command}, {who} applied {theirs}"
                ));
            }
        }
        let mine = &mut self.servers[server.0];
        mine.log.insert(index, command);
        mine.last = index;
        self.max_index = self.max_index.max(index);
        Ok(())
    }

    /// How many servers have delivered an entry at `index`, and which command it is. Servers that are disconnected or
    /// crashed count.
    pub fn committed(&self, index: Index) -> (usize, Option<Command>) {
        let mut at_index = self.servers.iter().filter_map(|server| server.log.get(&index));
        let command = at_index.next().cloned();
        (usize::from(command.is_some()) + at_index.count(), command)
    }

    /// The highest index that any server has delivered.
    pub fn max_index(&self) -> Index {
        self.max_index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S0: ServerId = ServerId(0);
    const S1: ServerId = ServerId(1);

    fn applied(delivered: &[(ServerId, u64, i64)]) -> Result<Applied, String> {
        let mut applied = Applied::new(3);
        for &(server, index, number) in delivered {
            applied.deliver(server, Index(index), Command::Int(number))?;
        }
        Ok(applied)
    }

    #[test]
    fn the_same_entries_on_several_servers_are_counted() {
        let applied = applied(&[(S0, 1, 10), (S1, 1, 10), (S1, 2, 20)]).unwrap();
        assert_eq!(applied.committed(Index(1)), (2, Some(Command::Int(10))));
        assert_eq!(applied.committed(Index(2)), (1, Some(Command::Int(20))));
        assert_eq!(applied.committed(Index(3)), (0, None));
        assert_eq!(applied.max_index(), Index(2));
    }

    #[test]
    fn two_commands_at_one_index_are_an_error() {
        let error = applied(&[(S0, 1, 10), (S1, 1, 11)]).unwrap_err();
        assert_eq!(error, "two commands are committed at index 1: S1 applied 11, S0 applied 10");
    }

    #[test]
    fn a_gap_is_an_error() {
        let error = applied(&[(S0, 1, 10), (S0, 3, 30)]).unwrap_err();
        assert_eq!(error, "S0 applied index 3 out of order: the last one before it was 1");
        assert!(applied(&[(S0, 2, 20)]).is_err(), "the first index is 1");
        assert!(applied(&[(S0, 0, 20)]).is_err(), "there is no index 0");
    }

    #[test]
    fn applying_again_is_an_error() {
        let error = applied(&[(S0, 1, 10), (S0, 2, 20), (S0, 1, 10)]).unwrap_err();
        assert_eq!(error, "S0 applied index 1 again: it had already applied everything up to 2");
    }

    #[test]
    fn a_restarted_server_applies_from_the_first_entry_and_the_same_as_before() {
        let mut applied = applied(&[(S0, 1, 10), (S0, 2, 20)]).unwrap();
        applied.restarted(S0);
        assert_eq!(applied.committed(Index(2)), (1, Some(Command::Int(20))));
        assert!(applied.deliver(S0, Index(2), Command::Int(20)).is_err());
        applied.deliver(S0, Index(1), Command::Int(10)).unwrap();
        let error = applied.deliver(S0, Index(2), Command::Int(21)).unwrap_err();
        assert!(error.ends_with("S0 applied 21, before its restart it applied 20"), "{error}");
    }
}

//! Random steps against a model: after any sequence of operations, closings, kills and openings, the storage equals the
//! map, the table and the log of a small model in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use kvnode::storage::{Command, Operation, Outcome, Restored, Storage, Tail};
use proptest::prelude::*;
use raft::core::{Entry, HardState, Log};
use raftapi::{Index, ServerId, Term};

use crate::fixture::{State, TempDir, copy, entry, open, state};

#[derive(Clone, Debug)]
enum Step {
    /// Save commands after the entry that is `back` entries before the last.
    Save {
        back: usize,
        commands: Vec<Command>,
    },
    Vote {
        server: usize,
    },
    Apply {
        count: usize,
    },
    Compact {
        back: u64,
    },
    /// Write the state as an image and install it again, with or without the tail.
    Reinstall {
        keep_tail: bool,
    },
    Close,
    Kill,
}

fn any_command() -> impl Strategy<Value = Command> {
    let key = prop_oneof![
        Just(Bytes::from_static(b"")),
        "[abc]{1,2}".prop_map(Bytes::from),
        Just(Bytes::from_static(b"a\0"))
    ];
    let length = prop_oneof![6 => 0..50_usize, 2 => 2000..2100_usize, 1 => 4090..9000_usize];
    (0..3_u64, 1..12_u64, 0..3, key, length, any::<u8>()).prop_map(|(client, seq, kind, key, length, byte)| {
        let value = Bytes::from(vec![byte; length]);
        let operation = match kind {
            0 => Operation::Get { key },
            1 => Operation::Put { key, value },
            _ => Operation::Append { key, value },
        };
        Command { client, seq, operation }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_usize, prop::collection::vec(any_command(), 1..8)).prop_map(|(back, commands)| Step::Save { back, commands }),
        1 => (0..3_usize).prop_map(|server| Step::Vote { server }),
        8 => (1..12_usize).prop_map(|count| Step::Apply { count }),
        2 => (0..4_u64).prop_map(|back| Step::Compact { back }),
        1 => any::<bool>().prop_map(|keep_tail| Step::Reinstall { keep_tail }),
        1 => Just(Step::Close),
        2 => Just(Step::Kill),
    ]
}

/// The expected state.
#[derive(Clone)]
struct Model {
    state: State,
    /// The commands of the log's entries.
    commands: Vec<Command>,
}

impl Model {
    fn base(&self) -> u64 {
        self.state.restored.log.base_index().0
    }

    fn set_log(&mut self, base: (Index, Term), entries: Vec<Entry>) {
        self.state.restored.log = Log::after(base.0, base.1, entries);
    }

    fn entries_up_to(&self, last: u64) -> Vec<Entry> {
        let log = &self.state.restored.log;
        log.entries(log.base_index().next(), Index(last)).to_vec()
    }

    /// Executes a command on the model.
    fn execute(&mut self, command: &Command) -> Outcome {
        let State { values, clients, .. } = &mut self.state;
        if let Operation::Get { key } = &command.operation {
            return values.get(key).map_or(Outcome::NoKey, |value| Outcome::Value(Bytes::copy_from_slice(value)));
        }
        let last = clients.entry(command.client).or_insert(0);
        if command.seq > *last {
            *last = command.seq;
            match &command.operation {
                Operation::Put { key, value } => drop(values.insert(key.clone(), value.to_vec())),
                Operation::Append { key, value } => values.entry(key.clone()).or_default().extend_from_slice(value),
                Operation::Get { .. } => {}
            }
        }
        Outcome::Written
    }
}

struct Run {
    dir: PathBuf,
    copy: PathBuf,
    image: PathBuf,
    storage: Option<Storage>,
    current: Model,
    /// The expected state after the last durable commit.
    durable: Model,
}

impl Run {
    fn storage(&self) -> &Storage {
        self.storage.as_ref().expect("the storage is open")
    }

    fn step(&mut self, step: &Step) {
        let restored = self.current.state.restored.clone();
        let (base, last, applied) = (restored.log.base_index().0, restored.log.last_index().0, restored.applied.0);
        match step {
            Step::Save { back, commands } => {
                // Applied entries are never replaced.
                let keep = last.saturating_sub(*back as u64).max(applied);
                let term = restored.hard_state.term.0.max(restored.log.last_term().0) + u64::from(*back > 0);
                let entries: Vec<Entry> = commands.iter().map(|command| entry(term, command)).collect();
                let hard_state = HardState { term: Term(term), voted_for: None };
                self.storage()
                    .save(Some(hard_state), Some(Tail { first: Index(keep + 1), entries: &entries }))
                    .unwrap();
                let all = [self.current.entries_up_to(keep), entries].concat();
                self.current.set_log((restored.log.base_index(), restored.log.base_term()), all);
                self.current.commands.truncate((keep - base) as usize);
                self.current.commands.extend(commands.iter().cloned());
                self.current.state.restored.hard_state = hard_state;
                self.durable = self.current.clone();
            }
            Step::Vote { server } => {
                let term = restored.hard_state.term.next();
                let hard_state = HardState { term, voted_for: Some(ServerId(*server)) };
                self.storage().save(Some(hard_state), None).unwrap();
                self.current.state.restored.hard_state = hard_state;
                self.durable = self.current.clone();
            }
            Step::Apply { count } => {
                let count = (*count as u64).min(last - applied);
                let batch: Vec<(Term, Option<Command>)> = (applied + 1..=applied + count)
                    .map(|index| {
                        let command = self.current.commands[(index - base - 1) as usize].clone();
                        (restored.log.term(Index(index)).unwrap(), Some(command))
                    })
                    .collect();
                let outcomes = self.storage().apply(Index(applied + 1), &batch).unwrap();
                let expected: Vec<Outcome> =
                    batch.iter().map(|(_, command)| self.current.execute(command.as_ref().unwrap())).collect();
                assert_eq!(outcomes, expected);
                if let Some((term, _)) = batch.last() {
                    (self.current.state.restored.applied, self.current.state.restored.applied_term) =
                        (Index(applied + count), *term);
                }
            }
            Step::Compact { back } => {
                let up_to = applied.saturating_sub(*back);
                self.storage().compact_log(Index(up_to)).unwrap();
                if up_to > base {
                    let entries = restored.log.entries(Index(up_to + 1), Index(last)).to_vec();
                    self.current.set_log((Index(up_to), restored.log.term(Index(up_to)).unwrap()), entries);
                    self.current.commands.drain(..(up_to - base) as usize);
                }
            }
            Step::Reinstall { keep_tail } => {
                let image = self.storage().view().unwrap().write_image(&self.image).unwrap();
                self.storage().install(&image, None, *keep_tail).unwrap();
                let entries =
                    if *keep_tail { restored.log.entries(Index(applied + 1), Index(last)).to_vec() } else { vec![] };
                self.current.set_log((Index(applied), restored.applied_term), entries);
                self.current.commands.drain(..(applied - self.current.base().min(base)) as usize);
                if !keep_tail {
                    self.current.commands.clear();
                }
                self.durable = self.current.clone();
            }
            Step::Close => {
                self.storage = None;
                self.durable = self.current.clone();
                self.reopen();
            }
            Step::Kill => {
                // A killed process leaves the files as they are at this moment.
                copy(&self.dir, &self.copy);
                self.storage = None;
                std::mem::swap(&mut self.dir, &mut self.copy);
                self.current = self.durable.clone();
                self.reopen();
            }
        }
        self.check_contents();
    }

    fn reopen(&mut self) {
        let (storage, restored) = open(&self.dir).unwrap();
        assert_eq!(restored, self.current.state.restored);
        self.storage = Some(storage);
    }

    fn check_contents(&self) {
        let restored = self.current.state.restored.clone();
        assert_eq!(state(self.storage(), restored.clone()), self.current.state);
        let log = &restored.log;
        let bytes = log.entries(log.base_index().next(), log.last_index()).iter().map(|entry| 8 + entry.command.len());
        assert_eq!(self.storage().log_bytes(), bytes.sum::<usize>() as u64);
        for key in [&b""[..], b"a", b"a\0", b"b", b"c"] {
            let expected = self.current.state.values.get(key).cloned();
            assert_eq!(self.storage().get(key).unwrap().map(Vec::from), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_storage_equals_a_model_in_memory(steps in prop::collection::vec(any_step(), 1..40)) {
        let temp = TempDir::new("model");
        let (dir, copy, image) = (temp.join("data"), temp.join("copy"), temp.join("image"));
        let (storage, restored) = open(&dir).unwrap();
        let empty = State { restored: Restored::default(), values: BTreeMap::new(), clients: BTreeMap::new() };
        prop_assert_eq!(&restored, &empty.restored);
        let model = Model { state: empty, commands: Vec::new() };
        let mut run = Run { dir, copy, image, storage: Some(storage), current: model.clone(), durable: model };
        steps.iter().for_each(|step| run.step(step));
    }
}

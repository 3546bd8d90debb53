//! Histories of a simulated store that is correct or makes one chosen mistake; deterministic for a seed.
//!
//! Clients call one operation after the other. Each operation takes effect at one moment between its call and its
//! return, on real strings. Most take about a millisecond. Some hang for seconds and take effect at any moment of that
//! time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use linearizability::kv::{History, Kind};

const MS: u64 = 1_000_000;

/// A store and its clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    pub(crate) clients: u32,
    pub(crate) keys: u64,
    pub(crate) operations_per_client: u32,
    /// The number of Puts, and of Appends, per thousand operations. The others are Gets.
    pub(crate) puts: u64,
    pub(crate) appends: u64,
    /// The number of operations per thousand that hang.
    pub(crate) hanging: u64,
    /// The longest hang, in milliseconds.
    pub(crate) hang_ms: u64,
    /// The number of rounds. In each round the clients write the same strings again.
    pub(crate) rounds: u32,
    /// The number of strings from which the written values are drawn. With `None`, each client writes its number and a
    /// count.
    pub(crate) strings: Option<u64>,
    pub(crate) mistake: Option<Mistake>,
}

/// The mistake of the store, made once, in the middle of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// An Append returns and never takes effect.
    LostAppend,
    /// A Get returns the value that the key had some operations before.
    StaleRead,
    /// An Append takes effect twice.
    DuplicatedAppend,
    /// An Append takes effect after another one that was called after its return.
    SwappedAppends,
}

impl Store {
    /// The clients of one key that only append and read.
    pub(crate) const ONE_KEY: Store = Store {
        clients: 20,
        keys: 1,
        operations_per_client: 2_000,
        puts: 0,
        appends: 500,
        hanging: 0,
        hang_ms: 1,
        rounds: 1,
        strings: None,
        mistake: None,
    };

    /// The lab's mix: random keys, and operations that hang while hundreds of others begin and end.
    pub(crate) const RANDOM_KEYS: Store =
        Store { clients: 15, keys: 15, puts: 50, hanging: 2, hang_ms: 4_000, rounds: 3, ..Store::ONE_KEY };
}

/// An operation in progress, ordered by the time of its effect.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PendingOperation {
    point: u64,
    client: u32,
    call: u64,
    ret: u64,
    key: u64,
    kind: u64,
    value: String,
}

/// Returns a history of the store.
pub(crate) fn history(store: Store, seed: u64) -> History {
    let mut random = Random(seed);
    let mut history = History::new();
    let mut states: BTreeMap<u64, String> = BTreeMap::new();
    let mut mistake = OneMistake { mistake: store.mistake, earlier: BTreeMap::new(), held: None };
    let mut now = 0;
    let total = u64::from(store.clients) * u64::from(store.operations_per_client);
    let mut done = 0;
    for _ in 0..store.rounds {
        let mut pending = BinaryHeap::new();
        let mut counts = vec![0; store.clients as usize];
        let in_round = store.operations_per_client / store.rounds;
        for client in 0..store.clients {
            let operation = next_operation(store, client, 0, now + random.below(MS), &mut random);
            pending.push(Reverse(operation));
        }
        while let Some(Reverse(operation)) = pending.pop() {
            done += 1;
            let state = states.entry(operation.key).or_default();
            mistake.take_effect(&operation, state, &mut history, done > total / 2);
            let count = &mut counts[operation.client as usize];
            *count += 1;
            now = now.max(operation.ret);
            if *count < in_round {
                let call = operation.ret + random.below(MS / 4);
                pending.push(Reverse(next_operation(store, operation.client, *count, call, &mut random)));
            }
        }
    }
    assert!(mistake.mistake.is_none(), "the history has no place for {:?}", mistake.mistake);
    history
}

fn next_operation(store: Store, client: u32, count: u32, call: u64, random: &mut Random) -> PendingOperation {
    let hangs = random.below(1000) < store.hanging;
    let longest = if hangs { store.hang_ms * MS } else { MS };
    let duration = 1 + random.below(longest);
    let point = call + random.below(duration);
    let value = match store.strings {
        None => format!("x {client} {count} y"),
        Some(strings) => "abcdefghijklmnopqrstuvwxyz"[random.below(strings) as usize..][..1].to_owned(),
    };
    let (key, kind) = (random.below(store.keys), random.below(1000));
    let kind = if kind < store.puts {
        0
    } else if kind < store.puts + store.appends {
        1
    } else {
        2
    };
    PendingOperation { point, client, call, ret: call + duration, key, kind, value }
}

/// Lets operations take effect, one of them with the mistake.
struct OneMistake {
    mistake: Option<Mistake>,
    /// For each key, a value, with the return of the Append that overwrote it.
    earlier: BTreeMap<u64, (String, u64)>,
    held: Option<(u64, u64, String)>,
}

impl OneMistake {
    fn take_effect(&mut self, operation: &PendingOperation, state: &mut String, history: &mut History, now: bool) {
        let PendingOperation { client, call, ret, key, kind, ref value, .. } = *operation;
        let mut add = |kind, value: &str| history.add(client, call, ret, kind, &key.to_string(), value);
        match kind {
            0 => {
                state.clone_from(value);
                add(Kind::Put, value);
                self.earlier.remove(&key);
            }
            1 => {
                add(Kind::Append, value);
                self.append(operation, state, now);
            }
            _ => match self.earlier.get(&key) {
                Some((earlier, since)) if now && self.mistake == Some(Mistake::StaleRead) && *since < call => {
                    add(Kind::Get, earlier);
                    self.mistake = None;
                }
                _ => add(Kind::Get, state),
            },
        }
    }

    fn append(&mut self, operation: &PendingOperation, state: &mut String, now: bool) {
        let PendingOperation { call, ret, key, ref value, .. } = *operation;
        match self.mistake {
            Some(Mistake::LostAppend) if now => self.mistake = None,
            Some(Mistake::DuplicatedAppend) if now => {
                state.push_str(value);
                state.push_str(value);
                self.mistake = None;
            }
            Some(Mistake::SwappedAppends) if now => match self.held.take() {
                None => self.held = Some((key, ret, value.clone())),
                Some((held_key, held_return, held)) if held_key == key && held_return < call => {
                    state.push_str(value);
                    state.push_str(&held);
                    self.mistake = None;
                }
                held => {
                    self.held = held;
                    state.push_str(value);
                }
            },
            Some(Mistake::StaleRead) => {
                if self.earlier.get(&key).is_none_or(|&(_, since)| since < operation.point) {
                    self.earlier.insert(key, (state.clone(), ret));
                }
                state.push_str(value);
            }
            _ => state.push_str(value),
        }
    }
}

/// A small random generator: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

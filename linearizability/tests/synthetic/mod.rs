//! Histories of a simulated store that is correct, or wrong in one chosen way: deterministic, from a seed.
//!
//! Clients call one operation after the other. Each takes effect at one moment between its call and its return, on real
//! strings. Most take about a millisecond; some hang for seconds, and take effect at any moment of that time.

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
    /// Of a thousand operations.
    pub(crate) puts: u64,
    pub(crate) appends: u64,
    /// Of a thousand operations, how many hang.
    pub(crate) hanging: u64,
    /// How long at most, in milliseconds.
    pub(crate) hang_ms: u64,
    /// How many rounds there are, in each of which the clients write the same strings again.
    pub(crate) rounds: u32,
    /// What is written is drawn from this many strings; none: every client writes its number and a count.
    pub(crate) strings: Option<u64>,
    pub(crate) wrong: Option<Wrong>,
}

/// What the store does wrong, once, in the middle of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// An append is answered and never takes effect.
    LostAppend,
    /// A get returns what was there some operations before.
    StaleRead,
    /// An append takes effect twice.
    DuplicatedAppend,
    /// An append takes effect behind another that was called after its return.
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
        wrong: None,
    };

    /// The lab's mix: random keys, and operations that hang while hundreds of others come and go.
    pub(crate) const RANDOM_KEYS: Store =
        Store { clients: 15, keys: 15, puts: 50, hanging: 2, hang_ms: 4_000, rounds: 3, ..Store::ONE_KEY };
}

/// An operation under way, by the time of its effect.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    point: u64,
    client: u32,
    call: u64,
    ret: u64,
    key: u64,
    kind: u64,
    value: String,
}

/// The history of a store.
pub(crate) fn history(store: Store, seed: u64) -> History {
    let mut random = Random(seed);
    let mut history = History::new();
    let mut states: BTreeMap<u64, String> = BTreeMap::new();
    let mut wrong = WrongOnce { wrong: store.wrong, earlier: BTreeMap::new(), held: None };
    let mut now = 0;
    let total = u64::from(store.clients) * u64::from(store.operations_per_client);
    let mut done = 0;
    for _ in 0..store.rounds {
        let mut under_way = BinaryHeap::new();
        let mut counts = vec![0; store.clients as usize];
        let in_round = store.operations_per_client / store.rounds;
        for client in 0..store.clients {
            let operation = next_operation(store, client, 0, now + random.below(MS), &mut random);
            under_way.push(Reverse(operation));
        }
        while let Some(Reverse(operation)) = under_way.pop() {
            done += 1;
            let state = states.entry(operation.key).or_default();
            wrong.take_effect(&operation, state, &mut history, done > total / 2);
            let count = &mut counts[operation.client as usize];
            *count += 1;
            now = now.max(operation.ret);
            if *count < in_round {
                let call = operation.ret + random.below(MS / 4);
                under_way.push(Reverse(next_operation(store, operation.client, *count, call, &mut random)));
            }
        }
    }
    assert!(wrong.wrong.is_none(), "the history has no place for {:?}", wrong.wrong);
    history
}

fn next_operation(store: Store, client: u32, count: u32, call: u64, random: &mut Random) -> UnderWay {
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
    UnderWay { point, client, call, ret: call + duration, key, kind, value }
}

/// Operations take effect, one of them wrongly.
struct WrongOnce {
    wrong: Option<Wrong>,
    /// For each key a value, when it was overwritten by an append, and that append's return.
    earlier: BTreeMap<u64, (String, u64)>,
    held: Option<(u64, u64, String)>,
}

impl WrongOnce {
    fn take_effect(&mut self, operation: &UnderWay, state: &mut String, history: &mut History, now: bool) {
        let UnderWay { client, call, ret, key, kind, ref value, .. } = *operation;
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
                Some((earlier, since)) if now && self.wrong == Some(Wrong::StaleRead) && *since < call => {
                    add(Kind::Get, earlier);
                    self.wrong = None;
                }
                _ => add(Kind::Get, state),
            },
        }
    }

    fn append(&mut self, operation: &UnderWay, state: &mut String, now: bool) {
        let UnderWay { call, ret, key, ref value, .. } = *operation;
        match self.wrong {
            Some(Wrong::LostAppend) if now => self.wrong = None,
            Some(Wrong::DuplicatedAppend) if now => {
                state.push_str(value);
                state.push_str(value);
                self.wrong = None;
            }
            Some(Wrong::SwappedAppends) if now => match self.held.take() {
                None => self.held = Some((key, ret, value.clone())),
                Some((held_key, held_return, held)) if held_key == key && held_return < call => {
                    state.push_str(value);
                    state.push_str(&held);
                    self.wrong = None;
                }
                held => {
                    self.held = held;
                    state.push_str(value);
                }
            },
            Some(Wrong::StaleRead) => {
                if self.earlier.get(&key).is_none_or(|&(_, since)| since < operation.point) {
                    self.earlier.insert(key, (state.clone(), ret));
                }
                state.push_str(value);
            }
            _ => state.push_str(value),
        }
    }
}

/// A small generator: splitmix64.
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

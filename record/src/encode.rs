//! The encoding of an event. The format is labgob's; but nearly all events are of a few kinds that are little more than
//! numbers, and these are written by hand: serde's way is a call a field, with a look at the buffer a byte. A test below
//! holds the two against each other.

use crate::{EventKind, Peer, ServerId};

/// Encodes an event behind what `out` holds.
///
/// # Panics
///
/// If it is longer than `labgob` can read.
#[inline]
pub(crate) fn event(at: u64, server: Option<ServerId>, kind: &EventKind, out: &mut Vec<u8>) {
    if !by_hand(at, server, kind, out) {
        // A struct is its fields in their order.
        labgob::encode_into(&(at, server, kind), out);
    }
}

/// What an [`EventKind::RpcSent`] holds, with texts that are lent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) call: u64,
    pub(crate) from: Option<ServerId>,
    pub(crate) to: &'a Peer,
    pub(crate) method: &'a str,
    pub(crate) bytes: u64,
}

impl Sent<'_> {
    /// The event that says the same.
    pub(crate) fn to_kind(self) -> EventKind {
        let Sent { call, from, to, method, bytes } = self;
        EventKind::RpcSent { call, from, to: to.clone(), method: method.to_string().into(), bytes }
    }
}

/// Encodes an event of the kind [`EventKind::RpcSent`].
pub(crate) fn sent(at: u64, server: Option<ServerId>, sent: &Sent<'_>, out: &mut Vec<u8>) {
    let Peer::Server(to) = sent.to else {
        return labgob::encode_into(&(at, server, sent.to_kind()), out);
    };
    numbers(out, |numbers| {
        numbers.head(at, server, 2);
        numbers.put([sent.call]);
        numbers.server(sent.from);
        numbers.put([0, to.0 as u64, sent.method.len() as u64]);
    });
    out.extend_from_slice(sent.method.as_bytes());
    numbers(out, |numbers| numbers.put([sent.bytes]));
}

/// Encodes an event of a kind that is known here; does nothing and returns false if it is another.
#[inline]
fn by_hand(at: u64, server: Option<ServerId>, kind: &EventKind, out: &mut Vec<u8>) -> bool {
    // With the number of the kind: its place in the enum.
    match kind {
        EventKind::RpcSent { call, from, to, method, bytes } => {
            sent(at, server, &Sent { call: *call, from: *from, to, method, bytes: *bytes }, out);
        }
        EventKind::RpcDelivered { call } => plain(at, server, 3, [*call], out),
        EventKind::RpcAnswered { call, bytes } => plain(at, server, 4, [*call, *bytes], out),
        EventKind::LogAppended { term, first, last } => plain(at, server, 9, [term.0, first.0, last.0], out),
        EventKind::Committed { index } => plain(at, server, 11, [index.0], out),
        EventKind::Applied { index, term } => plain(at, server, 12, [index.0, term.0], out),
        EventKind::Persisted { bytes } => plain(at, server, 15, [*bytes], out),
        EventKind::CommandSubmitted { index, term, bytes } => plain(at, server, 18, [index.0, term.0, *bytes], out),
        EventKind::OperationBegun { operation, client, what, key, value } => {
            let [client, what] = [u64::from(*client), *what as u64];
            plain(at, server, 23, [*operation, client, what, key.len() as u64], out);
            out.extend_from_slice(key.as_bytes());
            numbers(out, |numbers| numbers.put([value.bytes, value.end.len() as u64]));
            out.extend_from_slice(value.end.as_bytes());
        }
        EventKind::OperationEnded { operation, value } => {
            plain(at, server, 24, [*operation, value.bytes, value.end.len() as u64], out);
            out.extend_from_slice(value.end.as_bytes());
        }
        _ => return false,
    }
    true
}

/// An event whose kind has this number and begins with these fields.
fn plain<const N: usize>(at: u64, server: Option<ServerId>, kind: u64, fields: [u64; N], out: &mut Vec<u8>) {
    numbers(out, |numbers| {
        numbers.head(at, server, kind);
        numbers.put(fields);
    });
}

/// The most that the numbers take that are put at once, those of a call that is sent, and a little more.
const ROOM: usize = 64;

/// Puts numbers behind what `out` holds. There is room for all of them before the first is put, so that each is no more
/// than a few instructions.
#[inline(always)]
fn numbers(out: &mut Vec<u8>, put: impl FnOnce(&mut Numbers<'_>)) {
    let before = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let room = out.last_chunk_mut().expect("it was just made");
    let mut numbers = Numbers { room, length: 0 };
    put(&mut numbers);
    let length = numbers.length;
    out.truncate(before + length);
}

/// Numbers in the encoding of `labgob`, one behind the other.
struct Numbers<'a> {
    room: &'a mut [u8; ROOM],
    length: usize,
}

impl Numbers<'_> {
    /// What every event begins with: when, where, and the number of its kind.
    #[inline(always)]
    fn head(&mut self, at: u64, server: Option<ServerId>, kind: u64) {
        self.put([at]);
        self.server(server);
        self.put([kind]);
    }

    #[inline(always)]
    fn server(&mut self, server: Option<ServerId>) {
        match server {
            None => self.put([0]),
            Some(ServerId(server)) => self.put([1, server as u64]),
        }
    }

    /// Each in a byte if that is enough, else behind one that tells how many it has.
    #[inline(always)]
    fn put<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            let (first, bytes) = match number {
                0..=250 => (number as u8, 0),
                251..=0xffff => (251, 2),
                0x1_0000..=0xffff_ffff => (252, 4),
                _ => (253, 8),
            };
            // All eight are put down, and what comes next begins behind those that count.
            let place: &mut [u8; 9] = self.room[self.length..].first_chunk_mut().expect("there is room for all");
            place[0] = first;
            place[1..].copy_from_slice(&number.to_le_bytes());
            self.length += 1 + bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Excerpt, Index, OperationKind, Term};

    /// Each length that a number can have, from its first to its last.
    const NUMBERS: [u64; 11] = [
        0,
        1,
        250,
        251,
        255,
        256,
        u16::MAX as u64,
        u16::MAX as u64 + 1,
        u32::MAX as u64,
        u32::MAX as u64 + 1,
        u64::MAX,
    ];

    fn servers() -> impl Iterator<Item = Option<ServerId>> {
        NUMBERS.into_iter().map(|number| Some(ServerId(number as usize))).chain([None])
    }

    /// Texts of lengths that a record may have, and of some that none has.
    fn texts() -> impl Iterator<Item = String> {
        [0, 1, 40, 250, 251, 70_000].into_iter().map(|length| "y".repeat(length))
    }

    fn assert_same(event: &Event) {
        let mut out = b"before".to_vec();
        assert!(by_hand(event.at, event.server, &event.kind, &mut out), "{event:?} is not known");
        assert_eq!(out[..6], *b"before");
        assert_eq!(out[6..], labgob::encode(event), "{event:?}");
    }

    /// That what is written by hand is what labgob writes, for a kind made of three numbers.
    fn check(kind: impl Fn(u64, u64, u64) -> EventKind) {
        for a in NUMBERS {
            for b in NUMBERS {
                for c in NUMBERS {
                    assert_same(&Event { at: c, server: Some(ServerId(b as usize)), kind: kind(a, b, c) });
                }
            }
            for server in servers() {
                assert_same(&Event { at: a, server, kind: kind(a, 251, 250) });
            }
        }
    }

    #[test]
    fn numbers_are_written_as_labgob_writes_them() {
        check(|call, _, _| EventKind::RpcDelivered { call });
        check(|call, bytes, _| EventKind::RpcAnswered { call, bytes });
        check(|a, b, c| EventKind::LogAppended { term: Term(a), first: Index(b), last: Index(c) });
        check(|index, _, _| EventKind::Committed { index: Index(index) });
        check(|index, term, _| EventKind::Applied { index: Index(index), term: Term(term) });
        check(|bytes, _, _| EventKind::Persisted { bytes });
        check(|index, term, bytes| EventKind::CommandSubmitted { index: Index(index), term: Term(term), bytes });
    }

    #[test]
    fn calls_are_written_as_labgob_writes_them() {
        let method = "Raft.AppendEntries";
        check(|call, to, bytes| {
            let (from, to) = (Some(ServerId(bytes as usize)), ServerId(to as usize).into());
            EventKind::RpcSent { call, from, to, method: method.into(), bytes }
        });
        check(|call, _, bytes| {
            let to = Peer::Named("(nobody)".into());
            EventKind::RpcSent { call, from: None, to, method: method.into(), bytes }
        });
        for (method, from) in texts().flat_map(|text| servers().map(move |from| (text.clone(), from))) {
            let kind = EventKind::RpcSent { call: 251, from, to: ServerId(2).into(), method: method.into(), bytes: 7 };
            assert_same(&Event { at: 1 << 40, server: from, kind });
        }
    }

    #[test]
    fn operations_are_written_as_labgob_writes_them() {
        use OperationKind::*;
        for (key, end) in texts().flat_map(|key| texts().map(move |end| (key.clone(), end))) {
            for (number, what) in NUMBERS.into_iter().zip([Get, Put, Append].into_iter().cycle()) {
                let value = Excerpt { bytes: number, end: end.clone() };
                let (operation, client, key, begun) = (number, number as u32, key.clone(), value.clone());
                let begun = EventKind::OperationBegun { operation, client, what, key, value: begun };
                for kind in [begun, EventKind::OperationEnded { operation, value }] {
                    assert_same(&Event { at: number, server: None, kind });
                }
            }
        }
    }

    #[test]
    fn a_kind_that_is_not_known_is_left_to_labgob() {
        let event = Event { at: 7, server: Some(ServerId(1)), kind: EventKind::TermChanged { term: Term(3) } };
        let mut out = Vec::new();
        assert!(!by_hand(event.at, event.server, &event.kind, &mut out) && out.is_empty());
        super::event(event.at, event.server, &event.kind, &mut out);
        assert_eq!(out, labgob::encode(&event));
    }

    #[test]
    fn a_call_whose_texts_are_lent_is_the_event_that_owns_them() {
        for to in [ServerId(300).into(), Peer::Named("node 9".into())] {
            let call = Sent { call: 8, from: Some(ServerId(1)), to: &to, method: "KV.Get", bytes: 99 };
            let mut out = Vec::new();
            sent(1 << 33, call.from, &call, &mut out);
            assert_eq!(out, labgob::encode(&Event { at: 1 << 33, server: call.from, kind: call.to_kind() }));
        }
    }
}

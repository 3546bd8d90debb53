//! The encoding of an event, in labgob's format. Nearly all events are of a few kinds that consist mostly of numbers.
//! These kinds are encoded by hand, because serde makes one call per field and checks the buffer once per byte. A test
//! below compares both encodings.

use crate::{EventKind, Peer};
use ids::ServerId;

/// Encodes an event and appends it to `out`.
///
/// # Panics
///
/// If the encoding is longer than `labgob` can read.
#[inline]
pub(crate) fn event(at: u64, server: Option<ServerId>, kind: &EventKind, out: &mut Vec<u8>) {
    if !encode_frequent(at, server, kind, out) {
        // A struct is encoded as its fields in order.
        labgob::encode_into(&(at, server, kind), out);
    }
}

/// The fields of an [`EventKind::RpcSent`], with borrowed texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RpcSentRef<'a> {
    pub(crate) call: u64,
    pub(crate) from: Option<ServerId>,
    pub(crate) to: &'a Peer,
    pub(crate) method: &'a str,
    pub(crate) bytes: u64,
}

impl RpcSentRef<'_> {
    /// Returns the event with owned texts.
    pub(crate) fn to_kind(self) -> EventKind {
        let RpcSentRef { call, from, to, method, bytes } = self;
        EventKind::RpcSent { call, from, to: to.clone(), method: method.to_string().into(), bytes }
    }
}

/// Encodes an event of the kind [`EventKind::RpcSent`] and appends it to `out`.
pub(crate) fn rpc_sent(at: u64, server: Option<ServerId>, sent: &RpcSentRef<'_>, out: &mut Vec<u8>) {
    let Peer::Server(to) = sent.to else {
        return labgob::encode_into(&(at, server, sent.to_kind()), out);
    };
    with_numbers(out, |numbers| {
        numbers.put_head(at, server, 2);
        numbers.put([sent.call]);
        numbers.put_server(sent.from);
        numbers.put([0, to.0 as u64, sent.method.len() as u64]);
    });
    out.extend_from_slice(sent.method.as_bytes());
    with_numbers(out, |numbers| numbers.put([sent.bytes]));
}

/// Encodes an event of one of the frequent kinds. Does nothing and returns `false` for other kinds.
#[inline]
fn encode_frequent(at: u64, server: Option<ServerId>, kind: &EventKind, out: &mut Vec<u8>) -> bool {
    // The number of a kind is its position in the enum.
    match kind {
        EventKind::RpcSent { call, from, to, method, bytes } => {
            rpc_sent(at, server, &RpcSentRef { call: *call, from: *from, to, method, bytes: *bytes }, out);
        }
        EventKind::RpcDelivered { call } => encode_numbers(at, server, 3, [*call], out),
        EventKind::RpcReplied { call, bytes } => encode_numbers(at, server, 4, [*call, *bytes], out),
        EventKind::LogAppended { term, first, last } => encode_numbers(at, server, 9, [term.0, first.0, last.0], out),
        EventKind::Committed { index } => encode_numbers(at, server, 11, [index.0], out),
        EventKind::Applied { index, term } => encode_numbers(at, server, 12, [index.0, term.0], out),
        EventKind::Persisted { bytes } => encode_numbers(at, server, 15, [*bytes], out),
        EventKind::CommandSubmitted { index, term, bytes } => {
            encode_numbers(at, server, 18, [index.0, term.0, *bytes], out)
        }
        EventKind::OperationBegun { operation, client, kind, key, value } => {
            let [client, kind] = [u64::from(*client), *kind as u64];
            encode_numbers(at, server, 23, [*operation, client, kind, key.len() as u64], out);
            out.extend_from_slice(key.as_bytes());
            with_numbers(out, |numbers| numbers.put([value.bytes, value.end.len() as u64]));
            out.extend_from_slice(value.end.as_bytes());
        }
        EventKind::OperationEnded { operation, value } => {
            encode_numbers(at, server, 24, [*operation, value.bytes, value.end.len() as u64], out);
            out.extend_from_slice(value.end.as_bytes());
        }
        _ => return false,
    }
    true
}

/// Encodes an event whose kind has this number and begins with these fields.
fn encode_numbers<const N: usize>(at: u64, server: Option<ServerId>, kind: u64, fields: [u64; N], out: &mut Vec<u8>) {
    with_numbers(out, |numbers| {
        numbers.put_head(at, server, kind);
        numbers.put(fields);
    });
}

/// The most bytes that the numbers of one call of `with_numbers` take: those of a sent call, and a few more.
const NUMBERS_BYTES_MAX: usize = 64;

/// Appends numbers to `out`. The space for all of them is reserved before the first is written, so that each takes only
/// a few instructions.
#[inline(always)]
fn with_numbers(out: &mut Vec<u8>, put: impl FnOnce(&mut NumberWriter<'_>)) {
    let before = out.len();
    out.extend_from_slice(&[0; NUMBERS_BYTES_MAX]);
    let buffer = out.last_chunk_mut().expect("it was just made");
    let mut numbers = NumberWriter { buffer, length: 0 };
    put(&mut numbers);
    let length = numbers.length;
    out.truncate(before + length);
}

/// Writes numbers in the encoding of `labgob`, one after the other.
struct NumberWriter<'a> {
    buffer: &'a mut [u8; NUMBERS_BYTES_MAX],
    length: usize,
}

impl NumberWriter<'_> {
    /// Writes the beginning of every event: its time, its server, and the number of its kind.
    #[inline(always)]
    fn put_head(&mut self, at: u64, server: Option<ServerId>, kind: u64) {
        self.put([at]);
        self.put_server(server);
        self.put([kind]);
    }

    #[inline(always)]
    fn put_server(&mut self, server: Option<ServerId>) {
        match server {
            None => self.put([0]),
            Some(ServerId(server)) => self.put([1, server as u64]),
        }
    }

    /// Writes each number in one byte if that is enough, otherwise after a byte that gives its length.
    #[inline(always)]
    fn put<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            let (first, bytes) = match number {
                0..=250 => (number as u8, 0),
                251..=0xffff => (251, 2),
                0x1_0000..=0xffff_ffff => (252, 4),
                _ => (253, 8),
            };
            // All eight bytes are written; the next number begins after the significant ones.
            let place: &mut [u8; 9] = self.buffer[self.length..].first_chunk_mut().expect("there is room for all");
            place[0] = first;
            place[1..].copy_from_slice(&number.to_le_bytes());
            self.length += 1 + bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Excerpt, OperationKind};
    use ids::{Index, Term};

    /// Numbers of each encoded length, from the smallest to the largest.
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

    /// Texts of lengths that a record may have, and of some longer ones.
    fn texts() -> impl Iterator<Item = String> {
        [0, 1, 40, 250, 251, 70_000].into_iter().map(|length| "y".repeat(length))
    }

    fn assert_same(event: &Event) {
        let mut out = b"before".to_vec();
        assert!(encode_frequent(event.at, event.server, &event.kind, &mut out), "{event:?} is not a frequent kind");
        assert_eq!(out[..6], *b"before");
        assert_eq!(out[6..], labgob::encode(event), "{event:?}");
    }

    /// Compares the encoding by hand with labgob's, for a kind made of three numbers.
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
    fn kinds_of_numbers_are_encoded_as_by_labgob() {
        check(|call, _, _| EventKind::RpcDelivered { call });
        check(|call, bytes, _| EventKind::RpcReplied { call, bytes });
        check(|a, b, c| EventKind::LogAppended { term: Term(a), first: Index(b), last: Index(c) });
        check(|index, _, _| EventKind::Committed { index: Index(index) });
        check(|index, term, _| EventKind::Applied { index: Index(index), term: Term(term) });
        check(|bytes, _, _| EventKind::Persisted { bytes });
        check(|index, term, bytes| EventKind::CommandSubmitted { index: Index(index), term: Term(term), bytes });
    }

    #[test]
    fn sent_calls_are_encoded_as_by_labgob() {
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
    fn operations_are_encoded_as_by_labgob() {
        use OperationKind::*;
        for (key, end) in texts().flat_map(|key| texts().map(move |end| (key.clone(), end))) {
            for (number, kind) in NUMBERS.into_iter().zip([Get, Put, Append].into_iter().cycle()) {
                let value = Excerpt { bytes: number, end: end.clone() };
                let (operation, client, key, begun) = (number, number as u32, key.clone(), value.clone());
                let begun = EventKind::OperationBegun { operation, client, kind, key, value: begun };
                for kind in [begun, EventKind::OperationEnded { operation, value }] {
                    assert_same(&Event { at: number, server: None, kind });
                }
            }
        }
    }

    #[test]
    fn other_kinds_are_encoded_by_labgob() {
        let event = Event { at: 7, server: Some(ServerId(1)), kind: EventKind::TermChanged { term: Term(3) } };
        let mut out = Vec::new();
        assert!(!encode_frequent(event.at, event.server, &event.kind, &mut out) && out.is_empty());
        super::event(event.at, event.server, &event.kind, &mut out);
        assert_eq!(out, labgob::encode(&event));
    }

    #[test]
    fn a_call_with_borrowed_texts_is_encoded_like_its_event() {
        for to in [ServerId(300).into(), Peer::Named("node 9".into())] {
            let call = RpcSentRef { call: 8, from: Some(ServerId(1)), to: &to, method: "KV.Get", bytes: 99 };
            let mut out = Vec::new();
            rpc_sent(1 << 33, call.from, &call, &mut out);
            assert_eq!(out, labgob::encode(&Event { at: 1 << 33, server: call.from, kind: call.to_kind() }));
        }
    }
}

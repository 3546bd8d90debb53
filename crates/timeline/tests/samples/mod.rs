//! Sample pages for tests and for viewing: each shows a feature that a history may have.

#![allow(dead_code, reason = "each test that includes this module uses a part of it")]

pub(crate) mod runs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use timeline::{Annotation, Colour, Lane, Operation, Page, Partition, Step, TimeUnit, Verdict};

/// All samples with the names of their files.
pub(crate) fn all() -> Vec<(&'static str, Page)> {
    vec![
        ("illegal", illegal()),
        ("legal", legal()),
        ("large", large(20, 150_000)),
        ("order", order()),
        ("hostile", hostile()),
        ("nothing-possible", nothing_possible()),
        ("undecided", undecided()),
        ("annotations", annotations()),
        ("empty", Page { title: "an empty page".into(), ..Page::default() }),
    ]
}

fn steps(steps: &[(u32, &str)]) -> Vec<Step> {
    steps.iter().map(|&(operation, state)| Step::new(operation, state)).collect()
}

/// The history that such checkers use as their first example: a get of 'z' after 'z' was overwritten.
pub(crate) fn illegal() -> Page {
    let x = Partition {
        name: "x".into(),
        verdict: Verdict::Illegal,
        initial_state: "".into(),
        operations: vec![
            Operation::new(0, 0, 100, "get('x') -> 'w'"),
            Operation::new(1, 5, 10, "put('x', 'y')"),
            Operation::new(2, 0, 10, "put('x', 'z')"),
            Operation::new(1, 20, 30, "get('x') -> 'y'"),
            Operation::new(1, 35, 45, "put('x', 'w')"),
            Operation::new(5, 25, 35, "get('x') -> 'z'"),
            Operation::new(3, 30, 40, "get('x') -> 'y'"),
        ],
        linearizations: vec![
            steps(&[(1, "y"), (2, "z"), (5, "z")]),
            steps(&[(2, "z"), (1, "y"), (3, "y"), (6, "y"), (4, "w"), (0, "w")]),
        ],
    };
    let y = Partition {
        name: "y".into(),
        verdict: Verdict::Ok,
        initial_state: "".into(),
        operations: vec![Operation::new(4, 50, 90, "get('y') -> 'a'"), Operation::new(2, 55, 85, "put('y', 'a')")],
        linearizations: vec![steps(&[(1, "a"), (0, "a")])],
    };
    Page {
        title: "two keys, six clients".into(),
        summary: "a value that was overwritten is read again".into(),
        partitions: vec![x, y],
        ..Page::default()
    }
}

/// A correct register, with operations that touch in time, on a scale of milliseconds, and with annotations.
pub(crate) fn legal() -> Page {
    let ms = 1_000_000;
    let register = Partition {
        name: "k".into(),
        verdict: Verdict::Ok,
        initial_state: "".into(),
        operations: vec![
            Operation::new(0, ms, 4 * ms, "put('k', 'a')"),
            Operation::new(0, 4 * ms, 7 * ms, "append('k', 'b')"),
            Operation::new(0, 7 * ms, 7 * ms, "get('k') -> 'ab'"),
            Operation::new(1, 2 * ms, 5 * ms, "get('k') -> 'a'"),
            Operation::new(1, 3 * ms, 9 * ms, "append('k', 'c')"),
            Operation::new(2, 6 * ms, 12 * ms, "get('k') -> 'abc'"),
        ],
        linearizations: vec![steps(&[(0, "a"), (3, "a"), (1, "ab"), (2, "ab"), (4, "abc"), (5, "abc")])],
    };
    let tag = |name: &str| Lane::Tag(name.into());
    let mut partition = Annotation::interval(tag("$ Faults"), 3 * ms, 8 * ms, "partition = [0] [1 2]");
    partition.details = "server 0 is alone; it was the leader".into();
    partition.colour = Some(Colour(0xb3, 0xe5, 0xfc));
    let mut check = Annotation::interval(tag("$ Checks"), 9 * ms, 11 * ms, "one leader");
    check.colour = Some(Colour(0xc8, 0xe6, 0xc9));
    Page {
        title: "a register".into(),
        summary: "seed 7".into(),
        partitions: vec![register],
        annotations: vec![
            partition,
            check,
            Annotation::moment(tag("$ Notes"), 2 * ms, "snapshot at 10"),
            Annotation::moment(tag("$ Notes"), 10 * ms, "snapshot at 20"),
            Annotation::moment(Lane::Client(2), 5 * ms, "a note in a client's lane"),
        ],
        ..Page::default()
    }
}

/// Only annotations, at nanoseconds since 1970.
pub(crate) fn annotations() -> Page {
    let epoch = 1_750_000_000_000_000_000;
    let tag = |name: &str| Lane::Tag(name.into());
    Page {
        title: "annotations alone".into(),
        annotations: vec![
            Annotation::interval(tag("$ Checks"), epoch + 1_000, epoch + 901_000, "check"),
            Annotation::moment(tag("$ Notes"), epoch + 500_000, "a note"),
            Annotation::interval(tag("$ Notes"), epoch + 700_000, epoch + 600_000, "ends before it starts"),
        ],
        ..Page::default()
    }
}

/// A log without times, in which some operations never returned.
pub(crate) fn order() -> Page {
    let operations = vec![
        Operation::new(0, 0, 3, "read() -> nil"),
        Operation::new(1, 1, 4, "write(4)"),
        Operation::open(2, 2, "write(2)"),
        Operation::new(0, 5, 8, "read() -> 4"),
        Operation::new(3, 6, 10, "cas(4, 1) -> ok"),
        Operation::open(1, 7, "cas(1, 0)"),
        Operation::new(0, 9, 12, "read() -> 2"),
        Operation::new(3, 11, 14, "read() -> 3"),
        Operation::new(0, 13, 15, "cas(2, 3) -> failed"),
    ];
    let linearizations = vec![steps(&[(0, "nil"), (1, "4"), (3, "4"), (4, "1"), (2, "2"), (6, "2")])];
    let register = Partition {
        name: "".into(),
        verdict: Verdict::Illegal,
        initial_state: "nil".into(),
        operations,
        linearizations,
    };
    Page {
        title: "etcd_x".into(),
        summary: "positions in a log".into(),
        time_unit: TimeUnit::Order,
        partitions: vec![register],
        ..Page::default()
    }
}

/// A history in which no operation can be the first.
pub(crate) fn nothing_possible() -> Page {
    let register = Partition {
        name: "x".into(),
        verdict: Verdict::Illegal,
        initial_state: "0".into(),
        operations: vec![
            Operation::new(0, 1_000, 5_000, "get('x') -> '3'"),
            Operation::new(1, 2_000, 6_000, "get('x') -> '4'"),
            Operation::new(0, 7_000, 9_000, "put('x', '3')"),
        ],
        linearizations: vec![],
    };
    Page { title: "a register".into(), partitions: vec![register], ..Page::default() }
}

/// A history on which the checker gave up.
pub(crate) fn undecided() -> Page {
    let mut page = illegal();
    page.partitions.remove(1);
    page.partitions[0].verdict = Verdict::Unknown;
    page
}

/// A text that would change the page if it became HTML.
pub(crate) const HOSTILE: &str =
    "</script><b id=\"injected\">bold</b><img src=x onerror=\"document.title='hacked'\">&lt;\u{2028}\u{2029}";

/// A page on which each text is [`HOSTILE`], or as long or as strange as a text can be.
pub(crate) fn hostile() -> Page {
    let mut get = Operation::new(-1, 1_000, 9_000, HOSTILE);
    get.details = HOSTILE.into();
    let long = format!("append('k', '{}')", "x 1 2 y".repeat(5_000));
    let partition = Partition {
        name: HOSTILE.into(),
        verdict: Verdict::Illegal,
        initial_state: HOSTILE.into(),
        operations: vec![
            get,
            Operation::new(i64::MAX, 2_000, 8_000, long.as_str()),
            Operation::new(7, 9_500, 9_900, "\u{202e}right to left\u{0}\t\r\n{{data}}"),
            Operation::new(8, 9_600, 9_950, "獲得('鍵') -> '🦀🦀🦀'"),
        ],
        linearizations: vec![vec![Step::new(0, HOSTILE), Step::new(1, long)]],
    };
    let mut note = Annotation::interval(Lane::Tag(HOSTILE.into()), 1_000, 4_000, HOSTILE);
    note.details = HOSTILE.into();
    Page {
        title: HOSTILE.into(),
        summary: HOSTILE.into(),
        partitions: vec![partition],
        annotations: vec![note],
        ..Page::default()
    }
}

/// A small deterministic generator of random numbers.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A key/value store under load: `clients` that make `count` operations on 40 keys, of which key 17 loses a write.
pub(crate) fn large(clients: u64, count: usize) -> Page {
    const KEYS: u64 = 40;
    struct Call {
        client: i64,
        call: u64,
        ret: u64,
        point: u64,
        kind: u64,
    }
    let mut draws = Draws(42);
    let mut now = vec![0; clients as usize];
    let mut keys: Vec<Vec<Call>> = (0..KEYS).map(|_| Vec::new()).collect();
    for number in 0..count {
        let client = number % clients as usize;
        let call = now[client] + draws.below(80_000);
        let ret = call + 150_000 + draws.below(2_500_000) * draws.below(100) / 100;
        let point = call + draws.below(ret - call + 1);
        let key = draws.below(KEYS) as usize;
        keys[key].push(Call { client: client as i64, call, ret, point, kind: draws.below(4) });
        now[client] = ret;
    }
    let partitions = keys.iter_mut().enumerate().map(|(key, calls)| {
        calls.sort_by_key(|call| call.point);
        let mut state = String::new();
        let mut operations = Vec::new();
        let mut sequence = Vec::new();
        for (number, call) in calls.iter().enumerate() {
            let value = format!("x {} {number} y", call.client);
            let description = match call.kind {
                0 | 1 => format!("get('{key}') -> '{state}'"),
                2 => {
                    state = value.clone();
                    format!("put('{key}', '{value}')")
                }
                _ => {
                    state.push_str(&value);
                    format!("append('{key}', '{value}')")
                }
            };
            operations.push(Operation::new(call.client, call.call, call.ret, description));
            sequence.push(Step::new(number as u32, state.as_str()));
        }
        let bad = if key == 17 { calls.iter().skip(calls.len() * 7 / 10).position(|call| call.kind < 2) } else { None };
        let verdict = match bad {
            None => Verdict::Ok,
            Some(at) => {
                // This get returns a value that no client wrote; every operation that overlaps it is still possible.
                let at = at + calls.len() * 7 / 10;
                operations[at].description = format!("get('{key}') -> 'lost'").into();
                let end = calls[at].ret;
                sequence.retain(|step| step.operation as usize != at && calls[step.operation as usize].call <= end);
                Verdict::Illegal
            }
        };
        Partition {
            name: key.to_string().into(),
            verdict,
            initial_state: "".into(),
            operations,
            linearizations: vec![sequence],
        }
    });
    Page {
        title: "many clients (4B)".into(),
        summary: format!("{clients} clients, {count} operations, seed 42").into(),
        partitions: partitions.collect(),
        ..Page::default()
    }
}

/// The content of the page's data element.
pub(crate) fn packed(html: &str) -> &str {
    let (_, rest) = html.split_once("<script type=\"text/plain\" id=\"data\">").expect("an element for data");
    rest.split_once("</script>").expect("its end").0
}

/// The JSON of the page's data, unpacked.
pub(crate) fn json(html: &str) -> String {
    let bytes = STANDARD.decode(packed(html)).expect("base64 with padding");
    let whole = miniz_oxide::inflate::decompress_to_vec(&bytes).expect("deflated data");
    let length = u32::from_le_bytes(whole[..4].try_into().expect("four bytes")) as usize;
    String::from_utf8(whole[4..4 + length].to_vec()).expect("UTF-8")
}

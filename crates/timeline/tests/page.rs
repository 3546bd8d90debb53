//! The file of a page: it has all of the data, no data as HTML, no address of any other resource, and a bounded size.

mod samples;

use samples::{json, packed};
use serde_json::Value;
use timeline::{Lane, OPERATIONS_MAX, Operation, Page, Partition, STEPS_MAX, Step, TEXT_BYTES_MAX, Verdict};

fn html(page: &Page) -> String {
    let mut html = Vec::new();
    page.write(&mut html).expect("the page can be written");
    String::from_utf8(html).expect("UTF-8")
}

fn data(page: &Page) -> Value {
    serde_json::from_str(&json(&html(page))).expect("JSON")
}

fn integers(column: &Value) -> Vec<i64> {
    column.as_array().expect("a column").iter().map(|value| value.as_i64().expect("an integer")).collect()
}

/// The values of a column that was stored as differences.
fn summed(column: &Value) -> Vec<i64> {
    let sum = |sum: &mut i64, difference| {
        *sum += difference;
        Some(*sum)
    };
    integers(column).into_iter().scan(0, sum).collect()
}

fn text(data: &Value, number: i64) -> &str {
    data["texts"][usize::try_from(number).expect("a number of a text")].as_str().expect("a text")
}

/// A partition read back from the data of a page, as text.
fn read_back(data: &Value, partition: &Value) -> String {
    let (call, took) = (summed(&partition["call"]), integers(&partition["took"]));
    let (lane, description) = (summed(&partition["lane"]), summed(&partition["description"]));
    let details = summed(&partition["details"]);
    let open = integers(&partition["open"]);
    let name = text(data, partition["name"].as_i64().unwrap());
    let initial = text(data, partition["initial"].as_i64().unwrap());
    let mut words = format!("{name} {} {initial}\n", partition["verdict"]);
    for at in 0..call.len() {
        let client = &data["clients"][lane[at] as usize];
        let (begin, end) = (call[at], call[at] + took[at]);
        let details = details.get(at).map_or("", |&number| text(data, number));
        let open = open.contains(&(at as i64));
        words += &format!("{client} {begin} {end} {} {details} {open}\n", text(data, description[at]));
    }
    let sequences = &partition["sequences"];
    let (operation, state) = (summed(&sequences["operation"]), summed(&sequences["state"]));
    let mut parent = Vec::new();
    for (from, adds) in integers(&sequences["from"]).into_iter().zip(integers(&sequences["adds"])) {
        let mut node = from;
        for _ in 0..adds {
            parent.push(node);
            node = parent.len() as i64 - 1;
        }
        let mut steps = Vec::new();
        while node >= 0 {
            steps.push(format!("{} {}", operation[node as usize], text(data, state[node as usize])));
            node = parent[node as usize];
        }
        steps.reverse();
        words += &format!("{steps:?}\n");
    }
    words
}

/// The same text for the partition itself.
fn in_words(partition: &Partition) -> String {
    let verdict = match partition.verdict {
        Verdict::Illegal => "illegal",
        Verdict::Unknown => "unknown",
        Verdict::Unchecked => "unchecked",
        Verdict::Ok => "ok",
    };
    let mut words = format!("{} \"{verdict}\" {}\n", partition.name, partition.initial_state);
    for operation in &partition.operations {
        let Operation { client, call, ret, description, details, open } = operation;
        words += &format!("{client} {call} {ret} {description} {details} {open}\n");
    }
    let mut sequences: Vec<_> = partition.linearizations.iter().collect();
    sequences.sort_by_key(|sequence| std::cmp::Reverse(sequence.len()));
    for sequence in sequences {
        let steps: Vec<_> = sequence.iter().map(|step| format!("{} {}", step.operation, step.state)).collect();
        words += &format!("{steps:?}\n");
    }
    words
}

#[test]
fn a_page_can_be_read_back_illegal_partitions_first() {
    for (name, page) in [
        ("illegal", samples::illegal()),
        ("order", samples::order()),
        ("hostile", samples::hostile()),
        ("nothing possible", samples::nothing_possible()),
        ("large", samples::large(5, 3_000)),
    ] {
        let data = data(&page);
        let mut given: Vec<&Partition> = page.partitions.iter().collect();
        given.sort_by_key(|partition| partition.verdict);
        let partitions = data["partitions"].as_array().expect("partitions");
        assert_eq!(partitions.len(), given.len(), "{name}");
        for (read, given) in partitions.iter().zip(given) {
            assert_eq!(read_back(&data, read), in_words(given), "{name}");
        }
        assert_eq!(text(&data, data["title"].as_i64().unwrap()), page.title.as_str(), "{name}");
        assert_eq!(text(&data, data["summary"].as_i64().unwrap()), page.summary.as_str(), "{name}");
        assert_eq!(data["notes"], Value::Array(vec![]), "{name}: no data was left out");
    }
}

#[test]
fn annotations_can_be_read_back_in_the_order_of_time() {
    let page = samples::legal();
    let data = data(&page);
    let annotations = &data["annotations"];
    let clients = data["clients"].as_array().unwrap().len() as i64;
    let mut seen = Vec::new();
    for (at, lane) in integers(&annotations["lane"]).into_iter().enumerate() {
        let lane = match usize::try_from(lane - clients) {
            Ok(tag) => text(&data, data["tags"][tag].as_i64().unwrap()).to_owned(),
            Err(_) => format!("client {}", data["clients"][lane as usize]),
        };
        let [start, label, details] = ["start", "label", "details"].map(|column| summed(&annotations[column])[at]);
        let [took, colour] = ["took", "colour"].map(|column| integers(&annotations[column])[at]);
        let (label, details) = (text(&data, label), text(&data, details));
        seen.push(format!("{lane} {start} {took} {label} {details} {colour:x}"));
    }
    let mut given: Vec<_> = page.annotations.iter().collect();
    given.sort_by_key(|annotation| annotation.start);
    let given: Vec<_> = given
        .into_iter()
        .map(|annotation| {
            let lane = match &annotation.lane {
                Lane::Client(client) => format!("client {client}"),
                Lane::Tag(tag) => tag.to_string(),
            };
            let took = annotation.end.map_or(0, |end| end - annotation.start);
            let colour = annotation.colour.map_or(-1, |c| i64::from(c.0) << 16 | i64::from(c.1) << 8 | i64::from(c.2));
            let (start, label, details) = (annotation.start, &annotation.label, &annotation.details);
            format!("{lane} {start} {took} {label} {details} {colour:x}")
        })
        .collect();
    assert_eq!(seen, given);
}

#[test]
fn times_above_2_to_the_53_are_counted_from_the_first() {
    let page = samples::annotations();
    let data = data(&page);
    assert_eq!(data["origin"], "1750000000000001000");
    assert_eq!(summed(&data["annotations"]["start"]), [0, 499_000, 699_000]);
    assert_eq!(
        integers(&data["annotations"]["took"]),
        [900_000, 0, 0],
        "an annotation that ends before it starts is a moment"
    );
}

#[test]
fn no_data_is_html() {
    let page = samples::hostile();
    let (with, without) = (html(&page), html(&Page::default()));
    let data_with = packed(&with);
    assert!(!data_with.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "the data could end its element");
    assert_eq!(with.replace(data_with, ""), without.replace(packed(&without), ""), "data outside of its element");
}

#[test]
fn the_page_needs_no_other_resource() {
    let html = html(&samples::illegal());
    for word in ["http:", "https:", "//cdn", "src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "import("]
    {
        assert!(!html.contains(word), "the page contains {word}");
    }
    assert!(html.contains("default-src 'none'"), "and its policy forbids it");
}

#[test]
fn the_same_page_gives_the_same_bytes() {
    let page = || samples::large(7, 2_000);
    assert_eq!(html(&page()), html(&page()));
}

#[test]
fn a_page_of_200_000_operations_is_at_most_13_mb() {
    let page = samples::large(20, 200_000);
    let operations: usize = page.partitions.iter().map(|partition| partition.operations.len()).sum();
    assert_eq!(operations, 200_000);
    let html = html(&page);
    assert!(html.len() <= 13_000_000, "{} bytes", html.len());
}

#[test]
fn dead_ends_with_a_common_prefix_share_its_steps() {
    let operations = (0..2_000).map(|at| Operation::new(0, at, at + 1, "put")).collect();
    // Each sequence differs in its last step.
    let dead_end = |last: u32| (0..1_000).chain([1_000 + last]).map(|operation| Step::new(operation, "s")).collect();
    let partition = Partition {
        name: "x".into(),
        verdict: Verdict::Illegal,
        initial_state: "".into(),
        operations,
        linearizations: (0..1_000).map(dead_end).collect(),
    };
    let page = Page { partitions: vec![partition], ..Page::default() };
    let data = data(&page);
    let sequences = &data["partitions"][0]["sequences"];
    assert_eq!(integers(&sequences["operation"]).len(), 2_000, "of a million steps");
    assert_eq!(integers(&sequences["from"]).len(), 1_000);
}

fn many(operations: usize, verdict: Verdict, name: &str) -> Partition {
    Partition {
        name: name.into(),
        verdict,
        initial_state: "".into(),
        operations: (0..operations).map(|at| Operation::new(0, at as u64, at as u64, "get")).collect(),
        linearizations: vec![],
    }
}

fn names(data: &Value) -> Vec<&str> {
    let partitions = data["partitions"].as_array().unwrap();
    partitions.iter().map(|partition| text(data, partition["name"].as_i64().unwrap())).collect()
}

#[test]
fn too_many_operations_leave_out_whole_partitions() {
    let half = OPERATIONS_MAX / 2;
    let partitions = vec![many(half, Verdict::Ok, "a"), many(half, Verdict::Ok, "b"), many(10, Verdict::Illegal, "c")];
    let data = data(&Page { partitions, ..Page::default() });
    assert_eq!(names(&data), ["c", "a"]);
    assert_eq!(data["notes"][0], format!("Partitions left out: 1 (all linearizable), with {half} operations."));
}

#[test]
fn one_partition_is_shown_whatever_its_size() {
    let partitions = vec![many(10, Verdict::Ok, "a"), many(OPERATIONS_MAX + 1, Verdict::Illegal, "b")];
    let data = data(&Page { partitions, ..Page::default() });
    assert_eq!(names(&data), ["b"]);
}

#[test]
fn too_many_steps_leave_out_shorter_sequences() {
    let count = 100_000_u32;
    let mut partition = many(count as usize, Verdict::Illegal, "x");
    // Sequences that share no prefix: each begins with another operation.
    let rotated = |by: u32| (0..count - by).map(|at| Step::new((at + by) % count, "")).collect();
    partition.linearizations = (0..12).map(rotated).collect();
    let data = data(&Page { partitions: vec![partition], ..Page::default() });
    let adds = integers(&data["partitions"][0]["sequences"]["adds"]);
    assert!(adds.len() >= 9 && adds.iter().sum::<i64>() <= STEPS_MAX as i64, "{adds:?}");
    assert_eq!(adds[0], i64::from(count), "the longest one");
    assert_eq!(data["notes"][0], format!("Shorter linearizations left out: {}.", 12 - adds.len()));
}

#[test]
fn too_much_text_is_cut_and_the_page_says_so() {
    let mut partition = many(100_000, Verdict::Ok, "x");
    for (at, operation) in partition.operations.iter_mut().enumerate() {
        operation.description = format!("put('x', '{}{at}')", "v".repeat(150)).into();
    }
    let page = Page { partitions: vec![partition], ..Page::default() };
    let data = data(&page);
    assert_eq!(data["notes"][0], "Texts are cut at 80 characters.");
    let texts = data["texts"].as_array().unwrap();
    let bytes: usize = texts.iter().map(|text| text.as_str().unwrap().len()).sum();
    assert!(bytes <= TEXT_BYTES_MAX, "{bytes} bytes");
    let last = texts.last().unwrap().as_str().unwrap();
    assert!(last.starts_with("put('x', 'vvv") && last.ends_with("99999')"), "{last}");
}

#[test]
fn too_much_cut_text_leaves_out_states() {
    let partition = |name: &str, verdict, count: usize| {
        let mut partition = many(count, verdict, name);
        let state = |at: usize| format!("{name} {at} {}", "s".repeat(40));
        partition.linearizations = vec![(0..count).map(|at| Step::new(at as u32, state(at))).collect()];
        partition
    };
    let partitions = vec![partition("good", Verdict::Ok, 400_000), partition("bad", Verdict::Unknown, 100)];
    let data = data(&Page { partitions, ..Page::default() });
    assert_eq!(data["notes"][1], "The states of linearizable partitions are left out.");
    assert_eq!([&data["partitions"][0]["states"], &data["partitions"][1]["states"]], [true, false]);
}

#[test]
fn a_contradictory_page_is_refused_before_any_output() {
    let change = |change: &dyn Fn(&mut Partition)| {
        let mut page = samples::illegal();
        change(&mut page.partitions[0]);
        let mut out = Vec::new();
        let error = page.write(&mut out).expect_err("an error");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(out.is_empty());
        error.to_string()
    };
    let late = change(&|partition| partition.operations[3].call = 31);
    assert_eq!(late, "operation 3 of partition x returns before it is called");
    let missing = change(&|partition| partition.linearizations[0][1].operation = 7);
    assert_eq!(missing, "partition x has no operation 7");
    let twice = change(&|partition| partition.linearizations[0][1].operation = 1);
    assert_eq!(twice, "a linearization of partition x has operation 1 twice");
}

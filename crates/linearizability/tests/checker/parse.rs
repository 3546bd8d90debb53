//! Both parsers: the histories that they accept, and the one-line error for every other text.

use linearizability::{
    Operation, Verdict, jepsen, kv,
    kv::Kind,
    register::{Access, ReadResult},
};
use proptest::prelude::*;

const BUDGET: u64 = 1_000;

#[test]
fn a_jepsen_log_is_calls_and_completions_in_order() {
    let text = "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n\
                INFO  jepsen.util - 11 :invoke :cas [3 -4]\n\
                INFO  jepsen.util - 2\t:invoke\t:write\t3\r\n\
                INFO  jepsen.util - 0\t:ok\t:read\tnil\n\
                \n\
                INFO  jepsen.util - 2\t:info\t:write\t:timed-out\n\
                INFO  jepsen.util - 11 :fail :cas [3 -4]\n\
                INFO  jepsen.util - 4 :invoke :read nil\n\
                INFO  jepsen.util - 4 :fail :read :timed-out\n\
                INFO  jepsen.util - 5 :invoke :cas [1 2]";
    let history = jepsen::parse(text).unwrap();
    let one = |client, call, ret, action| Operation { client, call, ret, action };
    let expected = [
        one(0, 1, 4, Access::Read(ReadResult::Absent)),
        one(11, 2, 7, Access::CompareAndSet { from: 3, to: -4, swapped: Some(false) }),
        one(2, 3, 11, Access::Write(3)),
        one(4, 8, 9, Access::Read(ReadResult::Unknown)),
        one(5, 10, 11, Access::CompareAndSet { from: 1, to: 2, swapped: None }),
    ];
    assert_eq!(history.operations(), expected);
    assert_eq!(history.check(BUDGET).verdict, Verdict::Ok);
}

#[test]
fn a_key_value_history_has_one_map_per_line() {
    let text = r#"{:process 0, :type :invoke, :f :append, :key "7", :value "x \"0\" \\ y"}
{:f :get :key "7" :type :invoke :value nil :process 12}
  {:process 0,:type :ok,:f :append,:key "7",:value "x \"0\" \\ y"}

{:process 12, :type :ok, :f :get, :key "7", :value "x \"0\" \\ y"}
{:process 1, :type :invoke, :f :get, :key "7", :value nil}
{:process 2, :type :invoke, :f :put, :key "8", :value ""}"#;
    let history = kv::parse(text).unwrap();
    let found: Vec<_> = history
        .operations()
        .map(|one| (one.client, one.call, one.ret, one.kind, one.key, one.value().into_owned()))
        .collect();
    let value = r#"x "0" \ y"#;
    let expected = [
        (0, 1, 3, Kind::Append, "7", value.to_owned()),
        (12, 2, 5, Kind::Get, "7", value.to_owned()),
        (2, 7, 8, Kind::Put, "8", String::new()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_empty_text_is_an_empty_history() {
    for text in ["", "\n", "  \n\n"] {
        assert_eq!(jepsen::parse(text).unwrap().check(BUDGET).verdict, Verdict::Ok);
        assert!(kv::parse(text).unwrap().is_empty());
    }
}

#[test]
fn a_text_that_is_no_jepsen_log_is_an_error_with_its_line() {
    let call = "INFO jepsen.util - 0 :invoke :write 3\n";
    let cases = [
        ("hello", "line 1: expected INFO, found \"hello\""),
        ("INFO jepsen.core - 0", "line 1: expected jepsen.util, found \"jepsen.core\""),
        ("INFO jepsen.util -", "line 1: expected a process number, found the end of the line"),
        ("INFO jepsen.util - x :ok", "line 1: expected a process number, found \"x\""),
        (
            "INFO jepsen.util - 1 :start :read nil",
            "line 1: expected a type (:invoke, :ok, :fail or :info), found \":start\"",
        ),
        (
            "INFO jepsen.util - 1 :invoke :swap 3",
            "line 1: expected a function (:read, :write or :cas), found \":swap\"",
        ),
        ("INFO jepsen.util - 1 :invoke :write", "line 1: expected a value, found the end of the line"),
        ("INFO jepsen.util - 1 :invoke :write three", "line 1: expected a value, found \"three\""),
        ("INFO jepsen.util - 1 :invoke :cas [1 2", "line 1: expected two values such as [0 1], found \"[1 2\""),
        ("INFO jepsen.util - 1 :invoke :read nil nil", "line 1: expected the end of the line, found \"nil\""),
        ("INFO jepsen.util - 1 :ok :read nil", "line 1: expected a call of process 1 before its reply, found \":ok\""),
        (
            "\nINFO jepsen.util - 1 :info :read :timed-out",
            "line 2: expected a call of process 1 before its reply, found \":info\"",
        ),
        (
            &format!("{call}INFO jepsen.util - 0 :invoke :read nil"),
            "line 2: expected a reply to the pending call of process 0, found \":invoke\"",
        ),
        (&format!("{call}INFO jepsen.util - 0 :ok :read 3"), "line 2: expected :write, found \":read\""),
        (&format!("{call}INFO jepsen.util - 0 :ok :write 4"), "line 2: expected 3, found \"4\""),
        (
            &format!("{call}INFO jepsen.util - 0 :fail :write 3"),
            "line 2: expected :ok or :info, because a write cannot fail, found \":fail\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(jepsen::parse(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_text_that_is_no_kv_history_is_an_error_with_its_line() {
    let call = "{:process 0, :type :invoke, :f :put, :key \"k\", :value \"v\"}\n";
    let cases = [
        ("hello", "line 1: expected \"{\", found \"hello\""),
        ("{", "line 1: expected :process, :type, :f, :key or :value, each once, found the end of the line"),
        (
            "{:process 0, :process 1}",
            "line 1: expected :process, :type, :f, :key or :value, each once, found \":process 1}\"",
        ),
        ("{:process -1}", "line 1: expected a process number, found \"-1}\""),
        ("{:type :fail}", "line 1: expected :invoke or :ok, found \":fail}\""),
        ("{:f :swap}", "line 1: expected :get or :put or :append, found \":swap}\""),
        ("{:key 7}", "line 1: expected a string in double quotes, found \"7}\""),
        ("{:value 7}", "line 1: expected a string or nil, found \"7}\""),
        ("{:value \"7", "line 1: expected a string in double quotes, found \"\\\"7\""),
        ("{:process 0}", "line 1: expected :type before the end of the map, found \"}\""),
        (&call.replace("\"v\"", "nil"), "line 1: expected a string as :value, found \"nil\""),
        (&call.replace(":put", ":get"), "line 1: expected nil as :value of the call of a :get, found \"v\""),
        (&call.replace("}", "} x"), "line 1: expected the end of the line, found \"x\""),
        (&call.replace(":invoke", ":ok"), "line 1: expected a call of process 0 before its reply, found \":ok\""),
        (&format!("{call}{call}"), "line 2: expected a reply to the pending call of process 0, found \":invoke\""),
        (
            &format!("{call}{}", call.replace(":invoke", ":ok").replace("\"k\"", "\"l\"")),
            "line 2: expected the reply to :put \"k\", found \":put \\\"l\\\"\"",
        ),
        (
            &format!("{call}{}", call.replace(":invoke", ":ok").replace("\"v\"", "\"w\"")),
            "line 2: expected the value written, \"v\", found \"w\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(kv::parse(text).unwrap_err().to_string(), expected);
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(
        text in "((INFO|jepsen\\.util|-|[0-9]|:invoke|:ok|:fail|:info|:read|:write|:cas|nil|\\[|\\]|[{}\"\\\\,é]|:process|:type|:f|:key|:value|:get|:put) ?){0,20}\n?"
    ) {
        let _ = jepsen::parse(&text);
        let _ = kv::parse(&text);
    }

    #[test]
    fn one_changed_character_makes_no_parser_panic(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let jepsen_text = "INFO jepsen.util - 0 :invoke :cas [1 2]\nINFO jepsen.util - 0 :ok :cas [1 2]\n";
        let kv_text = "{:process 0, :type :invoke, :f :get, :key \"7\", :value nil}\n\
                       {:process 0, :type :ok, :f :get, :key \"7\", :value \"a\\\"b\"}\n";
        let changed = |text: &str| {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            chars[at] = with;
            chars.into_iter().collect::<String>()
        };
        let _ = jepsen::parse(&changed(jepsen_text));
        let _ = kv::parse(&changed(kv_text));
    }
}

//! Arguments that no command can use: each ends in one line with the reason and exit status 2, and nothing is written.

use std::fs;

use crate::ports;
use crate::user_errors::{TempDir, refused};

const PEERS: &str = "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103";

/// Arguments of `serve`, and a part of the line that refuses them. `FOLDER` is a directory with two files: `file`, and
/// `short` with a short secret.
const SERVE: [(&str, &str); 30] = [
    ("--id 3 --peers PEERS --data DATA", "--id 3 is none of the 3 servers"),
    ("--id one --peers PEERS --data DATA", "one"),
    ("--id -1 --peers PEERS --data DATA", "'-1'"),
    ("--id 99999999999999999999 --peers PEERS --data DATA", "number too large"),
    ("--id 0 --id 1 --peers PEERS --data DATA", "cannot be used multiple times"),
    ("--id 0 --data DATA", "--peers"),
    ("--id 0 --peers PEERS", "--data"),
    ("--id 0 --peers 127.0.0.1 --data DATA", "host:port"),
    ("--id 0 --peers , --data DATA", "host:port"),
    ("--id 0 --peers 127.0.0.1:0 --data DATA", "has no port"),
    ("--id 0 --peers 127.0.0.1:70000 --data DATA", "invalid port"),
    ("--id 0 --peers 127.0.0.1:1,127.0.0.1:1 --data DATA", "two servers have the address"),
    (
        "--id 0 --peers 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4,127.0.0.1:5,127.0.0.1:6,127.0.0.1:7,\
      127.0.0.1:8,127.0.0.1:9,127.0.0.1:10 --data DATA",
        "at most 9",
    ),
    ("--id 0 --peers 192.0.2.1:7101 --data DATA", "--listen"),
    ("--id 0 --peers 127.0.0.1:7101,192.0.2.1:7101 --data DATA", "--secret"),
    ("--id 0 --peers PEERS --data DATA --listen nonsense", "'nonsense' is not an address"),
    ("--id 0 --peers PEERS --data DATA --listen 192.0.2.1:7101", "--secret"),
    ("--id 0 --peers PEERS --data DATA --log-limit much", "64K"),
    ("--id 0 --peers PEERS --data DATA --log-limit 0", "64K"),
    ("--id 0 --peers PEERS --data DATA --log-limit 1.5M", "64K"),
    ("--id 0 --peers PEERS --data DATA --log-limit 99999999999G", "64K"),
    ("--id 0 --peers PEERS --data DATA --secret no-such-file", "no-such-file"),
    ("--id 0 --peers PEERS --data DATA --secret FOLDER", "FOLDER: "),
    ("--id 0 --peers PEERS --data DATA --secret FOLDER/short", "guessed"),
    ("--id 0 --peers PEERS --data DATA --routes 127.0.0.1:1", "--routes lists 1 servers"),
    ("--id 0 --peers PEERS --data DATA --disk-faults 1:2", "MS:SYNC:WRITE"),
    ("--id 0 --peers PEERS --data DATA --frobnicate", "--frobnicate"),
    ("--id 0 --peers PEERS --data DATA more", "'more'"),
    ("--id 0 --peers OWN --data FOLDER/file", "FOLDER/file: "),
    ("--id 0 --peers OWN --data FOLDER/file/below", "FOLDER/file/below: "),
];

/// Arguments of all commands, as above.
const OTHERS: [(&str, &str); 27] = [
    ("serve --id 0 --peers OWN --data FOLDER", "files of another program"),
    ("frobnicate", "'frobnicate'"),
    ("cluster 0", "1..=9"),
    ("cluster 10", "1..=9"),
    ("cluster three", "'three'"),
    ("cluster 3 --port 0", "--port"),
    ("cluster 3 --port 65535", "--port"),
    ("cluster 3 --port FREE --log-limit 0", "64K"),
    ("cluster 1 --port FREE --data FOLDER/file", "--data"),
    ("cluster 1 --port FREE --data FOLDER/file/below", "--data"),
    ("kv get", "<KEY>"),
    ("kv put x", "<VALUE>"),
    ("kv get x --timeout x", "'x'"),
    ("kv get x --peers nonsense", "host:port"),
    ("kv get x --peers OWN --timeout 1", "OWN"),
    ("status --peers nonsense", "host:port"),
    ("status --peers OWN", "no server answers"),
    ("bench --clients 0", "1..=1024"),
    ("bench --seconds 0", "--seconds"),
    ("bench --value-bytes 999999999", "--value-bytes"),
    ("bench --peers PEERS --no-sync", "--no-sync"),
    ("bench --data FOLDER/file", "FOLDER/file"),
    ("backup", "--to"),
    ("backup --to FOLDER/file --peers OWN", "exists already"),
    ("restore --from FOLDER/none --id 0 --peers PEERS --data DATA", "that `kvnode backup` has created"),
    ("restore --from FOLDER/file --id 0 --peers PEERS --data DATA", "that `kvnode backup` has created"),
    ("restore --from FOLDER/file --id 7 --peers PEERS --data DATA", "--id 7 is none of the 3 servers"),
];

#[test]
fn bad_arguments_are_one_line_and_write_nothing() {
    let folder = TempDir::new("arguments");
    fs::write(folder.path().join("file"), "something").expect("a file");
    fs::write(folder.path().join("short"), "abc").expect("a file");
    let free = ports::free(1).to_string();
    let (path, own) = (folder.path().display().to_string(), format!("127.0.0.1:{free}"));
    let fill = |text: &str| {
        let text = text.replace("DATA", "FOLDER/data").replace("FOLDER", &path).replace("PEERS", PEERS);
        text.replace("OWN", &own).replace("FREE", &free)
    };
    let serve = SERVE.iter().map(|(arguments, part)| (format!("serve {arguments}"), *part));
    for (arguments, part) in serve.chain(OTHERS.iter().map(|(arguments, part)| (arguments.to_string(), *part))) {
        let arguments = fill(&arguments);
        let line = refused(&arguments.split_whitespace().collect::<Vec<_>>());
        assert!(line.contains(&fill(part)), "{arguments}: {line}");
        let mut names: Vec<_> =
            fs::read_dir(&path).expect("it").map(|file| file.expect("a file").file_name()).collect();
        names.sort();
        assert_eq!(names, ["file", "short"], "{arguments}: nothing is written");
    }
}

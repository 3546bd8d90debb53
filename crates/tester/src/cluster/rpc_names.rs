//! The names of a Raft's RPCs. Scenarios hold, drop and count messages by them, so a Raft with other names would pass
//! some scenarios that look for nothing and fail others that it deserves to pass.

use labrpc::Service;
use raftapi::ServerId;

use crate::violation::Violation;

/// The methods of each Raft.
const ALWAYS: &[&str] = &["RequestVote", "AppendEntries"];

/// The methods of a Raft in a cluster with snapshots.
const WITH_SNAPSHOTS: &[&str] = &["RequestVote", "AppendEntries", "InstallSnapshot"];

/// Checks that the services of `server` have the methods by which scenarios choose messages.
///
/// # Panics
///
/// With a [`Violation`] that names the first method that is missing.
pub(super) fn check(server: ServerId, services: &[Service], snapshots: bool) {
    let wanted = if snapshots { WITH_SNAPSHOTS } else { ALWAYS };
    let has = |method: &str| {
        services.iter().any(|service| service.name() == "Raft" && service.methods().any(|name| name == method))
    };
    if let Some(missing) = wanted.iter().find(|method| !has(method)) {
        let registered: Vec<String> = services
            .iter()
            .flat_map(|service| service.methods().map(move |method| format!("{}.{method}", service.name())))
            .collect();
        let registered = if registered.is_empty() { "none".to_string() } else { registered.join(", ") };
        Violation::safety(
            &[],
            format!(
                "{server} has no RPC method Raft.{missing} (it registers {registered}): the tester chooses messages by \
                 the names of their methods, which the documentation of raftapi::Raft::services lists"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(services: &[Service], snapshots: bool) -> Option<String> {
        let checked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(ServerId(1), services, snapshots)));
        checked.err().map(|payload| payload.downcast::<Violation>().expect("a violation").text)
    }

    #[test]
    fn a_missing_method_is_named_with_those_that_are_there() {
        let service = |methods: &[&'static str]| {
            methods.iter().fold(Service::new("Raft"), |service, name| service.method(name, |(): ()| ()))
        };
        let both = service(ALWAYS);
        assert_eq!(message_of(&[both], false), None);
        assert!(
            message_of(&[service(ALWAYS)], true).expect("no snapshots").contains("no RPC method Raft.InstallSnapshot")
        );
        assert_eq!(message_of(&[service(WITH_SNAPSHOTS)], true), None);
        let text = message_of(&[service(&["Step"])], false).expect("one method");
        assert!(text.starts_with("S1 has no RPC method Raft.RequestVote (it registers Raft.Step): "), "{text}");
        assert!(message_of(&[], false).expect("no service").contains("(it registers none)"));
    }
}

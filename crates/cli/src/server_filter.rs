//! A server of the recorded cluster, as an argument.

use std::str::FromStr;

use ids::ServerId;

/// A server, such as `2` or `S2`, or `tester`, which includes the network and the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerFilter(pub(crate) Option<ServerId>);

impl FromStr for ServerFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerFilter, String> {
        if text.eq_ignore_ascii_case("tester") {
            return Ok(ServerFilter(None));
        }
        let number = text.strip_prefix(['S', 's']).unwrap_or(text);
        match number.parse() {
            Ok(number) => Ok(ServerFilter(Some(ServerId(number)))),
            Err(_) => Err("a server is a number, such as 2, or 'tester' for everything else".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_numbers_with_or_without_their_letter() {
        assert_eq!("2".parse(), Ok(ServerFilter(Some(ServerId(2)))));
        assert_eq!("S12".parse(), Ok(ServerFilter(Some(ServerId(12)))));
        assert_eq!("tester".parse(), Ok(ServerFilter(None)));
        for wrong in ["", "S", "-1", "SS1", "leader"] {
            assert!(wrong.parse::<ServerFilter>().is_err(), "{wrong}");
        }
    }
}

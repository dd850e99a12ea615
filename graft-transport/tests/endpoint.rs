//! The text of an endpoint.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;

use graft_transport::{Endpoint, EndpointError, HostPort};
use proptest::prelude::*;

fn parsed(text: &str) -> Endpoint {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn each_form_is_parsed_to_its_parts() {
    assert_eq!(parsed("local:"), Endpoint::Local);
    for text in ["tcp://db.example:7000", "tls://db.example:7000"] {
        let (Endpoint::Tcp(address) | Endpoint::Tls(address)) = parsed(text) else { panic!("{text}") };
        assert_eq!((address.host(), address.port()), ("db.example", 7000));
    }
    let Endpoint::Tcp(address) = parsed("tcp://[::1]:1") else { panic!() };
    assert_eq!((address.host(), address.port()), ("::1", 1));
    assert_eq!(HostPort::from(SocketAddr::from((Ipv6Addr::LOCALHOST, 1))), address);
    assert_eq!(address.with_port(9).to_string(), "[::1]:9");
    let Endpoint::Unix(path) = parsed("unix:/run/graft.sock") else { panic!() };
    assert_eq!(path.as_path(), Path::new("/run/graft.sock"));
    for (text, port, path) in [
        ("ws://a.example:81/b/c", 81, "/b/c"),
        ("ws://a.example", 80, "/"),
        ("wss://a.example/%2F", 443, "/%2F"),
    ] {
        let (Endpoint::Ws(web) | Endpoint::Wss(web)) = parsed(text) else { panic!("{text}") };
        assert_eq!((web.address().host(), web.address().port(), web.path()), ("a.example", port, path));
    }
}

#[test]
fn other_spellings_print_as_the_canonical_one() {
    for (spelling, canonical) in [
        ("LOCAL:", "local:"),
        ("TCP://LocalHost:07000", "tcp://localhost:7000"),
        ("tcp://[0:0:0:0:0:0:0:1]:1", "tcp://[::1]:1"),
        ("tls://[2001:DB8::A]:1", "tls://[2001:db8::a]:1"),
        ("unix:///run/graft.sock", "unix:/run/graft.sock"),
        ("Ws://a.example", "ws://a.example:80/"),
        ("wss://A.example/Path", "wss://a.example:443/Path"),
    ] {
        assert_eq!(parsed(spelling).to_string(), canonical);
        assert_eq!(parsed(canonical).to_string(), canonical);
    }
}

#[test]
fn everything_else_is_refused_for_its_reason() {
    use EndpointError::*;
    let (long_path, long) = (format!("unix:/{}", "a".repeat(103)), format!("ws://a/{}", "a".repeat(1024)));
    let (long_label, long_name) =
        (format!("tcp://{}:1", "a".repeat(64)), format!("tcp://{}b:1", "a.".repeat(127)));
    let long_printed = format!("ws://a/{}", "a".repeat(1024 - 7));
    for (text, why) in [
        ("", Scheme),
        ("localhost:7000", Scheme),
        ("http://a.example:1", Scheme),
        ("tcp:a.example:1", Scheme),
        ("tcp", Scheme),
        (" tcp://a:1", Scheme),
        ("local://", Local),
        ("local:x", Local),
        ("tcp://user:hunter2@a.example:1", UserInfo),
        ("wss://hunter2@a.example/", UserInfo),
        ("ws://a.example/x?token=hunter2", Query),
        ("tcp://a.example:1#x", Query),
        ("tcp://:1", Host),
        ("tcp://a..b:1", Host),
        ("tcp://a.example.:1", Host),
        ("tcp://a b:1", Host),
        ("tcp://ä.example:1", Host),
        ("tcp://a%41:1", Host),
        ("tcp://127.1:1", Host),
        ("tcp://0x7f000001:1", Host),
        ("tcp://256.0.0.1:1", Host),
        ("tcp://::1:1", Host),
        ("tcp://[::1:1", Host),
        ("tcp://[::1%eth0]:1", Host),
        ("tcp://[127.0.0.1]:1", Host),
        (&long_label, Host),
        (&long_name, Host),
        ("tcp://a.example", NoPort),
        ("tls://[::1]", NoPort),
        ("tcp://a.example:", Port),
        ("tcp://a.example:65536", Port),
        ("tcp://a.example:+1", Port),
        ("tcp://a.example:-1", Port),
        ("tcp://a.example:1:2", Port),
        ("tcp://[::1]1", Port),
        ("tcp://a.example:1/", Path),
        ("tls://a.example:1/x", Path),
        ("ws://a.example/a b", WebPath),
        ("ws://a.example/ä", WebPath),
        ("ws://a.example/%4", WebPath),
        ("ws://a.example/%zz", WebPath),
        ("ws://a.example/\r\nX: y", WebPath),
        ("unix:", SocketPath),
        ("unix:/", SocketPath),
        ("unix:graft.sock", SocketPath),
        ("unix://host/graft.sock", SocketPath),
        ("unix:////graft.sock", SocketPath),
        ("unix:/a\nb", SocketPath),
        ("unix:/a\0b", SocketPath),
        (&long_path, SocketPath),
        (&long, TooLong),
        (&long_printed, TooLong),
    ] {
        let error = text.parse::<Endpoint>().expect_err(text);
        assert_eq!(error, why, "{text}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    assert_eq!(parsed(&long_path[..long_path.len() - 1]).to_string().len(), "unix:".len() + 103);
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        // Ends in a letter, so that it cannot be taken for an address.
        "([a-z0-9_-]{1,12}\\.){0,3}[a-w][a-z0-9-]{0,12}",
        any::<[u8; 4]>().prop_map(|address| std::net::Ipv4Addr::from(address).to_string()),
        any::<[u16; 8]>().prop_map(|address| format!("[{}]", std::net::Ipv6Addr::from(address))),
    ]
}

fn canonical() -> impl Strategy<Value = String> {
    let path = "(/([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}){0,8}){1,5}";
    prop_oneof![
        Just("local:".to_owned()),
        (prop_oneof![Just("tcp"), Just("tls")], host(), any::<u16>())
            .prop_map(|(scheme, host, port)| format!("{scheme}://{host}:{port}")),
        "(/[^/\\p{C}]{1,9}){1,3}".prop_map(|path| format!("unix:{path}")),
        (prop_oneof![Just("ws"), Just("wss")], host(), any::<u16>(), path)
            .prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}:{port}{path}")),
    ]
}

proptest! {
    #[test]
    fn what_is_canonical_prints_as_it_was(text in canonical()) {
        prop_assume!(text.len() <= 103);
        prop_assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(text));
    }

    #[test]
    fn whatever_parses_prints_as_something_that_means_the_same(
        text in "(?i)(local|tcp|tls|unix|ws|wss|http):(//)?[a-z0-9:./@%\\[\\]?#ä -]{0,24}",
    ) {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
    }
}

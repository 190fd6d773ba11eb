//! The harness itself: what it promises must hold, or the tests that stand on it prove nothing.
//! None of this needs the module.

use std::net::TcpStream;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::support::{text, wait_until, Message, Options, Server, Stop, Subscriber};

fn message(channel: &str, payload: &str) -> Message {
    Message { channel: channel.to_owned(), payload: payload.to_owned() }
}

#[test]
fn replies_are_the_same_text_whatever_the_protocol() {
    let server = Server::start(Options::plain());
    for mut client in [server.client(), server.client_resp3()] {
        let check = |client: &mut crate::support::Client, command: &str, reply: &str| {
            assert_eq!(client.text(command), reply, "{command}");
        };
        check(&mut client, "FLUSHALL", "OK");
        check(&mut client, "GET k", "nil");
        check(&mut client, r#"SET k '{"a": "b c"}'"#, "OK");
        check(&mut client, "GET k", r#""{\"a\": \"b c\"}""#);
        check(&mut client, "RPUSH l a 1", "2");
        check(&mut client, "LRANGE l 0 -1", r#"["a", "1"]"#);
        check(&mut client, "HSET k f v", "(error) WRONGTYPE Operation against a key holding the wrong kind of value");
        assert_eq!(client.text([b"GET".as_slice(), b"\xff\x00"]), "nil", "binary");
        client.run("HSET h f v g 2");
        let fields = client.map("HGETALL h");
        assert_eq!((fields["f"].as_str(), fields["g"].as_str()), ("v", "2"));
        assert_eq!(client.int("HLEN h"), 2);
        assert!(client.error("NOSUCH").starts_with("ERR unknown command"));
        assert_eq!(text(&client.run("MULTI")), "OK");
        client.run("HSET k f v");
        let replies = client.text("EXEC");
        assert!(replies.starts_with("[(error) WRONGTYPE"), "{replies}");
    }
    assert_eq!(server.client_resp3().text("HGETALL h"), r#"{"f": "v", "g": "2"}"#);
}

#[test]
fn another_user_may_do_what_it_may() {
    let server = Server::start(Options::plain().config("user reader on >secret ~a* +get"));
    let mut client = server.client_as("reader", "secret");
    assert_eq!(client.text("GET a"), "nil");
    assert!(client.error("GET b").starts_with("NOPERM"));
}

#[test]
fn acknowledged_writes_survive_both_ends() {
    for stop in [Stop::Shutdown, Stop::Kill] {
        let options = Options::plain().append_only();
        let mut server = Server::start(options.clone());
        let port = server.port();
        server.client().run("SET k v");
        let digest = server.digest();
        server.restart(stop, options);
        assert_eq!(server.port(), port);
        assert_eq!(server.client().string("GET k"), "v", "{stop:?}");
        assert_eq!(server.digest(), digest);
    }
}

#[test]
fn nothing_survives_without_an_append_only_file() {
    let mut server = Server::start(Options::plain());
    server.client().run("SET k v");
    server.restart(Stop::Shutdown, Options::plain());
    assert_eq!(server.client().text("GET k"), "nil");
}

#[test]
fn what_takes_time_is_waited_for() {
    let server = Server::start(Options::plain());
    let mut client = server.client();
    client.run("SET k v PX 20");
    wait_until("the key to expire", || client.text("GET k") == "nil");
}

#[test]
fn nothing_is_left_behind() {
    let server = Server::start(Options::plain().append_only());
    let (port, dir) = (server.port(), server.dir().to_owned());
    assert!(dir.join("appendonlydir").is_dir());
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!dir.exists());
}

#[test]
fn a_replica_catches_up() {
    let master = Server::start(Options::plain());
    master.client().run("SET before 1");
    let replica = Server::start(Options::plain().replica_of(&master));
    let mut client = master.client();
    for n in 0..1_000 {
        client.run(["SET", &format!("k{n}"), "v"]);
    }
    replica.catch_up_with(&master);
    assert_eq!(replica.digest(), master.digest());
    assert!(replica.client().error("SET k v").starts_with("READONLY"));
}

#[test]
fn a_subscriber_gets_everything_and_knows_when_there_is_no_more() {
    let server = Server::start(Options::plain());
    for client in [server.client(), server.client_resp3()] {
        let mut subscriber = Subscriber::new(client, server.client(), "PSUBSCRIBE a:* *");
        subscriber.assert_silent();
        let mut client = server.client();
        // Once for each pattern that it matches.
        client.run("PUBLISH a:1 {}");
        client.run("PUBLISH b:1 x");
        let first = subscriber.take(2);
        assert_eq!(first, [message("a:1", "{}"), message("a:1", "{}")]);
        assert_eq!(first[0].json(), serde_json::json!({}));
        assert_eq!(subscriber.until_now(), [message("b:1", "x")]);
        subscriber.assert_silent();
    }
}

#[test]
fn shard_channels_are_heard() {
    let server = Server::start(Options::plain());
    let mut subscriber = server.subscribe("SSUBSCRIBE {a}:1 {a}:2");
    server.client().run("SPUBLISH {a}:2 x");
    assert_eq!(subscriber.until_now(), [message("{a}:2", "x")]);
}

#[test]
fn unexpected_messages_fail_the_test() {
    let server = Server::start(Options::plain());
    let mut subscriber = server.subscribe("SUBSCRIBE a");
    server.client().run("PUBLISH a x");
    catch_unwind(AssertUnwindSafe(|| subscriber.assert_silent())).expect_err("a message came");
}

#[test]
fn a_refusal_to_start_shows_the_log() {
    let log = Server::refuses_to_start(Options::plain().config("no-such-setting 1"));
    assert!(log.contains("no-such-setting"), "{log}");
}

#[test]
fn a_server_that_dies_under_its_test_fails_it() {
    let server = Server::start(Options::plain());
    // An error of the connection is the only answer.
    let reply = server.client().try_reply("DEBUG SEGFAULT");
    assert!(reply.is_err(), "{reply:?}");
    let panic = catch_unwind(AssertUnwindSafe(|| drop(server))).expect_err("the server died");
    let report = panic.downcast_ref::<String>().expect("a report");
    assert!(report.contains("BUG REPORT START"), "{report}");
}

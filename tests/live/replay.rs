//! TRADE.REPLAY and EVENT.REPLAY: what was told is told again, to whoever asked for it and to nobody else.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;

use serde_json::Value;

use crate::support::{wait_until, Client, Message, Options, Server};

/// Every live channel there is.
const LIVE: &str = "PSUBSCRIBE trades:* events:* market:* condition.*";

/// Orders of a symbol and events of a stream, with everything that a message can have.
fn publish_some(client: &mut Client) {
    client.run(
        r#"TRADE.PUBLISH S order.created '{ "order_id": "1", "volume": 2 }' ID e SOURCE desk CORRELATION c TIMESTAMP 1000"#,
    );
    client.run(r#"TRADE.PUBLISH S order.cancelled '{"order_id":"1"}'"#);
    client.run(r#"TRADE.PUBLISH S order.created '{"order_id":"2","volume":2}'"#);
    client.run(r#"TRADE.PUBLISH S order.cancelled '{"order_id":"1"}'"#);
    for id in ["1-0", "2-0"] {
        client.run(["XADD", "events:{T}", id, "type", "policy.updated", "data", r#"{"a":1}"#, "ts", "1000"]);
    }
}

/// The message without what a replay cannot or must not repeat.
fn comparable(message: &Message) -> Value {
    let mut json = message.json();
    let members = json.as_object_mut().expect("an object");
    for name in ["status", "version", "published_at", "replay"] {
        members.remove(name);
    }
    json
}

#[test]
fn what_was_told_is_told_again_once_everywhere_and_nowhere_else() {
    let master = Server::start(Options::new().append_only());
    let replica = Server::start(Options::new().replica_of(&master));
    let mut live = master.subscribe(LIVE);
    let mut clients = [master.client(), master.client_resp3()];
    publish_some(&mut clients[0]);
    let told = live.until_now();
    assert_eq!(told.len(), 4);
    replica.catch_up_with(&master);
    let mut live_on_replica = replica.subscribe(LIVE);
    let mut again = [&master, &replica].map(|node| node.subscribe("PSUBSCRIBE replay:*"));
    let (digest, file) = (master.digest(), aof(&master));
    let next_of = |reply: &str, count: usize| assert_eq!(reply, format!(r#"["0", {count}]"#));
    for client in &mut clients {
        next_of(&client.text("TRADE.REPLAY S - +"), 4);
        replica.catch_up_with(&master);
        for node in &mut again {
            let messages = node.until_now();
            assert_eq!(messages.len(), told.len());
            for (message, told) in messages.iter().zip(&told) {
                assert_eq!(message.channel, format!("replay:{}", told.channel));
                assert_eq!(comparable(message), comparable(told));
                assert_eq!(message.json()["replay"], Value::Bool(true));
                assert!(message.payload.contains(r#""data":{"#) && message.json()["published_at"].is_string());
            }
            assert!(messages[0].payload.contains(r#""data":{ "order_id": "1", "volume": 2 }"#), "byte for byte");
        }
        next_of(&client.text("EVENT.REPLAY T - +"), 2);
        replica.catch_up_with(&master);
        for node in &mut again {
            let messages = node.until_now();
            let previous: Vec<_> = messages.iter().map(|message| message.json()["prev_id"].clone()).collect();
            assert_eq!(previous, ["0-0", "1-0"]);
            for message in &messages {
                assert_eq!(message.channel, "replay:events:T:policy.updated");
                assert_eq!(message.json()["stream"], "T");
                assert_eq!(message.json()["timestamp"], "1970-01-01T00:00:01.000Z");
            }
        }
    }
    live.assert_silent();
    live_on_replica.assert_silent();
    assert_eq!(master.digest(), digest);
    // Several messages are a transaction on their way to the replicas, of which the file gets the frame.
    let appended = aof(&master)[file.len()..].replace("*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n", "");
    assert_eq!(appended, "", "nothing is written");
    assert_eq!(replica.digest(), digest);
    assert_eq!(master.info("tradebus", "tradebus_replayed").as_deref(), Some("12"));
    // On a replica it is a matter of the replica's subscribers.
    next_of(&replica.client().text("TRADE.REPLAY S - + TYPE order.cancelled"), 2);
    assert_eq!(again[1].until_now().len(), 2);
    again[0].assert_silent();
}

/// What the server has appended.
fn aof(server: &Server) -> String {
    let file = server.dir().join("appendonlydir/appendonly.aof.1.incr.aof");
    fs::read_to_string(file).expect("an append-only file in UTF-8")
}

#[test]
fn filters_and_pages_choose_and_the_chain_is_that_of_the_call() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    publish_some(&mut client);
    let mut replayed = server.subscribe("PSUBSCRIBE replay:*");
    let mut check = |rest: &str, shown: &str, chain: &[(usize, &str, &str)]| {
        let reply = client.text(format!("TRADE.REPLAY S {rest}"));
        assert!(reply.ends_with(shown), "{rest}: {reply}");
        let log = client.text("XRANGE trade:{S}:events - +");
        let ids: Vec<_> =
            log.split("[\"").skip(1).step_by(2).map(|rest| rest.split('"').next().unwrap_or("")).collect();
        let messages = replayed.until_now();
        assert_eq!(messages.len(), chain.len(), "{rest}: {messages:?}");
        let id_of = |place: &str| place.parse::<usize>().map_or("0-0", |place| ids[place]);
        for (message, &(place, previous, previous_in_log)) in messages.iter().zip(chain) {
            let json = message.json();
            assert_eq!(json["id"], ids[place], "{rest}");
            assert_eq!(json["prev_id"], id_of(previous), "{rest}");
            assert_eq!(json["prev_log_id"], id_of(previous_in_log), "{rest}");
        }
    };
    check("- +", r#"["0", 4]"#, &[(0, "", ""), (1, "", "0"), (2, "0", "1"), (3, "1", "2")]);
    check("- + TYPE order.created", r#"["0", 2]"#, &[(0, "", ""), (2, "0", "0")]);
    check("- + ORDER 1", r#"["0", 3]"#, &[(0, "", ""), (1, "", "0"), (3, "1", "1")]);
    check("- + SOURCE desk UNTIL 1000", r#"["0", 1]"#, &[(0, "", "")]);
    check("- + COUNT 1", ", 1]", &[(0, "", "")]);
    check("+ -", r#"["0", 0]"#, &[]);
    check("- + TYPE signal.rejected", r#"["0", 0]"#, &[]);
    let reply = client.text("TRADE.REPLAY S - + COUNT 3");
    let next = reply.split('"').nth(1).expect("where to go on").to_owned();
    assert_eq!(client.text(format!("TRADE.REPLAY S {next} +")), r#"["0", 1]"#);
    let ids: Vec<_> = replayed.until_now().iter().map(|message| message.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(client.error("TRADE.REPLAY S - + REV").starts_with("ERR unknown option `REV`"));
}

#[test]
fn the_prefix_never_makes_a_replay_look_like_news() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    publish_some(&mut client);
    let mut everything = server.subscribe("PSUBSCRIBE *");
    let mut live = server.subscribe(LIVE);
    for (prefix, expected) in [
        ("trades:", "ERR a replay must not be taken for news, so the prefix must not begin with trades:"),
        ("trades:X:", "ERR "),
        ("events:", "ERR "),
        ("market:S:", "ERR "),
        ("condition.", "ERR "),
        ("", "BADFIELD the prefix after CHANNEL is empty"),
        ("a b", "BADFIELD the prefix after CHANNEL has a space"),
        ("a{b}", "BADFIELD "),
        ("a*", "BADFIELD "),
        ("a\r\n", "BADFIELD "),
        (&"x".repeat(65), "BADFIELD "),
    ] {
        for command in ["TRADE.REPLAY", "EVENT.REPLAY"] {
            let error = client.error([command, "S", "-", "+", "CHANNEL", prefix]);
            assert!(error.starts_with(expected), "{prefix}: {error}");
        }
    }
    assert!(client.error("TRADE.REPLAY S - + CHANNEL a: CHANNEL a:").starts_with("ERR CHANNEL is given twice"));
    everything.assert_silent();
    for prefix in ["trades", "TRADES:", "backtest:7:", "replay:", "x"] {
        assert_eq!(client.text(format!("TRADE.REPLAY S - + CHANNEL {prefix}")), r#"["0", 4]"#);
        let channels: Vec<_> = everything.until_now().into_iter().map(|message| message.channel).collect();
        assert_eq!(channels[0], format!("{prefix}trades:S:order.created"));
        assert_eq!(channels.len(), 4);
    }
    live.assert_silent();
}

#[test]
fn other_channels_than_the_default_need_permission() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    publish_some(&mut client);
    let library = "#!lua name=library\nredis.register_function('replay', function(keys, args) \
                   return redis.call('TRADE.REPLAY', keys[1], '-', '+', unpack(args)) end)";
    client.run(["FUNCTION", "LOAD", library]);
    let mut everything = server.subscribe("PSUBSCRIBE *");
    let mut check = |channels: &str, prefix: &str, is_allowed: bool| {
        let mut admin = server.client();
        admin.run("ACL LOG RESET");
        admin.run(format!(
            "ACL SETUSER bot reset on >pw ~S resetchannels +trade.replay +multi +exec +eval +fcall {channels}"
        ));
        let mut bot = server.client_as("bot", "pw");
        let mut replies = vec![bot.text(format!("TRADE.REPLAY S - + {prefix}"))];
        bot.run("MULTI");
        bot.run(format!("TRADE.REPLAY S - + {prefix}"));
        let reply = bot.text("EXEC");
        replies.push(reply[1..reply.len() - 1].to_owned());
        let words: String = prefix.split_whitespace().map(|word| format!(",'{word}'")).collect();
        let script = format!("return redis.call('TRADE.REPLAY',KEYS[1],'-','+'{words})");
        replies.push(bot.text(["EVAL", &script, "1", "S"]));
        replies.push(bot.text(format!("FCALL replay 1 S {prefix}")));
        for reply in &replies {
            match is_allowed {
                true => assert_eq!(reply, r#"["0", 4]"#, "{channels} {prefix}"),
                false => {
                    assert!(reply.starts_with("(error) NOPERM this user has no permissions to publish on "), "{reply}")
                }
            }
        }
        assert_eq!(everything.until_now().len(), if is_allowed { 16 } else { 0 }, "{channels} {prefix}");
        let logged = admin.text("ACL LOG");
        assert_eq!(logged.contains("trades:S:order."), !is_allowed, "{logged}");
        assert!(admin.error("TRADE.REPLAY S - + CHANNEL trades:").starts_with("ERR"));
    };
    check("", "", true);
    check("", "CHANNEL replay:", true);
    check("", "CHANNEL backtest:", false);
    check("&backtest:*", "CHANNEL backtest:", true);
    check("allchannels", "CHANNEL backtest:", true);
    check("&replay:*", "CHANNEL backtest:", false);
    check("&trades:*", "CHANNEL backtest:", false);
    // Not even what the user may publish on is told, when that is not all.
    check("&backtest:trades:S:order.created", "CHANNEL backtest:", false);
    check("&backtest:trades:S:order.created &backtest:trades:S:order.cancelled", "CHANNEL backtest:", true);
    check("(&backtest:* +publish)", "CHANNEL backtest:", true);
    let mut bot = server.client_as("bot", "pw");
    for command in ["TRADE.REPLAY OTHER - +", "EVENT.REPLAY S - +", "TRADE.EVENTS S - +"] {
        assert!(bot.error(command).starts_with("NOPERM "), "{command}");
    }
    // A transaction may take the rights away that its next command would need.
    client.run("MULTI");
    client.run("ACL SETUSER default resetchannels");
    client.run("TRADE.REPLAY S - + CHANNEL backtest:");
    client.run("ACL SETUSER default allchannels");
    let reply = client.text("EXEC");
    assert!(reply.starts_with("[OK, (error) NOPERM "), "{reply}");
    // And a user may be gone.
    client.run("ACL SETUSER gone on >pw ~* &* +@all");
    let mut gone = server.client_as("gone", "pw");
    gone.run("MULTI");
    gone.run("ACL DELUSER gone");
    gone.run("TRADE.REPLAY S - + CHANNEL backtest:");
    gone.run("TRADE.SYMBOLS 0");
    // The server closes the connection, with or without a reply.
    let _ = gone.try_reply("EXEC");
    assert_eq!(client.text("PING"), "PONG");
}

#[test]
fn channels_follow_the_setting() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    publish_some(&mut client);
    let mut plain = server.subscribe("PSUBSCRIBE *");
    let mut sharded = server.subscribe("SSUBSCRIBE replay:trades:{S}:order.created trades:{S}:order.created");
    client.run("CONFIG SET tradebus.pubsub sharded");
    assert_eq!(client.text("TRADE.REPLAY S - +"), r#"["0", 4]"#);
    let channels: Vec<_> = sharded.until_now().into_iter().map(|message| message.channel).collect();
    assert_eq!(channels, ["replay:trades:{S}:order.created"; 2]);
    plain.assert_silent();
    client.run("CONFIG SET tradebus.pubsub off");
    for command in ["TRADE.REPLAY S - +", "EVENT.REPLAY T - +"] {
        let error = client.error(command);
        assert_eq!(error, "ERR nothing is published while tradebus.pubsub is off", "{command}");
    }
    sharded.assert_silent();
    plain.assert_silent();
}

#[test]
fn what_nobody_could_read_is_not_told() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("TRADE.PUBLISH S trade.executed {}");
    let text = |fields: &[&str]| fields.iter().map(|field| field.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut foreign = vec![
        text(&["a", "b"]),
        text(&["type", "trade.executed", "data", r#"{"a":"#, "ts", "1"]),
        text(&["type", "trade.executed", "data", r#"{}},{"replay":false"#, "ts", "1"]),
        text(&["type", "trade.executed", "data", "{}"]),
        text(&["type", "trade.executed", "data", "{}", "ts", "x"]),
        text(&["type", "TRADE_EXECUTED", "data", "{}", "ts", "1"]),
        text(&["type", "policy.updated", "data", "{}", "ts", "1"]),
        text(&["type", "a:b", "data", "{}", "ts", "1"]),
    ];
    foreign.push([text(&["type", "trade.executed", "data", "{}", "ts", "1", "source"]), vec![vec![0xff]]].concat());
    for fields in &foreign {
        for log in ["trade:{S}:events", "events:{T}"] {
            let mut words = text(&["XADD", log, "*"]);
            words.extend(fields.iter().cloned());
            client.run(words);
        }
    }
    // Strange, but a message all the same: a time beyond the calendar is the end of it.
    client.run("XADD trade:{S}:events * type trade.executed data {} ts 9223372036854775807 event_id '\"'");
    let mut replayed = server.subscribe("PSUBSCRIBE replay:*");
    assert_eq!(client.text("TRADE.REPLAY S - +"), r#"["0", 2]"#);
    let messages = replayed.until_now();
    assert_eq!(messages[1].json()["timestamp"], "9999-12-31T23:59:59.999Z");
    assert_eq!(messages[1].json()["event_id"], "\"");
    assert_eq!(client.text("EVENT.REPLAY T - +"), r#"["0", 1]"#);
    assert_eq!(replayed.until_now()[0].channel, "replay:events:T:policy.updated");
    client.run("SET trade:{W}:events x");
    assert!(client.error("TRADE.REPLAY W - +").starts_with("WRONGTYPE "));
    assert_eq!(client.text("TRADE.REPLAY NONE - +"), r#"["0", 0]"#);
}

/// A replay is replicated as PUBLISH is, so it waits with the writes while these are paused.
#[test]
fn a_paused_master_keeps_replays_for_later() {
    let master = Server::start(Options::new().append_only());
    let replica = Server::start(Options::new().replica_of(&master));
    let mut operator = master.client();
    publish_some(&mut operator);
    let mut heard = replica.subscribe("PSUBSCRIBE replay:*");
    let replay = r#"return redis.call('TRADE.REPLAY', 'S', '-', '+')"#;
    let ways: [&[&[&str]]; 3] = [
        &[&["TRADE.REPLAY", "S", "-", "+"]],
        &[&["MULTI"], &["TRADE.REPLAY", "S", "-", "+"], &["EXEC"]],
        &[&["EVAL", replay, "0"]],
    ];
    for way in ways {
        operator.run("CLIENT PAUSE 60000 WRITE");
        let mut waiting = master.client();
        for command in way {
            waiting.send(*command);
        }
        wait_until("the replay to be held", || operator.string("INFO clients").contains("blocked_clients:1"));
        let events = operator.text("TRADE.EVENTS S - + COUNT 1");
        assert!(events.contains("order.created"), "reads go on: {events}");
        operator.run("CLIENT UNPAUSE");
        for _ in way {
            waiting.receive().expect("a reply");
        }
        replica.catch_up_with(&master);
        assert_eq!(heard.until_now().len(), 4, "{way:?}");
    }
    // What cannot wait is refused or told, and the server lives.
    operator.run("CLIENT PAUSE 60000 WRITE");
    operator.text(["EVAL_RO", replay, "0"]);
    operator.text(["EVAL", &format!("#!lua flags=no-writes\n{replay}"), "0"]);
    operator.run("CLIENT UNPAUSE");
    operator.run("MULTI");
    operator.run("CLIENT PAUSE 60000 WRITE");
    operator.run("TRADE.REPLAY S - +");
    operator.run("EXEC");
    operator.run("CLIENT UNPAUSE");
    assert_eq!(operator.text("PING"), "PONG");
}

#[test]
fn a_failover_in_the_middle_of_replays_loses_nobody() {
    let master = Server::start(Options::new());
    let replica = Server::start(Options::new().replica_of(&master));
    let mut client = master.client();
    publish_some(&mut client);
    replica.catch_up_with(&master);
    let is_over = Arc::new(AtomicBool::new(false));
    let replays = {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            let mut replays = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(client.text("TRADE.REPLAY S - +"), r#"["0", 4]"#);
                replays += 1;
            }
            replays
        })
    };
    master.hand_over_to(&replica);
    wait_until("the failover", || {
        let role = |server: &Server| server.info("replication", "role");
        role(&master).as_deref() == Some("slave") && role(&replica).as_deref() == Some("master")
    });
    is_over.store(true, Ordering::Relaxed);
    assert!(replays.join().expect("the one who replays") > 0);
    master.catch_up_with(&replica);
    let mut heard = master.subscribe("PSUBSCRIBE *");
    assert_eq!(replica.client().text("TRADE.REPLAY S - +"), r#"["0", 4]"#);
    master.catch_up_with(&replica);
    assert_eq!(heard.until_now().len(), 4);
}

#[test]
fn replays_and_news_do_not_mix() {
    const EVENTS: usize = 1_000;
    let server = Server::start(Options::new());
    let mut live = server.subscribe("PSUBSCRIBE trades:*");
    let mut replayed = server.subscribe("PSUBSCRIBE replay:*");
    let mut publisher = server.client();
    let publish = thread::spawn(move || {
        for number in 0..EVENTS {
            publisher.run(format!(r#"TRADE.PUBLISH S trade.executed '{{"n":{number}}}'"#));
        }
    });
    let mut client = server.client();
    let (mut replays, mut count) = (0, 0);
    while count < EVENTS as i64 {
        let reply = client.run("TRADE.REPLAY S - + COUNT 2000");
        let redis::Value::Array(parts) = reply else { panic!("an array") };
        let redis::Value::Int(told) = parts[1] else { panic!("a number") };
        assert!(told >= count, "the log only grows");
        count = told;
        replays += 1;
        // Each call is one chain from the first event on, whatever came in between.
        let messages = replayed.until_now();
        assert_eq!(messages.len() as i64, told);
        let mut previous = Value::from("0-0");
        for (message, number) in messages.iter().zip(0..) {
            let json = message.json();
            assert_eq!((&json["prev_id"], &json["data"]["n"]), (&previous, &Value::from(number)));
            previous = json["id"].clone();
        }
    }
    publish.join().expect("the publisher");
    assert!(replays > 1);
    let messages = live.until_now();
    assert_eq!(messages.len(), EVENTS);
    assert!(messages.iter().all(|message| !message.payload.contains("replay")));
}

//! TRADE.CLAIM and EVENT.CLAIM: what one call does and replies, and what replicas and the AOF get of it.

use redis::Value;

use crate::groups::Desk;
use crate::support::{text, Client, Options, Server};
use crate::twin::{ms_of, Pair};

/// Every test of what is claimed holds for both: a log and a stream differ in names only.
const COMMANDS: [&str; 2] = ["TRADE.CLAIM", "EVENT.CLAIM"];

#[test]
fn idle_entries_are_claimed_in_turn() {
    for command in COMMANDS {
        let (mut desk, ids) = Desk::with_entries(command, &["x", "y", "z"]);
        let shown = |place: usize| format!(r#"["{}", ["body", "{}"]]"#, ids[place], ["x", "y", "z"][place]);
        let [x, y, z] = [0, 1, 2].map(shown);
        desk.deliver(&ids[1], 60_000, 1);
        let mut check = |rest: &str, reply: &str| assert_eq!(desk.claim(rest), reply, "{command} {rest}");
        check("g b 30000 5", &format!("[[{y}], 0]"));
        check("g b 30000 5", "[[], 0]");
        check("g b 0 5 COUNT 2", &format!("[[{x}, {y}], 0]"));
        // It goes on behind, and round.
        check("g c 0 5 count 2", &format!("[[{z}, {x}], 0]"));
        check("g b 0 5", &format!("[[{y}, {z}, {x}], 0]"));
        // All was looked at, so the oldest is the next.
        check("g b 0 5 COUNT 1", &format!("[[{x}], 0]"));
        let wanted =
            [(0, 5), (1, 4), (2, 3)].map(|(place, deliveries): (usize, _)| format!("{} b {deliveries}", ids[place]));
        assert_eq!(desk.pending(), wanted);
        desk.check_copies();
    }
}

#[test]
fn replies_are_what_xclaim_replies() {
    for command in COMMANDS {
        let (mut desk, ids) = Desk::with_entries(command, &["x", "y"]);
        let (line, log) = (desk.line("g b 0 9"), desk.log.clone());
        for client in [&mut desk.server.client(), &mut desk.server.client_resp3()] {
            let claimed = client.run(["XCLAIM", &log, "g", "b", "0", &ids[0], &ids[1]]);
            assert_eq!(client.run(&line), Value::Array(vec![claimed, Value::Int(0)]));
        }
        desk.claim("g b 0 0");
        for client in [&mut desk.server.client(), &mut desk.server.client_resp3()] {
            assert_eq!(client.run(&line), Value::Array(vec![Value::Array(vec![]), Value::Int(0)]));
        }
    }
}

/// The letters, each as its fields in turn.
fn letters(client: &mut Client, dead: &str) -> Vec<Vec<String>> {
    let Value::Array(letters) = client.run(["XRANGE", dead, "-", "+"]) else { panic!("XRANGE replies an array") };
    let fields = |letter: &Value| match letter {
        Value::Array(parts) => match &parts[1] {
            Value::Array(fields) => fields.iter().map(|field| text(field).replace('"', "")).collect(),
            other => panic!("not fields: {}", text(other)),
        },
        other => panic!("not an entry: {}", text(other)),
    };
    letters.iter().map(fields).collect()
}

#[test]
fn what_was_delivered_too_often_is_dead() {
    for command in COMMANDS {
        let (mut desk, ids) = Desk::with_entries(command, &["x", "y", "z", "busy", "\u{fe}\u{0}"]);
        for (place, idle_ms, deliveries) in [(0, 900_000, 3), (1, 900_000, 2), (2, 900_000, 7), (3, 0, 9)] {
            desk.deliver(&ids[place], idle_ms, deliveries);
        }
        let y = format!(r#"["{}", ["body", "y"]]"#, ids[1]);
        assert_eq!(desk.claim("g b 300000 2"), format!("[[{y}], 2]"), "{command}");
        let letter = |place: usize, consumer: &str, deliveries: &str, body: &str| {
            let told = ["key", &desk.log, "id", &ids[place], "group", "g", "consumer", consumer];
            [&told[..], &["deliveries", deliveries, "body", body]].concat().into_iter().map(str::to_owned).collect()
        };
        let mut wanted: Vec<Vec<String>> = vec![letter(0, "a", "3", "x"), letter(2, "a", "7", "z")];
        assert_eq!(letters(&mut desk.client, &desk.dead), wanted);
        // Who has it now is who failed last; a limit of 0 ends everything that is idle.
        wanted.push(letter(1, "b", "3", "y"));
        wanted.push(letter(3, "a", "9", "busy"));
        wanted.push(letter(4, "a", "1", r"\xc3\xbe\x00"));
        assert_eq!(desk.claim("g c 0 0"), "[[], 3]");
        assert_eq!(letters(&mut desk.client, &desk.dead), wanted);
        assert_eq!(desk.pending(), Vec::<String>::new());
        assert_eq!(desk.client.int(["XLEN", &desk.log]), 5, "the log keeps them");
        assert_eq!(desk.server.info("tradebus", "tradebus_dead_lettered").as_deref(), Some("5"));
        desk.check_copies();
    }
}

/// An entry that was trimmed or deleted cannot be worked on, and is not worth a letter.
#[test]
fn what_is_gone_is_pending_no_more() {
    for command in COMMANDS {
        let (mut desk, ids) = Desk::with_entries(command, &["x", "y", "z"]);
        desk.deliver(&ids[0], 0, 9);
        let (log, dead) = (desk.log.clone(), desk.dead.clone());
        desk.client.run(["XDEL", &log, &ids[0], &ids[1]]);
        let z = format!(r#"["{}", ["body", "z"]]"#, ids[2]);
        assert_eq!(desk.claim("g b 0 5"), format!("[[{z}], 0]"), "{command}");
        assert_eq!(desk.pending(), [format!("{} b 2", ids[2])]);
        assert_eq!(desk.client.int(["EXISTS", &dead]), 0);
        desk.check_copies();
    }
}

/// However many entries in good hands there are before it, an idle one is found, and no call looks at more than the
/// limit.
#[test]
fn a_long_list_is_looked_through_in_parts() {
    let bodies = vec!["x"; 250];
    let (mut desk, ids) = Desk::with_entries("TRADE.CLAIM", &bodies);
    desk.client.run("CONFIG SET tradebus.scan-limit 100");
    let mut find = |place: usize, calls: usize| {
        desk.deliver(&ids[place], 900_000, 1);
        for _ in 1..calls {
            assert_eq!(desk.claim("g b 300000 5"), "[[], 0]", "{place}");
        }
        let reply = desk.claim("g b 300000 5");
        assert!(reply.contains(&ids[place]), "{place}: {reply}");
    };
    // What the calls look at, from call to call: 0-99, 100-199, 200-249 and 0-49; 50-149; 150-249, 0-99.
    find(240, 3);
    find(140, 1);
    find(50, 2);
    // Another group is at its own place, and loses it when the module is gone.
    desk.client.run(["XGROUP", "CREATE", &desk.log, "h", "0"]);
    let read = ["XREADGROUP", "GROUP", "h", "a", "COUNT", "250", "STREAMS", &desk.log, ">"];
    desk.client.run(read);
    let first = |reply: &str| reply.split('"').nth(1).expect("an id").to_owned();
    assert_eq!(first(&desk.claim("h b 0 5 COUNT 7")), ids[0]);
    assert_eq!(first(&desk.claim("h b 0 5 COUNT 1")), ids[7]);
    desk.check_copies();
}

/// Enough groups that some of them share a place in the memory of where sweeps stopped.
#[test]
fn a_new_group_begins_at_its_oldest_entry() {
    let (mut desk, ids) = Desk::with_entries("EVENT.CLAIM", &["x", "y"]);
    for number in 0..150 {
        let group = format!("g{number}");
        desk.client.run(["XGROUP", "CREATE", &desk.log, &group, "0"]);
        desk.client.run(["XREADGROUP", "GROUP", &group, "a", "STREAMS", &desk.log, ">"]);
        let reply = desk.claim(&format!("{group} b 0 5 COUNT 1"));
        assert!(reply.contains(&ids[0]), "{group}: {reply}");
    }
}

/// A reply, and what is moved, end behind the entry that makes them large; the next call goes on there.
#[test]
fn a_call_moves_four_mebibytes_about() {
    const MIB: usize = 1 << 20;
    let large = "x".repeat(MIB + MIB / 2);
    let (mut desk, ids) = Desk::with_entries("EVENT.CLAIM", &[&*large; 6]);
    desk.deliver(&ids[0], 0, 1);
    ids[1..4].iter().for_each(|id| desk.deliver(id, 0, 9));
    let mut check = |rest: &str, claimed: &[usize], dead: usize| {
        let reply = desk.claim(rest);
        let mut found: Vec<_> = (0..6).filter(|&place| reply.contains(&ids[place])).collect();
        found.sort_by_key(|&place| reply.find(&ids[place]));
        assert_eq!(found, claimed, "{rest}");
        assert!(reply.ends_with(&format!("], {dead}]")), "{rest}");
    };
    check("g b 0 5", &[0], 3);
    check("g b 0 5 COUNT 1", &[4], 0);
    check("g b 0 5", &[5, 0, 4], 0);
    check("g b 0 5 COUNT 1", &[0], 0);
    check("g b 0 1", &[], 3);
    desk.check_copies();
}

/// In the order of what a call does; all of it is one transaction, and a twin that replays it announces the same.
#[test]
fn effects_are_plain_commands_in_one_transaction() {
    let mut pair =
        Pair::start(Options::new().module_args("consumer-groups g queue-maxlen 2").config("stream-node-max-entries 1"));
    const LOG: &str = "trade:{S}:events";
    let mut ids = Vec::new();
    for data in ["{}", r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#] {
        ids.push(pair.client.string(["TRADE.PUBLISH", "S", "trade.executed", data]));
        pair.effects();
    }
    // As if read: XREADGROUP itself emits other events than its effects do.
    for (id, deliveries) in ids.iter().zip(["2", "2", "2", "1"]) {
        pair.client.run(["XCLAIM", LOG, "g", "a", "0", id, "FORCE", "RETRYCOUNT", deliveries, "JUSTID"]);
        pair.effects();
    }
    pair.messages.until_now();
    assert!(pair.client.text("TRADE.CLAIM S g b 0 1").ends_with("], 3]"));
    let effects: Vec<Vec<String>> = pair.effects();
    let names: Vec<_> = effects.iter().map(|effect| format!("{} {}", effect[0], effect[1])).collect();
    const DEAD: &str = "XADD trade:{S}:dead";
    let creates = names.iter().filter(|name| name.starts_with("XGROUP")).count();
    let claim = &effects[effects.len() - 1];
    assert_eq!(names[..5], [DEAD, DEAD, DEAD, "XTRIM trade:{S}:dead", "XACK trade:{S}:events"]);
    assert_eq!(names.len(), 6 + creates, "servers differ in how they tell of a new consumer: {names:?}");
    for (place, effect) in effects[..3].iter().enumerate() {
        let ts = ms_of(&ids[place]).to_string();
        let data = if place == 0 { "{}".to_owned() } else { format!("{{\"n\":{place}}}") };
        let told = ["key", LOG, "id", &ids[place], "group", "g", "consumer", "a", "deliveries", "2"];
        assert_eq!(effect[3..], [&told[..], &["type", "trade.executed", "data", &data, "ts", &ts]].concat());
    }
    assert_eq!(effects[3][2..], ["MAXLEN", "=", "2"]);
    assert_eq!(effects[4][2..], ["g", &ids[0], &ids[1], &ids[2]]);
    assert_eq!(claim[..6], ["XCLAIM", LOG, "g", "b", "0", &ids[3]]);
    assert_eq!(claim[8..11], ["RETRYCOUNT", "2", "FORCE"]);
    pair.messages.assert_silent();
    // Nothing idle, nothing told.
    assert_eq!(pair.client.text("TRADE.CLAIM S g c 300000 1"), "[[], 0]");
    assert_eq!(pair.effects(), Vec::<Vec<String>>::new());
}

/// Letters come behind ids that were used and are gone.
#[test]
fn letters_never_take_an_id_again() {
    let (mut desk, _) = Desk::with_entries("TRADE.CLAIM", &["x", "y"]);
    let far = "99999999999999-7";
    let dead = desk.dead.clone();
    desk.client.run(["XADD", &dead, far, "a", "b"]);
    desk.client.run(["XDEL", &dead, far]);
    assert_eq!(desk.claim("g b 0 0"), "[[], 2]");
    let found = desk.client.text(["XRANGE", &dead, "-", "+"]);
    assert!(found.contains("99999999999999-8") && found.contains("99999999999999-9"), "{found}");
    desk.check_copies();
}

#[test]
fn a_claim_is_refused_without_a_trace() {
    let long = "n".repeat(129);
    let (no_group, no_consumer) = (format!("{long} b 0 1"), format!("g {long} 0 1"));
    let cases = [
        ("g b 0", "ERR", "number of arguments"),
        ("'' b 0 1", "BADFIELD", "group"),
        ("g '' 0 1", "BADFIELD", "consumer"),
        (&no_group, "BADFIELD", "129 bytes"),
        (&no_consumer, "BADFIELD", "129 bytes"),
        ("g b -1 1", "ERR", "min-idle-ms"),
        ("g b soon 1", "ERR", "min-idle-ms"),
        ("g b 9223372036854775808 1", "ERR", "min-idle-ms"),
        ("g b 0 -1", "ERR", "max-deliveries"),
        ("g b 0 1.5", "ERR", "max-deliveries"),
        ("g b 0 1 COUNT", "ERR", "COUNT"),
        ("g b 0 1 COUNT 0", "ERR", "COUNT"),
        ("g b 0 1 COUNT 2001", "ERR", "2000"),
        ("g b 0 1 COUNT 1 COUNT 1", "ERR", "COUNT"),
        ("g b 0 1 JUSTID", "ERR", "JUSTID"),
        ("h b 0 1", "NOTFOUND", "consumer group h"),
    ];
    for command in COMMANDS {
        let (mut desk, ids) = Desk::with_entries(command, &["x", "y"]);
        // One to be claimed, one to be moved.
        desk.deliver(&ids[0], 0, 5);
        let (log, dead) = (desk.log.clone(), desk.dead.clone());
        for (rest, code, says) in cases {
            check_refusal(&mut desk, &format!("{command} S {rest}"), code, says);
        }
        check_refusal(&mut desk, &format!("{command} 'a b' g b 0 1"), "BADSYMBOL", "space");
        check_refusal(&mut desk, &format!("{command} unknown g b 0 1"), "NOTFOUND", "unknown");
        let good = desk.line("g b 0 1");
        desk.client.run(["XADD", &dead, "18446744073709551615-18446744073709551615", "a", "b"]);
        check_refusal(&mut desk, &good, "CORRUPT", "dead letter");
        desk.client.run(["SET", &dead, "foreign"]);
        check_refusal(&mut desk, &good, "WRONGTYPE", &dead);
        desk.client.run(["DEL", &dead]);
        assert!(desk.replica.client().error(&good).contains("unknown command"), "it needs no module");
        // As with XAUTOCLAIM, a full server is no reason to let entries lie.
        desk.client.run("CONFIG SET maxmemory 1");
        assert!(desk.claim("g b 0 1").ends_with("], 1]"), "nothing of all that is in the way");
        desk.client.run("CONFIG SET maxmemory 0");
        desk.client.run(["SET", &log, "foreign"]);
        check_refusal(&mut desk, &good, "WRONGTYPE", &log);
    }
}

#[track_caller]
fn check_refusal(desk: &mut Desk, line: &str, code: &str, says: &str) {
    let trace = |desk: &mut Desk| {
        let replicated = desk.server.info("replication", "master_repl_offset");
        (desk.server.digest(), replicated, desk.client.text(["XINFO", "STREAM", &desk.log, "FULL"]))
    };
    let before = trace(desk);
    let error = desk.client.error(line);
    assert!(error.starts_with(&format!("{code} ")) && error.contains(says), "{line}: {error}");
    assert_eq!(trace(desk), before, "{line}");
}

/// Together with other commands it is one transaction, for replicas too, and its effects keep their place.
#[test]
fn it_goes_into_transactions_and_scripts() {
    const BODY: &str = r"
        local first = redis.call('TRADE.CLAIM', KEYS[1], 'g', 'b', 0, 1, 'COUNT', 1)
        redis.call('XADD', 'trade:{S}:dead', '*', 'from', 'script')
        local second = redis.call('TRADE.CLAIM', KEYS[1], 'g', 'c', 0, 1)
        redis.call('XACK', 'trade:{S}:events', 'g', second[1][1][1])
        return {first, second}";
    let run = |client: &mut Client, way: &str, id: &str| match way {
        "MULTI" => {
            client.run("MULTI");
            client.run("TRADE.CLAIM S g b 0 1 COUNT 1");
            client.run("XADD trade:{S}:dead * from script");
            client.run("TRADE.CLAIM S g c 0 1");
            client.run(["XACK", "trade:{S}:events", "g", id]);
            client.text("EXEC")
        }
        "EVAL" => client.text(["EVAL", BODY, "1", "S"]),
        _ => {
            let library = format!("#!lua name=lib\nredis.register_function('claim', function(KEYS) {BODY} end)");
            client.run(["FUNCTION", "LOAD", &library]);
            client.text("FCALL claim 1 S")
        }
    };
    for way in ["MULTI", "EVAL", "FCALL"] {
        let (mut desk, ids) = Desk::with_entries("TRADE.CLAIM", &["x", "y", "z"]);
        desk.replica.catch_up_with(&desk.server);
        let mut monitor = desk.replica.client();
        monitor.send("MONITOR");
        assert_eq!(text(&monitor.receive().expect("a reply")), "OK");
        // The first call claims x; the second goes on with y and z, and then finds x to be dead.
        let reply = run(&mut desk.client, way, &ids[1]);
        let shown = |place: usize| format!(r#"["{}", ["body", "{}"]]"#, ids[place], ["x", "y", "z"][place]);
        let [x, y, z] = [0, 1, 2].map(shown);
        for part in [format!("[[{x}], 0]"), format!("[[{y}, {z}], 1]")] {
            assert!(reply.contains(&part), "{way}: {reply}");
        }
        desk.replica.catch_up_with(&desk.server);
        desk.replica.client().run("PING end");
        let mut commands = Vec::new();
        while commands.last().map(String::as_str) != Some("PING") {
            let line = text(&monitor.receive().expect("a line"));
            let command = line.split('"').nth(1).expect("a command").to_owned();
            if ["MULTI", "EXEC", "XADD", "XACK", "XCLAIM", "PING"].contains(&command.as_str()) {
                commands.push(command);
            }
        }
        let wanted = ["MULTI", "XCLAIM", "XADD", "XADD", "XACK", "XCLAIM", "XCLAIM", "XACK", "EXEC", "PING"];
        assert_eq!(commands, wanted, "{way}");
        desk.check_copies();
    }
}

/// As XCLAIM, claiming touches nothing that is watched; a dead letter is a new entry.
#[test]
fn watch_sees_dead_letters() {
    let (mut desk, _) = Desk::with_entries("TRADE.CLAIM", &["x"]);
    let keys = ["S", "trade:{S}:events", "trade:{S}:dead"];
    for (rest, touched) in [("g b 300000 9", ""), ("g b 0 9", ""), ("g b 0 0", "S trade:{S}:dead")] {
        let mut watching = keys.map(|key| (key, desk.server.client()));
        for (key, client) in &mut watching {
            client.run(["WATCH", key]);
            client.run("MULTI");
            client.run("PING");
        }
        desk.claim(rest);
        for (key, mut client) in watching {
            let wanted = if touched.split(' ').any(|touched| touched == key) { "nil" } else { "[PONG]" };
            assert_eq!(client.text("EXEC"), wanted, "{rest}: WATCH {key}");
        }
    }
}

/// Where a sweep stopped is forgotten with the module, and each database has its own.
#[test]
fn sweeps_begin_again_in_another_database_and_with_another_module() {
    let server = Server::start(Options::new().module_args("any-db yes"));
    let mut client = server.client();
    let first = |client: &mut Client| {
        let reply = client.text("TRADE.CLAIM S g b 0 9 COUNT 1");
        reply.split('"').nth(1).map(str::to_owned).unwrap_or(reply)
    };
    for database in ["0", "1"] {
        client.run(["SELECT", database]);
        for id in ["1-1", "2-1", "3-1"] {
            client.run(["XADD", "trade:{S}:events", id, "a", "b"]);
        }
        client.run("XGROUP CREATE trade:{S}:events g 0");
        client.run("XREADGROUP GROUP g a STREAMS trade:{S}:events >");
        assert_eq!(first(&mut client), "1-1", "database {database}");
        assert_eq!(first(&mut client), "2-1", "database {database}");
    }
    client.run("SELECT 0");
    assert_eq!(first(&mut client), "3-1");
    let module = client.text("MODULE LIST");
    let path = module.split('"').find(|word| word.ends_with(".so")).map(str::to_owned);
    client.run("SELECT 1");
    client.run("MODULE UNLOAD tradebus");
    client.run(["MODULE", "LOAD", &path.expect("MODULE LIST has the path"), "any-db", "yes"]);
    assert_eq!(first(&mut client), "1-1");
}

//! What a trigger does in one step: the effects that replicas and the AOF get, messages, groups and counters.

use std::collections::BTreeMap;

use redis::Value;

use crate::cond::candle;
use crate::support::{text, wait_until, Options, Server};
use crate::twin::{shown, Pair};

/// The effects since the last call as lines, in which what differs each time is named: the ids of entries by their stream,
/// times of the server, saved states; records of ids end before their values.
fn lines(pair: &mut Pair) -> Vec<String> {
    let effects = pair.effects();
    let mut names: Vec<(String, String)> = Vec::new();
    for effect in &effects {
        if effect[0] == "XADD" && !effect[1].starts_with("market:") {
            names.push((effect[2].clone(), effect[1].replace("{S}:", "$")));
        }
        let pairs =
            effect[2..].chunks_exact(2).filter(|pair| pair[0].ends_with("ed_at") && pair[0] != "last_triggered_at");
        names.extend(pairs.map(|pair| (pair[1].clone(), "$now".to_owned())));
    }
    let line = |effect: &Vec<String>| {
        let mut effect = effect.clone();
        if effect[1].ends_with(":state") {
            effect[2] = "$state".to_owned();
        }
        if effect[1].contains(":seen:") {
            effect.truncate(if effect[0] == "HSET" { 3 } else { 2 });
            return effect.join(" ");
        }
        for word in &mut effect {
            if word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                *word = "$order_ref".to_owned();
            }
            if let Some((before, time)) = word.split_once(r#""created_at":"#) {
                *word = format!(r#"{before}"created_at":$now{}"#, &time["1763402400000".len()..]);
            }
            *word = names.iter().fold(word.clone(), |word, (text, name)| word.replace(text.as_str(), name));
        }
        shown(&effect)
    };
    effects.iter().map(line).collect()
}

#[test]
fn each_command_is_one_transaction_of_plain_commands() {
    let mut pair = Pair::start(Options::new());
    let mut client = pair.connect();
    let mut check = |command: &str, wanted: &[&str]| {
        client.run(command);
        assert_eq!(lines(&mut pair), wanted, "{command}");
    };
    let register = "COND.REGISTER S 1m 'close > 5' ID a COOLDOWN 100";
    check(
        register,
        &[
            "HSET cond:{S}:def:a cooldown 100 created_at $now expression close+>+5 mode edge status active timeframe 1m \
             trigger_count 0 updated_at $now",
            "HSET market:{S}:forming 1m ticks",
            "ZADD cond:{S}:index:1m $now a",
        ],
    );
    check(register, &[]);
    check(
        "COND.REGISTER S 1m 'close > 5' ID a COOLDOWN 0",
        &["HSET cond:{S}:def:a updated_at $now", "HDEL cond:{S}:def:a cooldown"],
    );
    check(
        r#"COND.SUBSCRIBE S a b1 TYPE dca ACTION '{"x": 1}'"#,
        &[r#"HSET cond:{S}:subs:a b1 {"type":"dca","action":{"x":+1},"created_at":$now,"trigger_count":0}"#],
    );
    let subscribe = "COND.SUBSCRIBE S a b2 MAXTRIGGERS 1";
    check(
        subscribe,
        &[r#"HSET cond:{S}:subs:a b2 {"type":"bot","max_triggers":1,"created_at":$now,"trigger_count":0}"#],
    );
    check(subscribe, &[]);
    check(
        "MARKET.CANDLE S 1m 1763402400000 4 4 4 4 1",
        &[
            "XADD market:{S}:1m 1763402400000-0 open 4 high 4 low 4 close 4 volume 1",
            "SET market:{S}:1m:state $state",
            "HSET cond:{S}:def:a value false value_since 1763402400000",
            "HSET market:{S}:forming 1m candles",
        ],
    );
    let fires = "MARKET.CANDLE S 1m 1763402460000 6 6 6 6 1";
    check(
        fires,
        &[
            "XADD market:{S}:1m 1763402460000-0 open 6 high 6 low 6 close 6 volume 1",
            r#"XADD cond:{S}:triggers cond:$triggers condition_id a timeframe 1m expression close > 5 value {"price":6,"volume":1,"close":6} bar_time 1763402460000 ts 1763402520000 subscribers_count 2 notified 2"#,
            r#"XADD bots:{S}:dca cond:$triggers bot_id b1 bot_type dca condition_id a trigger_id cond:$triggers order_ref $order_ref action {"x": 1} value {"price":6,"volume":1,"close":6} bar_time 1763402460000 ts 1763402520000"#,
            r#"XADD bots:{S}:bot cond:$triggers bot_id b2 bot_type bot condition_id a trigger_id cond:$triggers order_ref $order_ref action {} value {"price":6,"volume":1,"close":6} bar_time 1763402460000 ts 1763402520000"#,
            r#"HSET cond:{S}:subs:a b1 {"type":"dca","action":{"x":+1},"created_at":$now,"last_triggered_at":1763402520000,"trigger_count":1} b2 {"type":"bot","max_triggers":1,"created_at":$now,"last_triggered_at":1763402520000,"trigger_count":1}"#,
            "HSET cond:{S}:def:a last_trigger_id cond:$triggers last_triggered_at 1763402520000 trigger_count 1 value true \
             value_before false value_since 1763402460000",
        ],
    );
    check(fires, &[]);
    check(
        "MARKET.CANDLE S 1m 1763402460000 7 7 7 7 1",
        &[
            "XADD market:{S}:1m 1763402460000-1 open 7 high 7 low 7 close 7 volume 1",
            "XDEL market:{S}:1m 1763402460000-0",
        ],
    );
    // Nothing is known that was not: a bar costs its candle.
    check(
        "MARKET.CANDLE S 1m 1763402520000 7 7 7 7 1",
        &["XADD market:{S}:1m 1763402520000-0 open 7 high 7 low 7 close 7 volume 1"],
    );
    let trigger = r#"COND.TRIGGER S a VALUE '{"y":2}' ID e TIMESTAMP 1763402580000"#;
    check(
        trigger,
        &[
            r#"XADD cond:{S}:triggers cond:$triggers condition_id a timeframe 1m expression close > 5 value {"y":2} bar_time  ts 1763402580000 subscribers_count 2 notified 1 event_id e"#,
            r#"XADD bots:{S}:dca cond:$triggers bot_id b1 bot_type dca condition_id a trigger_id cond:$triggers order_ref $order_ref action {"x": 1} value {"y":2} bar_time  ts 1763402580000"#,
            r#"HSET cond:{S}:subs:a b1 {"type":"dca","action":{"x":+1},"created_at":$now,"last_triggered_at":1763402580000,"trigger_count":2}"#,
            "HSET cond:{S}:seen:0 :generations",
            "HSET cond:{S}:def:a last_trigger_id cond:$triggers last_triggered_at 1763402580000 trigger_count 2",
            "HSET cond:{S}:seen:1 e",
            "PEXPIREAT cond:{S}:seen:0",
            "PEXPIREAT cond:{S}:seen:1",
        ],
    );
    check(trigger, &[]);
    check("COND.PAUSE S a", &["HSET cond:{S}:def:a status paused updated_at $now"]);
    check("COND.PAUSE S a", &[]);
    check("COND.TRIGGER S a", &[]);
    check("COND.RESUME S a", &["HSET cond:{S}:def:a status active updated_at $now"]);
    check("COND.UNSUBSCRIBE S a b2", &["HDEL cond:{S}:subs:a b2"]);
    check("COND.UNSUBSCRIBE S a b2", &[]);
    check(
        "COND.REMOVE S a FORCE",
        &[
            "HDEL market:{S}:forming 1m",
            "ZREM cond:{S}:index:1m a",
            "UNLINK cond:{S}:def:a cond:{S}:subs:a market:{S}:1m:state",
        ],
    );
    check("COND.REMOVE S a FORCE", &[]);
}

#[test]
fn messages_go_where_the_setting_says() {
    for (setting, heard_on) in [("classic", "message"), ("sharded", "smessage"), ("off", "nowhere")] {
        let server = Server::start(Options::new().module_args(&format!("pubsub {setting}")));
        let replica = Server::start(Options::plain().replica_of(&server));
        let listen =
            |node: &Server| [node.subscribe("SUBSCRIBE condition.a"), node.subscribe("SSUBSCRIBE condition.{S}.a")];
        let (mut on_server, mut on_replica) = (listen(&server), listen(&replica));
        let mut client = server.client();
        client.run("COND.REGISTER S 1m 'close > 5' ID a");
        client.run(candle("S", 0, 4));
        client.run(candle("S", 1, 6));
        client.run("COND.TRIGGER S a");
        replica.catch_up_with(&server);
        for [classic, sharded] in [&mut on_server, &mut on_replica] {
            let (classic, sharded) = (classic.until_now(), sharded.until_now());
            let count = |on: &str| if heard_on == on { 2 } else { 0 };
            assert_eq!((classic.len(), sharded.len()), (count("message"), count("smessage")), "{setting}");
            for message in classic.iter().chain(&sharded) {
                assert_eq!(message.json()["channel"], message.channel.as_str(), "{setting}");
            }
        }
    }
}

#[test]
fn a_message_tells_of_the_trigger_and_the_one_before() {
    let server = Server::start(Options::new());
    let replica = Server::start(Options::plain().replica_of(&server));
    let mut client = server.client();
    let mut heard = [server.subscribe("PSUBSCRIBE condition.*"), replica.subscribe("PSUBSCRIBE condition.*")];
    client.run("COND.REGISTER S 1m 'close > 5 AND volume > 0' ID a");
    client.run("COND.REGISTER S 1m 'close > 5' ID b");
    client.run("COND.SUBSCRIBE S a bot");
    client.run(candle("S", 0, 4));
    client.run(candle("S", 1, 6));
    client.run("COND.TRIGGER S a VALUE '{ \"x\": 1.50 }' TIMESTAMP 1763402400001");
    let Value::Array(entries) = client.run("XRANGE cond:{S}:triggers - +") else { panic!("XRANGE replies an array") };
    let id = |entry: &Value| match entry {
        Value::Array(parts) => text(&parts[0]).replace('"', ""),
        other => panic!("not an entry: {}", text(other)),
    };
    let ids: Vec<String> = entries.iter().map(id).collect();
    let [first, other, second] = ids.as_slice() else { panic!("three triggers: {ids:?}") };
    replica.catch_up_with(&server);
    for heard in &mut heard {
        let messages = heard.until_now();
        let told: Vec<(&str, String)> = messages
            .iter()
            .map(|message| {
                let (start, end) = message.payload.split_once(r#""published_at":""#).expect("when");
                (message.channel.as_str(), format!("{start}{}", &end["2025-11-17T18:00:00.000Z".len()..]))
            })
            .collect();
        let wanted = [
            (
                "condition.a",
                format!(
                    r#"{{"id":"{first}","prev_id":"0-0","condition_id":"a","symbol":"S","timeframe":"1m","expression":"close > 5 AND volume > 0","triggered_at":"2025-11-17T18:02:00.000Z","trigger_value":{{"price":6,"volume":1,"close":6}},"subscribers_count":1,","channel":"condition.a"}}"#
                ),
            ),
            (
                "condition.b",
                format!(
                    r#"{{"id":"{other}","prev_id":"0-0","condition_id":"b","symbol":"S","timeframe":"1m","expression":"close > 5","triggered_at":"2025-11-17T18:02:00.000Z","trigger_value":{{"price":6,"volume":1,"close":6}},"subscribers_count":0,","channel":"condition.b"}}"#
                ),
            ),
            (
                "condition.a",
                format!(
                    r#"{{"id":"{second}","prev_id":"{first}","condition_id":"a","symbol":"S","timeframe":"1m","expression":"close > 5 AND volume > 0","triggered_at":"2025-11-17T18:00:00.001Z","trigger_value":{{ "x": 1.50 }},"subscribers_count":1,","channel":"condition.a"}}"#
                ),
            ),
        ];
        assert_eq!(told, wanted);
    }
}

#[test]
fn a_cluster_node_tells_on_shard_channels() {
    let server = Server::start(Options::new().module_args("pubsub sharded").config("cluster-enabled yes"));
    let mut client = server.client();
    client.run("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_until("the cluster", || client.string("CLUSTER INFO").contains("cluster_state:ok"));
    let mut heard = server.subscribe("SSUBSCRIBE condition.{S}.a");
    client.run("COND.REGISTER S 1m 'close > 5' ID a");
    client.run("COND.SUBSCRIBE S a bot");
    client.run("COND.TRIGGER S a");
    assert_eq!(heard.until_now().len(), 1);
    assert_eq!(client.int("XLEN bots:{S}:bot"), 1);
}

#[test]
fn new_streams_get_the_configured_groups() {
    let mut pair = Pair::start(Options::new().module_args("consumer-groups executors,audit"));
    let mut client = pair.connect();
    client.run("COND.REGISTER S 1m 'close > 5' ID a");
    pair.effects();
    client.run("COND.SUBSCRIBE S a bot TYPE dca");
    pair.effects();
    for wanted in [
        &["XADD", "XGROUP", "XGROUP", "XADD", "XGROUP", "XGROUP", "HSET", "HSET"][..],
        &["XADD", "XADD", "HSET", "HSET"],
    ] {
        client.run("COND.TRIGGER S a");
        let effects = pair.effects();
        assert_eq!(effects.iter().map(|effect| effect[0].as_str()).collect::<Vec<_>>(), wanted);
    }
    for key in ["cond:{S}:triggers", "bots:{S}:dca"] {
        let groups = client.text(["XINFO", "GROUPS", key]);
        assert_eq!(groups.matches(r#""last-delivered-id", "0-0""#).count(), 2, "from the beginning: {groups}");
    }
    // Nobody works candles off.
    client.run(candle("S", 0, 4));
    assert_eq!(client.text("XINFO GROUPS market:{S}:1m"), "[]");
}

#[test]
fn what_happens_is_counted() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let counted = || -> BTreeMap<String, u64> {
        let info = server.client().string("INFO tradebus");
        let fields = info.lines().filter_map(|line| line.strip_prefix("tradebus_")?.split_once(':'));
        fields.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
    };
    let _heard = server.subscribe("PSUBSCRIBE condition.*");
    client.run("COND.REGISTER S 1m 'close > 5' ID a");
    client.run("COND.REGISTER S 1m 'close > 9' ID b");
    client.run("COND.SUBSCRIBE S a b1");
    client.run("COND.SUBSCRIBE S a b2 MAXTRIGGERS 1");
    client.run(candle("S", 0, 4));
    client.run(candle("S", 1, 6));
    client.run(candle("S", 1, 6));
    client.run(candle("S", 1, 7));
    client.run(candle("S", 3, 7));
    client.run("COND.TRIGGER S a ID e");
    client.run("COND.TRIGGER S a ID e");
    client.error("COND.TRIGGER S unknown");
    client.error("COND.REGISTER S 1m 'close >'");
    let counted = counted();
    for (name, count) in [
        ("candles", 4),
        ("candle_corrections", 1),
        ("candle_gaps", 1),
        ("evaluations", 8),
        ("triggers", 2),
        ("bots_notified", 3),
        ("duplicates", 1),
        ("receivers", 2),
        ("refusals_total", 2),
        ("refusals_notfound", 1),
        ("refusals_badexpr", 1),
        ("events_total", 0),
    ] {
        assert_eq!(counted.get(name), Some(&count), "{name}");
    }
}

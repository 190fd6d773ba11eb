//! Keys: a command touches those of its symbol or stream and no others, whatever names and ids are.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use tradebus_core::key::{Key, Scope};
use tradebus_core::timeframe::Timeframe;

use crate::commands::{on, prepare, COMMANDS};
use crate::support::{text, Client, Options, Server};

/// Names that are close to each other, and close to parts of keys.
const NAMES: [&str; 6] = ["A", "A:B", "A:events", "a", "order:1", "trade:A:events"];

/// Names of keys by what the server counts of them: how often each was looked up, and what is in it.
#[derive(Debug, PartialEq, Eq)]
struct Keyspace(BTreeMap<String, String>);

impl Keyspace {
    /// Of one database. With `lfu-log-factor 0` and `lfu-decay-time 0` each look at a key counts, up to 255.
    fn of(client: &mut Client) -> Keyspace {
        let script = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
                      all[#all + 1] = key all[#all + 1] = redis.call('OBJECT', 'FREQ', key) end return all";
        let Value::Array(all) = client.run(["EVAL", script, "0"]) else { panic!("the script replies an array") };
        let word = |value: &Value| text(value).trim_matches('"').to_owned();
        let counts: BTreeMap<_, _> = all.chunks_exact(2).map(|pair| (word(&pair[0]), word(&pair[1]))).collect();
        assert!(counts.values().all(|count| count != "255"), "a count that does not grow tells nothing");
        let names: Vec<_> = ["DEBUG", "DIGEST-VALUE"].into_iter().chain(counts.keys().map(String::as_str)).collect();
        let Value::Array(digests) = client.run(&names) else { panic!("an array of digests") };
        let digests = digests.iter().map(word);
        Keyspace(
            counts
                .iter()
                .zip(digests)
                .map(|((key, count), digest)| (key.clone(), format!("{count} {digest}")))
                .collect(),
        )
    }

    fn without(mut self, name: &str) -> Keyspace {
        self.0.retain(|key, _| !is_of(key, name));
        self
    }
}

/// Whether a key is one of a symbol or a stream: the hash tag tells.
fn is_of(key: &str, name: &str) -> bool {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| tag == name)
}

fn counting(options: Options) -> Server {
    let server = Server::start(
        options
            .module_args("bar-grace 3600000")
            .config("maxmemory-policy allkeys-lfu")
            .config("lfu-log-factor 0")
            .config("lfu-decay-time 0"),
    );
    // What is new, what changes, and what is looked for in vain.
    server.client().run("CONFIG SET notify-keyspace-events AKEmn");
    server
}

#[test]
fn no_command_touches_a_key_of_another_symbol() {
    let server = counting(Options::new());
    let replica = Server::start(Options::plain().replica_of(&server));
    let mut client = server.client();
    for name in NAMES {
        prepare(&mut client, name);
    }
    client.run("SET A x");
    client.run("SET trade:A:events x");
    let mut events = server.subscribe("PSUBSCRIBE __keyspace@0__:*");
    let mut looked_at = BTreeSet::new();
    for name in NAMES {
        for sample in COMMANDS {
            let before = Keyspace::of(&mut client);
            events.until_now();
            client.run(on(name, sample));
            let told = events.until_now();
            let after = Keyspace::of(&mut client);
            looked_at.extend(
                before.0.iter().filter(|(key, was)| after.0.get(*key) != Some(was)).map(|(key, _)| key.clone()),
            );
            assert_eq!(after.without(name), before.without(name), "{sample:?} on {name}");
            for event in told {
                let key = event.channel.trim_start_matches("__keyspace@0__:");
                assert!(is_of(key, name), "{sample:?} on {name}: {event:?}");
            }
        }
        // That looks are seen at all.
        for key in ["trade:{N}:order:1", "events:{N}", "cond:{N}:def:known", "market:{N}:1m", "bots:{N}:dca"] {
            let key = key.replace('N', name);
            assert!(looked_at.contains(&key), "{key}: {looked_at:?}");
        }
    }
    replica.catch_up_with(&server);
    assert_eq!(replica.digest(), server.digest());
}

#[test]
fn no_command_touches_another_database() {
    let server = counting(Options::new().module_args("any-db yes"));
    let mut client = server.client();
    prepare(&mut client, "S");
    let before = Keyspace::of(&mut client);
    let mut elsewhere = server.client();
    elsewhere.run("SELECT 1");
    prepare(&mut elsewhere, "S");
    for sample in COMMANDS {
        elsewhere.run(on("S", sample));
    }
    assert_eq!(Keyspace::of(&mut client), before);
}

/// Every key there can be, with ids that try to be another one.
#[test]
fn no_id_makes_the_name_of_another_key() {
    let ids = ["1", "open", "s:open", ":", "events", "{A}", "}:order:1", "}", "1:state", "order:1", "orders:open", "A"];
    let words = ["dca", "triggers", "events", "1m", "forming", "def", "index", "1"];
    let timeframes = [Timeframe::M1, Timeframe::H1, Timeframe::W1];
    let mut keys = Key::SINGLE.to_vec();
    keys.extend([0, 1, 12].into_iter().flat_map(|bucket| [Key::Seen(bucket), Key::TriggerSeen(bucket)]));
    for id in ids {
        keys.extend([Key::Order(id), Key::Position(id), Key::Signal(id), Key::Fills(id), Key::Slices(id)]);
    }
    for word in words {
        keys.extend([Key::Condition(word), Key::Subscriptions(word), Key::Work(word)]);
    }
    for timeframe in timeframes {
        keys.extend([Key::Candles(timeframe), Key::State(timeframe), Key::Conditions(timeframe)]);
    }
    let mut named = BTreeMap::new();
    for name in NAMES {
        for key in &keys {
            let full = key.name(Scope::Symbol(name));
            assert!(is_of(&full, name), "{full}");
            if let Some(other) = named.insert(full, (name, *key)) {
                panic!("{key:?} of {name} and {other:?} have one name");
            }
        }
        // A stream has what speaks of a log.
        for key in [Key::Log, Key::Last, Key::Dead, Key::Schema, Key::Seen(1)] {
            let full = key.name(Scope::Stream(name));
            assert!(is_of(&full, name), "{full}");
            assert_eq!(named.insert(full, (name, key)), None, "{key:?} of the stream {name}");
        }
    }
}

#[test]
fn an_id_is_a_part_of_its_own_key_only() {
    let server = counting(Options::new());
    let mut client = server.client();
    prepare(&mut client, "VICTIM");
    let before = Keyspace::of(&mut client);
    for id in
        ["}", "{VICTIM}", "}:order:1", ":", "s:open", "open", "../x", "*", "?[a]", "\\", "'", "\"", "$(x)", "%s%n"]
    {
        let order = serde_json::json!({ "order_id": id, "volume": 2 }).to_string();
        client.run(["TRADE.PUBLISH", "S", "order.created", &order, "ID", id]);
        let fill = serde_json::json!({ "order_id": id, "fill_volume": 1, "fill_price": 1, "fill_id": id }).to_string();
        client.run(["TRADE.PUBLISH", "S", "order.partially_filled", &fill]);
        let position = serde_json::json!({ "position_id": id, "direction": "LONG", "entry_price": 1, "volume": 2 });
        client.run(["TRADE.PUBLISH", "S", "position.opened", &position.to_string()]);
        let signal = serde_json::json!({ "signal_id": id }).to_string();
        client.run(["TRADE.PUBLISH", "S", "signal.generated", &signal]);
        let risk = serde_json::json!({ "limit": id, "value": 1 }).to_string();
        client.run(["TRADE.PUBLISH", "S", "risk.limit_breached", &risk]);
        assert_eq!(client.map(["TRADE.ORDER", "S", id])["status"], "partially_filled", "{id}");
        assert_eq!(client.map(["TRADE.POSITION", "S", id])["status"], "active", "{id}");
        assert_eq!(client.map(["HGETALL", &format!("trade:{{S}}:order:{id}")])["order_id"], id);
        assert_eq!(client.int(["HEXISTS", &format!("trade:{{S}}:fills:{id}"), id]), 1);
    }
    let after = Keyspace::of(&mut client);
    let known = [
        "order:",
        "fills:",
        "position:",
        "signal:",
        "seen:",
        "events",
        "orders:open",
        "positions:active",
        "last",
        "risk",
    ];
    for key in after.0.keys().filter(|key| !is_of(key, "VICTIM")) {
        let tail = key.strip_prefix("trade:{S}:").unwrap_or_else(|| panic!("{key} is not of S"));
        assert!(known.iter().any(|known| tail == *known || known.ends_with(':') && tail.starts_with(known)), "{key}");
    }
    assert_eq!(after.without("S"), before);
}

//! Every command of ours, once: what the tests share that look at each of them.

use std::collections::BTreeSet;

use redis::Value;

use crate::support::{text, Client, Options, Server};

/// Every command on a symbol or a stream, with arguments behind that name, as few as it takes. On what [`prepare`]
/// makes, each of them succeeds, in this order and again and again.
pub const COMMANDS: [(&str, &[&str]); 35] = [
    ("TRADE.PUBLISH", &["trade.executed", "{}"]),
    ("TRADE.MPUBLISH", &["1", "trade.executed", "{}"]),
    ("TRADE.ORDER", &["1"]),
    ("TRADE.POSITION", &["1"]),
    ("TRADE.SIGNAL", &["1"]),
    ("TRADE.ORDERS", &[]),
    ("TRADE.POSITIONS", &[]),
    ("TRADE.INSTRUMENT", &[]),
    ("TRADE.EVENTS", &["-", "+"]),
    ("TRADE.REPLAY", &["-", "+"]),
    ("TRADE.REBUILD", &[]),
    ("TRADE.STATS", &[]),
    ("TRADE.CLAIM", &["group", "consumer", "0", "1"]),
    ("EVENT.PUBLISH", &["policy.updated", "{}"]),
    ("EVENT.LAST", &[]),
    ("EVENT.RANGE", &["-", "+"]),
    ("EVENT.REPLAY", &["-", "+"]),
    ("EVENT.SCHEMA", &["LIST"]),
    ("EVENT.STATS", &[]),
    ("EVENT.CLAIM", &["group", "consumer", "0", "1"]),
    ("COND.REGISTER", &["1m", "close > 5"]),
    ("COND.GET", &["known"]),
    ("COND.LIST", &[]),
    ("COND.SUBSCRIBE", &["known", "bot"]),
    ("COND.SUBSCRIBERS", &["known"]),
    ("COND.TRIGGER", &["known"]),
    ("COND.EXPLAIN", &["known"]),
    ("COND.CLAIM", &["QUEUE:dca", "group", "consumer", "0", "1"]),
    ("COND.UNSUBSCRIBE", &["known", "bot"]),
    ("COND.PAUSE", &["known"]),
    ("COND.RESUME", &["known"]),
    ("COND.REMOVE", &["unknown"]),
    ("MARKET.CANDLE", &["1m", "1763402400000", "1", "1", "1", "1", "1"]),
    ("MARKET.TICK", &["1", "1"]),
    ("MARKET.CANDLES", &["1m", "-", "+"]),
];

/// The one command that is not on a symbol or a stream, in the same way.
pub const OF_THE_NODE: (&str, &[&str]) = ("TRADE.SYMBOLS", &["0"]);

/// The words of one of [`COMMANDS`] on `name`.
pub fn on<'w>(name: &'w str, (command, rest): (&'w str, &[&'w str])) -> Vec<&'w str> {
    [command, name].iter().chain(rest).copied().collect()
}

/// Gives a symbol, and the stream of that name, what the samples need. Ticks close no bar by the clock before a test is over:
/// start the server with `bar-grace 3600000` where it matters.
pub fn prepare(client: &mut Client, name: &str) {
    for command in [
        format!("TRADE.PUBLISH {name} order.created '{{\"order_id\":\"1\",\"volume\":1}}'"),
        format!("EVENT.PUBLISH {name} policy.updated {{}}"),
        format!("COND.REGISTER {name} 1m 'close > 0' MODE level ID known"),
        format!("COND.SUBSCRIBE {name} known standing TYPE dca"),
        format!("COND.REGISTER {name} 1s 'close > 0' MODE level ID ticking"),
        format!("MARKET.TICK {name} 1 1 TIMESTAMP 1763402400000"),
        format!("XGROUP CREATE trade:{{{name}}}:events group 0"),
        format!("XGROUP CREATE events:{{{name}}} group 0"),
        format!("XGROUP CREATE bots:{{{name}}}:dca group 0 MKSTREAM"),
    ] {
        client.run(command);
    }
}

#[test]
fn every_command_has_a_sample_with_as_few_arguments_as_it_takes() {
    let server = Server::start(Options::new().module_args("bar-grace 3600000"));
    let mut client = server.client();
    let Value::Array(names) = client.run("COMMAND LIST FILTERBY MODULE tradebus") else {
        panic!("COMMAND LIST replies an array");
    };
    let names: BTreeSet<_> = names.iter().map(|name| text(name).trim_matches('"').to_uppercase()).collect();
    let samples = COMMANDS.iter().map(|sample| on("S", *sample));
    let of_the_node: Vec<_> = [OF_THE_NODE.0].iter().chain(OF_THE_NODE.1).copied().collect();
    let samples: Vec<_> = samples.chain([of_the_node]).collect();
    assert_eq!(samples.iter().map(|words| words[0].to_owned()).collect::<BTreeSet<_>>(), names);
    prepare(&mut client, "S");
    for words in samples.iter().chain(&samples) {
        client.run(words);
        let refused = client.error(&words[..words.len() - 1]);
        assert!(refused.contains("wrong number of arguments"), "{words:?} without its last: {refused}");
    }
}

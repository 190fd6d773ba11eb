//! Channels: a command publishes on those of its symbol and on no others, and what a caller sends cannot make a message say
//! something else.

use std::collections::BTreeSet;

use crate::commands::{on, COMMANDS, OF_THE_NODE};
use crate::security::{prepared, table, verdict, Verdict, FOREIGN, SYMBOL};
use crate::support::{Options, Server};

#[test]
fn commands_publish_on_the_channels_of_their_symbol_as_documented() {
    let server = prepared();
    let mut everything = server.subscribe("PSUBSCRIBE *");
    let mut client = server.client();
    for row in table() {
        let sample = COMMANDS.iter().find(|(command, _)| *command == row.command);
        match sample {
            Some(sample) => client.run(on(SYMBOL, *sample)),
            None => client.run([OF_THE_NODE.0, "0"]),
        };
        let messages = everything.until_now();
        let begins: BTreeSet<_> = messages.iter().map(|message| beginning(&message.channel)).collect();
        assert_eq!(begins, row.channels.into_iter().collect(), "{}", row.command);
        for message in messages {
            assert!(!message.channel.contains(FOREIGN), "{}: {message:?}", row.command);
            assert!(message.channel.contains(SYMBOL) || message.channel.starts_with("condition."), "{message:?}");
            let json = message.json();
            let name = json.get("symbol").or(json.get("stream")).expect("whose message it is");
            assert_eq!(name, SYMBOL, "{}: {message:?}", row.command);
        }
    }
}

/// What stands in a channel's name before the symbol, or the id of a condition.
fn beginning(channel: &str) -> String {
    let end = channel.find(SYMBOL).or(channel.find('.').map(|dot| dot + 1)).unwrap_or(channel.len());
    channel[..end].to_owned()
}

/// As documented: the symbol is in the message, and in the name of the sharded channel.
#[test]
fn conditions_with_one_id_share_a_channel_unless_it_is_sharded() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    client.run("COND.REGISTER VICTIM 1m 'close > 5' ID same");
    client.run("ACL SETUSER bot reset on >pw resetchannels ~OTHER +cond.register +cond.trigger");
    let mut bot = server.client_as("bot", "pw");
    let mut classic = server.subscribe("SUBSCRIBE condition.same");
    bot.run("COND.REGISTER OTHER 1m 'close > 5' ID same");
    bot.run("COND.TRIGGER OTHER same");
    let messages = classic.until_now();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].json()["symbol"], "OTHER");
    assert_eq!(messages[0].json()["prev_id"], "0-0");
    client.run("COND.TRIGGER VICTIM same");
    assert_eq!(classic.until_now()[0].json()["prev_id"], "0-0", "each symbol has a chain of its own");

    client.run("CONFIG SET tradebus.pubsub sharded");
    let mut sharded = server.subscribe("SSUBSCRIBE condition.{VICTIM}.same");
    bot.run("COND.TRIGGER OTHER same");
    sharded.assert_silent();
    classic.assert_silent();
    client.run("COND.TRIGGER VICTIM same");
    assert_eq!(sharded.until_now()[0].json()["symbol"], "VICTIM");
    let ids = ["A", "B"].map(|symbol| client.string(format!("COND.REGISTER {symbol} 1m 'close > 5'")));
    assert_ne!(ids[0], ids[1], "ids that tradebus makes are of one symbol");
}

#[test]
fn no_prefix_brings_a_replay_where_its_caller_may_not_publish() {
    let server = prepared();
    let mut client = server.client();
    let mut everything = server.subscribe("PSUBSCRIBE *");
    client.run("ACL SETUSER bot reset on >pw resetchannels ~BTCUSDT +trade.replay +event.replay");
    let mut bot = server.client_as("bot", "pw");
    for pubsub in ["classic", "sharded"] {
        client.run(["CONFIG", "SET", "tradebus.pubsub", pubsub]);
        for command in ["TRADE.REPLAY", "EVENT.REPLAY"] {
            for prefix in [
                "r",
                "replay",
                "REPLAY:",
                "replay::",
                "replay:replay:",
                "replay:trades:ETHUSDT:",
                "__keyspace@0__:",
                "__redis__:invalidate",
                "t",
                "condition",
            ] {
                let found = verdict(&mut bot, [command, SYMBOL, "-", "+", "CHANNEL", prefix]);
                assert_eq!(found, Verdict::NoChannel, "{command} {prefix}");
            }
            for live in ["trades:", "trades:ETHUSDT:", "events:x", "market:", "condition.", "condition.known"] {
                let error = client.error([command, SYMBOL, "-", "+", "CHANNEL", live]);
                assert!(error.starts_with("ERR a replay must not be taken for news"), "{error}");
            }
        }
    }
    everything.assert_silent();
}

/// Ids, labels and data with what would end a string in JSON, a word of a channel or a line.
#[test]
fn what_a_caller_sends_cannot_make_a_message_say_something_else() {
    let server = Server::start(Options::new());
    let mut everything = server.subscribe("PSUBSCRIBE *");
    let mut client = server.client();
    let forged = r#"","symbol":"ETHUSDT","x":""#;
    let label = format!("a b{forged}\\");
    let data =
        serde_json::json!({ "order_id": forged, "volume": 1, "symbol": "ETHUSDT", "note": "\r\n\0" }).to_string();
    let words = ["TRADE.PUBLISH", "S", "order.created", &data, "ID", forged, "SOURCE", &label, "CORRELATION", &label];
    client.run(words);
    let words = ["EVENT.PUBLISH", "S", "policy.updated", &data, "ID", forged, "SOURCE", &label, "CORRELATION", &label];
    client.run(words);
    client.run("TRADE.REPLAY S - +");
    client.run("EVENT.REPLAY S - +");
    let action = serde_json::json!({ "symbol": "ETHUSDT" }).to_string();
    client.run("COND.REGISTER S 1m 'close > 5' ID c");
    client.run(["COND.SUBSCRIBE", "S", "c", "bot", "ACTION", &action]);
    client.run(["COND.TRIGGER", "S", "c", "VALUE", &action, "ID", forged]);
    let messages = everything.until_now();
    assert_eq!(messages.len(), 5);
    for message in &messages {
        let json = message.json();
        let name = json.get("symbol").or(json.get("stream")).expect("whose message it is");
        assert_eq!(name, "S", "{message:?}");
        assert_eq!(
            message.payload.matches(r#""symbol":"S""#).count() + message.payload.matches(r#""stream":"S""#).count(),
            1
        );
        assert!(!message.payload.contains(char::is_control), "{message:?}");
        if message.channel.starts_with("trades:") {
            assert_eq!(json["source"], label);
            assert_eq!(json["correlation_id"], label);
            assert_eq!(json["event_id"], forged);
            assert_eq!(json["data"]["order_id"], forged);
        }
    }
}

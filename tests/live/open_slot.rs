//! A slot on its way from node to node, key by key. As long as it is open nobody answers for its symbols, and nothing of
//! them is written, whichever of their keys are where.

use crate::commands::{on, prepare, COMMANDS};
use crate::support::{can_migrate_slots, slot_of, text, Client, Cluster, Options};

/// How a node is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// As a client does that was sent on by ASK.
    Asking,
}

/// A node says the same to all commands on a symbol: an error of this code.
#[track_caller]
fn assert_refused(client: &mut Client, symbol: &str, way: Way, code: &str) {
    for command in COMMANDS {
        let command = on(symbol, command);
        if way == Way::Asking {
            client.run("ASKING");
        }
        let error = client.error(&command);
        assert!(error.starts_with(code), "{command:?}: {error} instead of {code}");
    }
}

/// The number of keys in a slot on both nodes.
fn keys(cluster: &Cluster, slot: u16) -> [i64; 2] {
    [0, 1].map(|node| cluster.client(node).int(format!("CLUSTER COUNTKEYSINSLOT {slot}")))
}

/// The data of the symbol, from wherever it is.
fn content(client: &mut Client, symbol: &str) -> Vec<String> {
    ["XRANGE trade:{}:events - +", "XRANGE events:{} - +", "HGETALL trade:{}:order:1", "XRANGE cond:{}:triggers - +"]
        .map(|command| client.text(command.replace("{}", &format!("{{{symbol}}}"))))
        .into()
}

#[test]
fn nothing_is_served_from_an_open_slot() {
    let cluster = Cluster::start(2, 1, &Options::new().module_args("bar-grace 3600000"));
    let [plain, named] = <[String; 2]>::try_from(cluster.symbols_on(0, 2)).expect("two");
    let [mut source, mut target] = [0, 1].map(|node| cluster.client(node));
    // As a rule a symbol is no key itself, so the source sends on what it has still. If it is one, the source is asked.
    source.run(["SET", &named, ""]);
    for symbol in [plain, named] {
        prepare(&mut source, &symbol);
        let wanted = content(&mut source, &symbol);
        let slot = slot_of(&symbol);
        let mut way = cluster.open_slot(slot, 1);
        loop {
            let before = keys(&cluster, slot);
            let code = if source.text(["EXISTS", &symbol]) == "1" { "TRYAGAIN" } else { "ASK" };
            assert_refused(&mut source, &symbol, Way::Plain, code);
            assert_refused(&mut target, &symbol, Way::Plain, "MOVED");
            assert_refused(&mut target, &symbol, Way::Asking, "TRYAGAIN");
            assert_refused_inside(&mut target, &symbol);
            assert_eq!(keys(&cluster, slot), before);
            // A few at a time, so that each of them is alone on one side once.
            if way.carry(3).expect("no key is in the way") == 0 {
                break;
            }
        }
        way.finish();
        assert_eq!(keys(&cluster, slot)[0], 0);
        assert_eq!(content(&mut target, &symbol), wanted);
        assert_refused(&mut source, &symbol, Way::Plain, "MOVED");
        for command in COMMANDS {
            target.run(on(&symbol, command));
        }
    }
    // What the target's replica has came by effects.
    cluster.server(3).catch_up_with(cluster.server(1));
    assert_eq!(cluster.server(3).digest(), cluster.server(1).digest());
}

/// Neither a transaction nor a script comes by it.
fn assert_refused_inside(target: &mut Client, symbol: &str) {
    let publish = ["TRADE.PUBLISH", symbol, "trade.executed", "{}"];
    for words in [&["MULTI"][..], &publish, &["TRADE.ORDER", symbol, "1"]] {
        target.run("ASKING");
        target.run(words);
    }
    target.run("ASKING");
    let replies = target.text("EXEC");
    assert_eq!(replies.matches("(error) TRYAGAIN").count(), 2, "{replies}");
    for (script, key) in [("KEYS[1]", "1"), ("ARGV[1]", "0")] {
        let script = format!("return redis.call('TRADE.PUBLISH', {script}, 'trade.executed', '{{}}')");
        target.run("ASKING");
        let error = target.error(["EVAL", &script, key, symbol]);
        assert!(error.starts_with("TRYAGAIN"), "{error}");
    }
}

/// A key that somebody else has put where a move has to go keeps the slot open, and nothing else from happening.
#[test]
fn a_key_in_the_way_of_a_move_costs_time_only() {
    let cluster = Cluster::start(2, 0, &Options::new());
    let symbol = cluster.symbols_on(0, 1).remove(0);
    let slot = slot_of(&symbol);
    let [mut source, mut target] = [0, 1].map(|node| cluster.client(node));
    source.run(format!(r#"TRADE.PUBLISH {symbol} order.created '{{"order_id":"1","volume":1}}' ID x"#));
    let wanted = content(&mut source, &symbol);
    let mut way = cluster.open_slot(slot, 1);
    target.run("ASKING");
    target.run(format!("SET trade:{{{symbol}}}:order:1 foreign"));
    let error = way.carry(100).expect_err("a key in the way");
    assert!(error.contains("BUSYKEY"), "{error}");
    assert_refused(&mut source, &symbol, Way::Plain, "ASK");
    assert_refused(&mut target, &symbol, Way::Asking, "TRYAGAIN");
    target.run("ASKING");
    target.run(format!("DEL trade:{{{symbol}}}:order:1"));
    way.finish();
    assert_eq!(content(&mut target, &symbol), wanted);
    let again = format!(r#"TRADE.PUBLISH {symbol} order.created '{{"order_id":"1","volume":1}}' ID x"#);
    assert!(wanted[0].contains(&target.string(again)), "a repeat is known at the new node");
}

/// A script that may reach several slots reaches those of this node, and each key lands in its own.
#[test]
fn a_script_may_publish_on_several_slots_of_a_node() {
    let cluster = Cluster::start(2, 0, &Options::new());
    let symbols = cluster.symbols_on(0, 2);
    let foreign = cluster.symbols_on(1, 1).remove(0);
    let mut client = cluster.client(0);
    let script = "#!lua flags=allow-cross-slot-keys\nlocal ids = {} for n = 1, #ARGV do \
                  ids[n] = redis.pcall('TRADE.PUBLISH', ARGV[n], 'trade.executed', '{}') end return ids";
    let replies = client.text(["EVAL", script, "0", &symbols[0], &symbols[1], &foreign]);
    assert_eq!(replies.matches("(error)").count(), 1, "{replies}");
    for symbol in &symbols {
        assert_eq!(client.int(format!("CLUSTER COUNTKEYSINSLOT {}", slot_of(symbol))), 1, "{symbol}");
        assert_eq!(client.int(format!("XLEN trade:{{{symbol}}}:events")), 1);
    }
    assert_eq!(cluster.client(1).int("DBSIZE"), 0);
    let listed = |node: usize| text(&cluster.client(node).run("TRADE.SYMBOLS 0"));
    assert!(symbols.iter().all(|symbol| listed(0).contains(symbol)), "{}", listed(0));
    assert_eq!(listed(1), r#"["0", []]"#);
}

/// What memory holds of a log is no better than what other nodes have made of it meanwhile, though it ends with the same
/// entry.
#[test]
fn a_slot_that_comes_back_is_read_anew() {
    let cluster = Cluster::start(2, 0, &Options::new());
    let [by_keys, at_once] = <[String; 2]>::try_from(cluster.symbols_on(1, 2)).expect("two");
    assert_read_anew(&cluster, &by_keys, &|slot, to| {
        cluster.reshard(slot, to);
    });
    if can_migrate_slots() {
        assert_read_anew(&cluster, &at_once, &|slot, to| cluster.migrate_whole(&[slot], to));
    }
}

fn assert_read_anew(cluster: &Cluster, symbol: &str, move_slot: &dyn Fn(u16, usize)) {
    let slot = slot_of(symbol);
    let [mut first, mut second] = [0, 1].map(|node| cluster.client(node));
    let closed =
        |id| format!(r#"TRADE.PUBLISH {symbol} position.closed '{{"position_id":"{id}","exit_price":1,"pnl":5}}'"#);
    let reported = |client: &mut Client| {
        let stats = client.text(format!("TRADE.STATS {symbol}"));
        let (_, told) = stats.split_once("\"reported_pnl\", \"").unwrap_or_else(|| panic!("{stats}"));
        told.split('"').next().expect("a first part").to_owned()
    };
    second.run(closed(1));
    assert_eq!(reported(&mut second), "5");
    second.run(format!("HSET trade:{{{symbol}}}:last :reported_pnl 999"));
    move_slot(slot, 0);
    first.run(format!("TRADE.PUBLISH {symbol} trade.executed {{}}"));
    assert_eq!(reported(&mut first), "999");
    move_slot(slot, 1);
    second.rebuild(symbol, &[]);
    assert_eq!(reported(&mut second), "5");
    move_slot(slot, 0);
    assert_eq!(reported(&mut first), "5");
    first.run(closed(2));
    assert_eq!(reported(&mut first), "10");
}

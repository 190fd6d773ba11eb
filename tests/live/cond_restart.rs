//! Whatever happens to the server between two bars, the triggers are those of one that was never interrupted, and so
//! are the numbers behind them.

use redis::Value;

use crate::support::{text, Client, Options, Random, Server, Stop};

/// Conditions of every kind: each function saves its state in a way of its own.
const CONDITIONS: [(&str, &str); 14] = [
    ("cross", "close CROSSES sma(20)"),
    ("touch", "TOUCHES 100"),
    ("back", "ema(12) > ema(12)[30]"),
    ("macd", "macd(12, 26, 9).hist > 0"),
    ("bands", "close > bb(20, 2).upper OR close < bb(20, 2).lower"),
    ("rsi", "rsi(14) CROSSES_ABOVE 50"),
    ("smooth", "sma(rsi(14), 5) > 50"),
    ("adx", "adx(14) > 20 AND atr(14) > 1"),
    ("stoch", "stoch(14, 3, 3).k CROSSES stoch(14, 3, 3).d"),
    ("cci", "cci(20) > 100"),
    ("roc", "roc(10) > 1 OR obv > obv[10]"),
    ("breakout", "close > highest(high, 20)[1] OR close < lowest(low, 20)[1]"),
    ("wma", "wma(50) > rma(50)"),
    ("mean", "sma(volume, 200) > 50"),
];

/// The longest history that is kept: less than the longest period, so that the candles alone would not do.
const HISTORY: &str = "candle-history 120";

/// The commands of a session: candles, some of them corrected or told twice, and a few gaps.
fn session(bars: usize) -> Vec<String> {
    let mut random = Random::new(7);
    let (mut commands, mut open_time, mut last) = (Vec::new(), 1_763_402_400_000_u64, 10_000_i64);
    for _ in 0..bars {
        let tell = |close: i64, commands: &mut Vec<String>, random: &mut Random| {
            let (high, low) = (close.max(last) + random.between(0, 39), close.min(last) - random.between(0, 39));
            let price = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
            let prices = [last, high, low, close].map(price).join(" ");
            commands.push(format!("MARKET.CANDLE S 1m {open_time} {prices} {}", random.below(100)));
            close
        };
        let close = last + random.between(-100, 100) + (10_000 - last) / 50;
        let mut next = tell(close, &mut commands, &mut random);
        match random.below(12) {
            0 => next = tell(close + 77, &mut commands, &mut random),
            1 => commands.push(commands[commands.len() - 1].clone()),
            2 => open_time += 60_000,
            _ => {}
        }
        last = next;
        open_time += 60_000;
    }
    commands
}

fn register(client: &mut Client) {
    for (n, (id, expression)) in CONDITIONS.into_iter().enumerate() {
        let options = ["", "MODE level COOLDOWN 600000", "MODE edge COOLDOWN 300000"][n % 3];
        client.run(format!("COND.REGISTER S 1m '{expression}' ID {id} {options}"));
        client.run(format!("COND.SUBSCRIBE S {id} bot COOLDOWN 900000"));
    }
}

/// What must be the same: all triggers but their ids, which tell when the server ran, what each condition is, and why.
fn outcome(server: &Server) -> Vec<String> {
    let mut client = server.client();
    let mut outcome = Vec::new();
    for key in ["cond:{S}:triggers", "bots:{S}:bot"] {
        let Value::Array(entries) = client.run(["XRANGE", key, "-", "+"]) else { panic!("XRANGE replies an array") };
        for entry in &entries {
            let Value::Array(parts) = entry else { panic!("not an entry: {}", text(entry)) };
            let Value::Array(fields) = &parts[1] else { panic!("not fields: {}", text(&parts[1])) };
            let told =
                fields.chunks(2).filter(|pair| !["\"trigger_id\"", "\"order_ref\""].contains(&text(&pair[0]).as_str()));
            outcome
                .push(told.map(|pair| format!("{} {}", text(&pair[0]), text(&pair[1]))).collect::<Vec<_>>().join(" "));
        }
    }
    for (id, _) in CONDITIONS {
        outcome.push(client.text(format!("COND.EXPLAIN S {id}")));
        let mut condition = client.map(format!("COND.GET S {id}"));
        for name in ["created_at", "updated_at", "last_trigger_id"] {
            condition.remove(name);
        }
        outcome.push(format!("{condition:?}"));
    }
    outcome
}

const BARS: usize = 420;

/// What comes of it on a server that is never stopped, and keeps all candles.
fn uninterrupted(commands: &[String]) -> Vec<String> {
    let server = Server::start(Options::new());
    let mut client = server.client();
    register(&mut client);
    for command in commands {
        client.run(command);
    }
    outcome(&server)
}

#[test]
fn a_crash_at_any_bar_changes_nothing() {
    let commands = session(BARS);
    let wanted = uninterrupted(&commands);
    assert!(wanted.len() > 200, "a session triggers something: {}", wanted.len());
    let stored = |options: Options| options.append_only();
    let with_module = || stored(Options::new().module_args(HISTORY));
    let mut server = Server::start(with_module());
    register(&mut server.client());
    let mut random = Random::new(11);
    let mut rest = commands.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(1 + random.below(90)));
        let mut client = server.client();
        for command in now {
            client.run(command);
        }
        rest = later;
        let digest = server.digest();
        server.restart(Stop::Kill, stored(Options::plain()));
        assert_eq!(server.digest(), digest, "without the module");
        server.restart(Stop::Kill, with_module());
        assert_eq!(server.digest(), digest);
        // Who did not get the reply sends it again.
        if let Some(command) = now.last() {
            assert_eq!(server.client().text(command), "[]");
        }
        assert_eq!(server.digest(), digest, "a repeat is none");
    }
    assert_eq!(outcome(&server), wanted);
}

/// Whoever leads goes on with the state that the other one has saved, though it may remember one of its own time.
#[test]
fn a_failover_at_any_bar_changes_nothing() {
    let commands = session(BARS);
    let wanted = uninterrupted(&commands);
    let mut nodes = [0, 1].map(|_| Server::start(Options::new().module_args(HISTORY)));
    let follow = |follower: &Server, leader: &Server| {
        follower.client().run(format!("REPLICAOF 127.0.0.1 {}", leader.port()));
        follower.catch_up_with(leader);
    };
    register(&mut nodes[0].client());
    follow(&nodes[1], &nodes[0]);
    for part in commands.chunks(commands.len() / 5 + 1) {
        let [leader, follower] = &nodes;
        let mut client = leader.client();
        let (begin, end) = part.split_at(part.len() / 2);
        for command in begin {
            client.run(command);
        }
        // Looking makes the follower remember a state, which is old when it is asked again.
        follower.catch_up_with(leader);
        follower.client().run("COND.EXPLAIN S macd");
        for command in end {
            client.run(command);
        }
        follower.catch_up_with(leader);
        assert_eq!(outcome(follower), outcome(leader), "a replica reads the same");
        follower.client().run("REPLICAOF NO ONE");
        nodes.swap(0, 1);
        follow(&nodes[1], &nodes[0]);
    }
    assert_eq!(outcome(&nodes[0]), wanted);
}

//! Commands of which each is partly wrong: whatever is sent is answered, by a reply or by a known refusal.

use redis::Value;
use tradebus_core::refusal::Code;

use crate::commands::COMMANDS;
use crate::input::ERROR_MAX;
use crate::support::{text, Options, Server};

use crate::support::Random;

const SYMBOLS: &str = "S S S T T T BTC/USDT:USDT {S}";
const WORDS: &str =
    "ID IDS TIMESTAMP SOURCE CORRELATION EXPECT FULL SET OFFSET COUNT contract_size inverse position_mode \
    netting currency USD 0 1 2 3 -1 1000 1001 1e18 0.1 9223372036854775807 a b e 1763402400000 \
    2025-11-17T18:00:00Z * $";
pub const TYPES: &str =
    "order.created order.partially_filled order.filled order.cancelled order.rejected order.modified \
    position.opened position.modified position.partially_closed position.closed stop_loss.hit take_profit.hit \
    trade.executed trade.failed risk.limit_breached signal.generated signal.validated SIGNAL_REJECTED \
    order.shredded";
const MEMBERS: &str =
    "order_id position_id signal_id fill_id volume price fill_volume cum_qty filled_volume fill_price \
    closed_volume added_volume exit_price entry_price direction reason pnl fee swap limit value timestamp \
    contract_size status version quote_volume";
const VALUES: &str =
    "1 2 0.5 \"3\" \"a\" \"LONG\" \"sell\" \"reason\" null true [1] {\"b\":{}} -1 0 1e17 999999999999999999 \
    1763402400000 \"\\u0000\"";

/// An object that mostly parses and often fits an event.
pub fn random_data(random: &mut Random) -> Vec<u8> {
    let id = random.word("\"a\" \"b\" 1");
    let mut data = format!(r#"{{"order_id":{id},"position_id":{id},"signal_id":{id},"limit":"l","reason":"r""#);
    for _ in 0..random.below(5) {
        data += &format!(",\"{}\":{}", random.word(MEMBERS), random.word(VALUES));
    }
    let mut data = data.into_bytes();
    data.push(b'}');
    if random.below(8) == 0 {
        let place = random.below(data.len());
        data[place] = random.next() as u8;
    }
    data
}

/// A command of ours with arguments that are partly right.
fn random_command(random: &mut Random) -> Vec<Vec<u8>> {
    let (command, rest) = COMMANDS[random.below(COMMANDS.len())];
    let mut words = vec![command.into(), random.word(SYMBOLS).into()];
    let events = match command {
        "TRADE.PUBLISH" => 1,
        "TRADE.MPUBLISH" => random.below(5),
        _ => 0,
    };
    if command == "TRADE.MPUBLISH" {
        words.push(events.to_string().into_bytes());
    }
    for _ in 0..events {
        words.extend([random.word(TYPES).into(), random_data(random)]);
    }
    if events == 0 && random.below(2) == 0 {
        words.extend(rest.iter().map(|word| word.as_bytes().to_vec()));
    }
    // Half of them end here, as they should.
    for _ in 0..random.below(8).saturating_sub(3) {
        words.push(match random.below(6) {
            0 => random.bytes(),
            _ => random.word(WORDS).into(),
        });
    }
    if random.below(10) == 0 {
        words.truncate(1 + random.below(words.len()));
    }
    words
}

/// Bounded in number, and sent in rounds so that neither side waits for the other with full buffers.
#[test]
fn random_commands_are_answered() {
    const ROUNDS: usize = 80;
    const PER_ROUND: usize = 50;
    let server = Server::start(Options::new());
    let mut client = server.client_resp3();
    let mut random = Random::new(7);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let commands: Vec<_> = (0..PER_ROUND).map(|_| random_command(&mut random)).collect();
        for command in &commands {
            client.send(command);
        }
        for command in &commands {
            let reply = client.receive().expect("a reply");
            let Value::ServerError(error) = &reply else {
                accepted += 1;
                continue;
            };
            refused += 1;
            let known = Code::ALL.iter().any(|code| code.as_str() == error.code());
            let line = text(&reply);
            let shown: Vec<_> = command.iter().map(|word| word.escape_ascii().to_string()).collect();
            assert!(known && line.len() <= "(error) ".len() + ERROR_MAX, "{}: {line}", shown.join(" "));
            assert!(!line.contains("internal error") && !line.contains("CORRUPT"), "{}: {line}", shown.join(" "));
        }
    }
    // Neither all right nor all wrong, or it would not have tried much.
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused");
    assert_eq!(client.text("PING"), "PONG");
    assert!(!client.string("INFO errorstats").contains("internal"));
    assert!(!server.log().contains("internal error"), "{}", server.log());
}

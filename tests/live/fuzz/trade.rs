//! Commands on orders, positions and signals: a trading day that mostly makes sense, told out of order now and then.

use super::generator::Generator;
use super::step::{at, Step};

/// What is left of an entity, as far as the events that were made tell; the server may have refused them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Live,
    Over,
}

/// An entity that events were made of.
#[derive(Clone, Debug)]
pub struct Entity {
    pub id: String,
    pub phase: Phase,
}

/// What a symbol has had so far.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub orders: Vec<Entity>,
    pub positions: Vec<Entity>,
    pub signals: Vec<Entity>,
    /// Publishes with an ID, to be repeated.
    pub published: Vec<Step>,
    fills: usize,
    event_ids: usize,
}

/// Members that any event may have beside its own: what stays as written, what the module's fields are called, what
/// other events take as an input.
const EXTRAS: &[&str] = &[
    r#""note":"a \"b\" \\ \u00e9 é\n""#,
    r#""tags":["a",{"b":[1,2.50]}]"#,
    r#""status":"mine","version":7"#,
    r#""fee":0.25"#,
    r#""commission":"0.1","fee_currency":"BNB""#,
    r#""swap":-0.05,"currency":"USD""#,
    r#""pnl":12.5"#,
    r#""contract_size":100"#,
    r#""flag":true,"nothing":null"#,
    r#""side":"BUY","order_type":"LIMIT""#,
    r#""quote_volume":"1000.5""#,
    r#""updated_at":1,"last_event_id":"1-1""#,
    r#""order_id2": 1 , "x" :{ } "#,
    r#""source":"data","event_id":"inner""#,
    r#""added_volume":1,"price":2001"#,
    r#""cum_qty":3"#,
    r#""filled_volume":"2""#,
    r#""reason":"expired""#,
    r#""external":5,"cycle":9"#,
];

impl Generator<'_> {
    /// An event of a symbol: its type and its data.
    fn event(&mut self) -> (String, String) {
        let (event_type, members) = match self.random.below(20) {
            0..=8 => self.order_event(),
            9..=13 => self.position_event(),
            14..=16 => self.signal_event(),
            17 => ("trade.executed", r#""trade_id":"t1","price":2000.1,"volume":1"#.to_owned()),
            18 => {
                let id = self.known(|book| &mut book.orders, 'o');
                ("trade.failed", format!(r#""order_id":"{id}","reason":"no margin""#))
            }
            _ => {
                let (limit, value) = (self.random.word("exposure drawdown daily"), self.number());
                ("risk.limit_breached", format!(r#""limit":"{limit}","value":{value},"threshold":100"#))
            }
        };
        let mut data = format!("{{{members}");
        while self.random.one_in(4) {
            let extra = *self.random.pick(EXTRAS);
            // A member twice is refused: now and then only.
            let name = extra.split(':').next().unwrap_or_default();
            if !data.contains(name) || self.random.one_in(20) {
                data += &format!(",{extra}");
            }
        }
        if self.random.one_in(10) {
            data += &format!(r#","timestamp":{}"#, at(self.random.between(0, 40 * 60_000)));
        }
        data.push('}');
        if self.random.one_in(200) {
            data.truncate(data.len() - 1);
        } else if self.random.one_in(100) {
            data.insert_str(1, &format!(r#""long":"{}","#, "x".repeat(self.random.below(3_000))));
        }
        let event_type = match self.random.below(12) {
            0 => event_type.to_uppercase().replace('.', "_"),
            _ => event_type.to_owned(),
        };
        (event_type, data)
    }

    fn order_event(&mut self) -> (&'static str, String) {
        if self.book().orders.is_empty() || self.random.one_in(4) {
            let id = self.new_id(|book| &mut book.orders, 'o');
            let (volume, price) = (self.random.word("10 5 2.50 \"7\" 1e1 10"), self.price());
            let head = format!(r#""order_id":"{id}","volume":{volume}"#);
            return match self.random.below(8) {
                0 => ("order.created", format!(r#""order_id":"{id}","quote_volume":500"#)),
                1 => ("order.created", head),
                _ => ("order.created", format!(r#"{head},"price":{price},"side":"BUY""#)),
            };
        }
        let end = self.random.below(10);
        let id = match end {
            0..=2 => self.ended(|book| &mut book.orders, 'o'),
            _ => self.known(|book| &mut book.orders, 'o'),
        };
        let head = format!(r#""order_id":"{id}""#);
        let (price, volume) = (self.price(), self.random.word("1 2 0.5 3 \"1.50\" 0.000000000000000001"));
        let fill_id = self.fill_id();
        match (end, self.random.below(6)) {
            (0, 0..=2) => ("order.filled", head),
            (0, _) => ("order.filled", format!(r#"{head},"fill_price":{price}{fill_id}"#)),
            (1, 0) => ("order.cancelled", format!(r#"{head},"cum_qty":{volume}"#)),
            (1, _) => ("order.cancelled", format!(r#"{head},"reason":"user""#)),
            (2, 0..=2) => ("order.rejected", format!(r#"{head},"reason":"funds""#)),
            (2, _) => ("order.filled", format!(r#"{head},"last_qty":{volume},"last_price":{price}{fill_id}"#)),
            (3..=4, 0..=3) => ("order.modified", format!(r#"{head},"price":{price}"#)),
            (3..=4, _) => ("order.modified", format!(r#"{head},"volume":{volume}"#)),
            (5, _) => ("order.partially_filled", format!(r#"{head},"filled_volume":{volume},"fill_price":{price}"#)),
            (_, 0) => ("order.partially_filled", format!(r#"{head},"volume":{volume}{fill_id}"#)),
            _ => ("order.partially_filled", format!(r#"{head},"fill_volume":{volume},"fill_price":{price}{fill_id}"#)),
        }
    }

    fn position_event(&mut self) -> (&'static str, String) {
        if self.book().positions.is_empty() || self.random.one_in(4) {
            let id = match self.random.below(3) {
                // In netting, the same id lives again.
                0 => self.known(|book| &mut book.positions, 'p'),
                _ => self.new_id(|book| &mut book.positions, 'p'),
            };
            let (direction, price) = (self.random.word("LONG SHORT buy SELL"), self.price());
            let volume = self.random.word("10 5 2.50 \"7\"");
            let head = format!(r#""position_id":"{id}","direction":"{direction}","volume":{volume}"#);
            return ("position.opened", format!(r#"{head},"entry_price":{price}"#));
        }
        let is_end = self.random.one_in(4);
        let id = match is_end {
            true => self.ended(|book| &mut book.positions, 'p'),
            false => self.known(|book| &mut book.positions, 'p'),
        };
        let head = format!(r#""position_id":"{id}""#);
        let (price, volume) = (self.price(), self.random.word("1 2 0.5 3 \"1.50\" 12"));
        if is_end {
            return ("position.closed", format!(r#"{head},"exit_price":{price}"#));
        }
        let fill_id = self.fill_id();
        match self.random.below(8) {
            0 => ("stop_loss.hit", format!(r#"{head},"price":{price}"#)),
            1 => ("take_profit.hit", format!(r#"{head},"price":{price}"#)),
            2 => ("position.modified", format!(r#"{head},"stop_loss":{price}"#)),
            3 => ("position.modified", format!(r#"{head},"added_volume":{volume},"price":{price}{fill_id}"#)),
            4 => ("position.modified", format!(r#"{head},"volume":12"#)),
            _ => (
                "position.partially_closed",
                format!(r#"{head},"closed_volume":{volume},"exit_price":{price}{fill_id}"#),
            ),
        }
    }

    fn signal_event(&mut self) -> (&'static str, String) {
        if self.book().signals.is_empty() || self.random.one_in(2) {
            let id = self.new_id(|book| &mut book.signals, 's');
            return ("signal.generated", format!(r#""signal_id":"{id}","strength":0.8"#));
        }
        let id = self.ended(|book| &mut book.signals, 's');
        match self.random.below(2) {
            0 => ("signal.validated", format!(r#""signal_id":"{id}""#)),
            _ => ("signal.rejected", format!(r#""signal_id":"{id}","reason":"weak""#)),
        }
    }

    fn new_id(&mut self, of: impl FnOnce(&mut Book) -> &mut Vec<Entity>, letter: char) -> String {
        let entities = of(self.book());
        let id = format!("{letter}{}", entities.len() + 1);
        entities.push(Entity { id: id.clone(), phase: Phase::Live });
        id
    }

    /// The id of an entity, a live one as a rule; sometimes one that nobody has created.
    pub fn known(&mut self, of: impl FnOnce(&mut Book) -> &mut Vec<Entity>, letter: char) -> String {
        let (any, place, stranger) = (self.random.below(6), self.random.next(), self.random.one_in(25));
        let entities = of(self.book());
        let live: Vec<_> = entities.iter().filter(|entity| any == 0 || entity.phase == Phase::Live).collect();
        match live.as_slice() {
            [_, ..] if !stranger => live[(place % live.len() as u64) as usize].id.clone(),
            _ => format!("{letter}{}", 90 + place % 3),
        }
    }

    fn ended(&mut self, of: impl Fn(&mut Book) -> &mut Vec<Entity>, letter: char) -> String {
        let id = self.known(&of, letter);
        of(self.book()).iter_mut().filter(|entity| entity.id == id).for_each(|entity| entity.phase = Phase::Over);
        id
    }

    fn fill_id(&mut self) -> String {
        if self.random.one_in(3) {
            return String::new();
        }
        let is_new = !self.random.one_in(4);
        let book = self.book();
        book.fills += usize::from(is_new);
        format!(r#","fill_id":"f{}""#, book.fills)
    }

    fn number(&mut self) -> &'static str {
        self.random.word("1 2.50 0 -3 \"7e-3\" 120 99.999 1e17 999999999999999999 0.000000000000000001 150 80")
    }

    pub fn price(&mut self) -> String {
        match self.random.below(40) {
            0 => self.number().to_owned(),
            _ => format!("{}.{:02}", 1_990 + self.random.below(20), self.random.below(100)),
        }
    }

    fn event_id(&mut self) -> String {
        let is_new = !self.random.one_in(12);
        let book = self.book();
        book.event_ids += usize::from(is_new);
        format!("e{}", book.event_ids)
    }

    /// TRADE.PUBLISH, perhaps one that was sent before.
    pub fn publish(&mut self) -> Step {
        let repeated = self.random.below(12) == 0 && !self.book().published.is_empty();
        if repeated {
            let (place, published) = (self.random.next(), &self.book().published);
            return published[(place % published.len() as u64) as usize].clone();
        }
        let (event_type, data) = self.event();
        let mut step = Step::of("TRADE.PUBLISH").with(self.symbol()).with(event_type).with(data);
        let has_id = self.random.one_in(3);
        if has_id {
            step = step.with("ID").with(self.event_id());
        }
        step = self.labels(step);
        if self.random.one_in(5) {
            step = step.and("TIMESTAMP").with(at(self.random.between(0, 40 * 60_000)));
        }
        if self.random.one_in(20) {
            step = step.with("EXPECT").with(self.random.below(4).to_string());
        }
        if self.random.one_in(3) {
            step = step.with("FULL");
        }
        if has_id {
            self.book().published.push(step.clone());
        }
        step
    }

    pub fn labels(&mut self, mut step: Step) -> Step {
        if self.random.one_in(5) {
            step = step.and("SOURCE").with(self.random.word("bot1 bot2 a\"b é"));
        }
        if self.random.one_in(5) {
            step = step.and("CORRELATION").with(self.random.word("c1 c2"));
        }
        step
    }

    /// TRADE.MPUBLISH, a large one now and then, which fills what remembers ids.
    pub fn mpublish(&mut self) -> Step {
        let (is_large, has_ids) = (self.random.one_in(60), self.random.one_in(2));
        let count = if is_large { 200 } else { 1 + self.random.below(5) };
        let mut step = Step::of("TRADE.MPUBLISH").with(self.symbol()).with(count.to_string());
        for _ in 0..count {
            let (event_type, data) = match is_large {
                true => ("trade.executed".to_owned(), "{}".to_owned()),
                false => self.event(),
            };
            step = step.with(event_type).with(data);
        }
        if has_ids {
            step = step.with("IDS");
            for _ in 0..count {
                step = step.with(self.event_id());
            }
        }
        step = self.labels(step);
        if has_ids && !is_large {
            self.book().published.push(step.clone());
        }
        step
    }

    pub fn instrument(&mut self) -> Step {
        let setting = *self.random.pick(&[
            "contract_size 100",
            "contract_size 0.5",
            "inverse 1",
            "inverse 0",
            "position_mode netting",
            "position_mode hedging",
            "currency USD contract_size 1",
            "contract_size -1",
            "colour red",
        ]);
        match self.random.below(3) {
            0 => Step::of("TRADE.INSTRUMENT").with(self.symbol()),
            _ => Step::of("TRADE.INSTRUMENT").with(self.symbol()).with("SET").and(setting),
        }
    }

    /// A command that only reads what trade events came to.
    pub fn trade_read(&mut self) -> Step {
        let symbol = self.symbol();
        match self.random.below(9) {
            0 => Step::of("TRADE.ORDER").with(symbol).with(self.known(|book| &mut book.orders, 'o')),
            1 => Step::of("TRADE.POSITION").with(symbol).with(self.known(|book| &mut book.positions, 'p')),
            2 => Step::of("TRADE.SIGNAL").with(symbol).with(self.known(|book| &mut book.signals, 's')),
            3 => self.window(Step::of("TRADE.ORDERS").with(symbol)),
            4 => self.window(Step::of("TRADE.POSITIONS").with(symbol)),
            5 => Step::of("TRADE.STATS").with(symbol),
            6 => Step::of("TRADE.REBUILD").with(symbol).and("DRYRUN"),
            _ => {
                let order = self.known(|book| &mut book.orders, 'o');
                let step = self.range(Step::of("TRADE.EVENTS").with(symbol));
                match self.random.below(4) {
                    0 => step.with("TYPE").with("order.created").with("TYPE").with("ORDER_FILLED"),
                    1 => step.with("ORDER").with(order),
                    _ => step,
                }
            }
        }
    }

    pub fn window(&mut self, step: Step) -> Step {
        match self.random.below(3) {
            0 => step.and("OFFSET 1 COUNT 2"),
            1 => step.and("COUNT").with(self.random.below(4).to_string()),
            _ => step,
        }
    }

    /// The ends and filters that all commands that read a log have.
    pub fn range(&mut self, step: Step) -> Step {
        let reversed = self.random.one_in(3);
        let mut step = step.and(if reversed { "+ - REV" } else { "- +" });
        if self.random.one_in(2) {
            step = step.and("COUNT").with((1 + self.random.below(5)).to_string());
        }
        if self.random.one_in(5) {
            step = step.and("SINCE").with(at(20 * 60_000));
        }
        if self.random.one_in(5) {
            step = step.and("CORRELATION c1");
        }
        step
    }
}

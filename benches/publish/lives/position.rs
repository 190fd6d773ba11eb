//! A position: opened, perhaps closed in slices, closed.

use super::{around, Life, Producer, Step, VENUES};
use crate::workload::{trimmed, written, About, Change, IndexChange, Members, Moment, Rng, Subject};

pub struct Position {
    id: String,
    producer: Producer,
    direction: &'static str,
    entry: u64,
    initial: u64,
    open: u64,
    realized: i64,
    fees: u64,
    version: u64,
    slices_left: u64,
}

impl Position {
    pub fn new(rng: &mut Rng, price: u64, number: u64) -> Position {
        let volume = 100 * (1 + rng.below(20));
        Position {
            id: format!("pos-{number:08}"),
            producer: Producer::new(rng),
            direction: rng.pick(&["LONG", "SHORT"]),
            entry: price,
            initial: volume,
            open: volume,
            realized: 0,
            fees: 0,
            version: 0,
            slices_left: rng.below(3),
        }
    }

    fn opened(&mut self, rng: &mut Rng, now: &Moment) -> Step {
        let data = self
            .members()
            .raw("entry_price", written(self.entry))
            .raw("volume", written(self.initial))
            .raw("stop_loss", written(self.entry - self.entry / 50))
            .raw("take_profit", written(self.entry + self.entry / 25))
            .raw("leverage", rng.pick(&[1, 5, 10, 30]));
        let mut change = self.change("active");
        change.index = IndexChange::Enter;
        change
            .derived
            .extend([("created_at", now.ms.to_string()), ("initial_volume", trimmed(self.initial as i64, 2))]);
        self.step("position.opened", self.producer.sign(data, now), change)
    }

    fn reduced(&mut self, rng: &mut Rng, now: &Moment, volume: u64) -> Step {
        let exit = around(rng, self.entry);
        let side = if self.direction == "LONG" { 1 } else { -1 };
        let pnl = side * (exit as i64 - self.entry as i64) * volume as i64;
        let fee = 50 + rng.below(400);
        self.open -= volume;
        self.realized += pnl;
        self.fees += fee;
        let mut data = self.members();
        // A close takes whatever is left: it names no volume.
        if self.open > 0 {
            data = data.raw("closed_volume", written(volume));
        }
        data = data
            .raw("exit_price", written(exit))
            .raw("pnl", trimmed(pnl, 4))
            .raw("commission", written(fee))
            .text("reason", rng.pick(&["take_profit", "manual", "signal_exit"]))
            .text("venue", rng.pick(&VENUES));
        let (event_type, status) =
            if self.open > 0 { ("position.partially_closed", "active") } else { ("position.closed", "closed") };
        let mut change = self.change(status);
        change.derived.extend([
            ("closed_volume", trimmed((self.initial - self.open) as i64, 2)),
            ("realized_pnl", trimmed(self.realized, 4)),
            ("fees", trimmed(self.fees as i64, 2)),
        ]);
        if self.open == 0 {
            change.closes();
        }
        self.step(event_type, self.producer.sign(data, now), change)
    }

    fn members(&self) -> Members {
        Members::default().text("position_id", &self.id).text("direction", self.direction)
    }

    fn change(&self, status: &'static str) -> Change {
        Change::new(
            Subject::Position,
            &self.id,
            status,
            vec![("version", self.version.to_string()), ("volume", trimmed(self.open as i64, 2))],
        )
    }

    fn step(&self, event_type: &'static str, data: Members, change: Change) -> Step {
        Step { event_type, data, last: self.open == 0, about: About::Entity(change) }
    }
}

impl Life for Position {
    fn next(&mut self, rng: &mut Rng, now: &Moment) -> Step {
        self.version += 1;
        if self.version == 1 {
            return self.opened(rng, now);
        }
        if self.slices_left > 0 {
            self.slices_left -= 1;
            let volume = self.open / (2 + rng.below(3));
            return self.reduced(rng, now, volume);
        }
        self.reduced(rng, now, self.open)
    }
}

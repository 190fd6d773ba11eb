//! What a position's hash says after a course of events, to the last digit of its profit.

mod support;

use support::Desk;
use tradebus_core::key::Key;
use tradebus_core::refusal::Code;

const POSITION: Key<'static> = Key::Position("1");

fn with_id(members: &str) -> String {
    format!(r#"{{"position_id":"1",{members}}}"#)
}

const LONG: (&str, &str) = ("position.opened", r#""direction":"LONG","entry_price":100.10,"volume":3"#);

#[track_caller]
fn check(instrument: &[(&str, &str)], course: &[(&str, &str)], expected: &[(&str, Option<&str>)]) -> Desk {
    let mut desk = Desk::new();
    for (field, value) in instrument {
        desk.set_instrument(field, value);
    }
    for (event_type, members) in course {
        desk.accept(event_type, &with_id(members));
    }
    desk.check_fields(POSITION, expected);
    desk
}

#[test]
fn a_long_closed_in_slices() {
    let desk = check(
        &[],
        &[
            LONG,
            ("position.partially_closed", r#""closed_volume":1,"exit_price":100.3"#),
            ("position.closed", r#""exit_price":100.05,"pnl":"0.1""#),
        ],
        &[
            ("status", Some("closed")),
            ("direction", Some("LONG")),
            ("entry_price", Some("100.10")),
            ("volume", Some("0")),
            ("initial_volume", Some("3")),
            ("closed_volume", Some("3")),
            ("realized_pnl", Some("0.1")),
            ("pnl", Some("0.1")),
            ("version", Some("3")),
        ],
    );
    let (realized, reported) = desk.memory.journal.as_ref().unwrap().profits();
    assert_eq!((realized.to_string(), reported.to_string()), ("0.1".to_owned(), "0.1".to_owned()));
    desk.check_fields(Key::Last, &[(":realized_pnl", Some("0.1")), (":reported_pnl", Some("0.1"))]);
}

#[test]
fn a_short_earns_the_other_way() {
    check(
        &[("contract_size", "100")],
        &[
            ("position.opened", r#""direction":"sell","entry_price":2000.5,"volume":0.1"#),
            ("position.closed", r#""exit_price":1990.25,"volume":0.10"#),
        ],
        &[("realized_pnl", Some("102.5")), ("contract_size", Some("100")), ("direction", Some("sell"))],
    );
}

#[test]
fn inverse_contracts_use_reciprocals() {
    check(
        &[("inverse", "1"), ("contract_size", "100")],
        &[
            ("position.opened", r#""direction":"LONG","entry_price":50000,"volume":10"#),
            ("position.closed", r#""exit_price":60000"#),
        ],
        &[("realized_pnl", Some("0.003333333333333333333333333333")), ("inverse", Some("1"))],
    );
    let mut desk = Desk::new();
    desk.set_instrument("inverse", "1");
    desk.refuse(Code::BadField, "position.opened", &with_id(r#""direction":"LONG","entry_price":0,"volume":1"#));
}

#[test]
fn the_average_moves_only_when_volume_is_added() {
    check(
        &[],
        &[
            ("position.opened", r#""direction":"LONG","entry_price":100,"volume":1"#),
            ("position.modified", r#""added_volume":2,"price":101"#),
            ("position.modified", r#""volume":6,"price":103"#),
            ("position.partially_closed", r#""volume":2,"exit_price":110"#),
        ],
        // (100 + 202 + 309) / 6
        &[
            ("entry_price", Some("101.8333333333333333333333333")),
            ("volume", Some("4")),
            ("entry_value", None),
            ("closed_volume", Some("2")),
            ("realized_pnl", Some("16.3333333333333333333333334")),
        ],
    );
    let mut desk = Desk::new();
    desk.accept("position.opened", &with_id(LONG.1));
    desk.refuse(Code::BadField, "position.modified", &with_id(r#""volume":2,"price":1"#));
    desk.refuse(Code::Missing, "position.modified", &with_id(r#""added_volume":2"#));
    desk.refuse(Code::Missing, "position.modified", r#"{"position_id":"1"}"#);
    desk.accept("position.modified", &with_id(r#""volume":3.0"#));
    check(
        &[],
        &[("position.modified", r#""volume":3,"sl":90"#), LONG],
        &[("volume", Some("3")), ("sl", Some("90")), ("entry_price", Some("100.10"))],
    );
}

#[test]
fn slices_before_the_opening_are_realised_when_it_comes() {
    check(
        &[],
        &[
            ("position.partially_closed", r#""closed_volume":1,"exit_price":110,"fill_id":"a""#),
            ("stop_loss.hit", r#""price":90"#),
            LONG,
        ],
        &[
            ("status", Some("active")),
            ("external", None),
            ("pending", None),
            ("volume", Some("2")),
            ("closed_volume", Some("1")),
            ("realized_pnl", Some("9.9")),
            ("close_reason", Some("stop_loss")),
        ],
    );
    let in_order = [
        LONG,
        ("position.partially_closed", r#""closed_volume":1,"exit_price":110"#),
        ("position.closed", r#""exit_price":111"#),
    ];
    let turned = [in_order[1], in_order[2], in_order[0]];
    let end = [
        ("status", Some("closed")),
        ("volume", Some("0")),
        ("closed_volume", Some("3")),
        ("realized_pnl", Some("31.7")),
    ];
    check(&[], &in_order, &end);
    check(&[], &turned, &end);
}

#[test]
fn a_shell_remembers_a_bounded_number_of_changes() {
    let mut desk = Desk::new();
    let slice = with_id(r#""closed_volume":1,"exit_price":110"#);
    for _ in 0..128 {
        desk.accept("position.partially_closed", &slice);
    }
    desk.refuse(Code::TooBig, "position.partially_closed", &slice);
}

#[test]
fn more_than_is_open() {
    let mut desk = Desk::new();
    desk.accept("position.opened", &with_id(LONG.1));
    let text =
        desk.refuse(Code::Overfill, "position.partially_closed", &with_id(r#""closed_volume":4,"exit_price":1"#));
    assert!(text.contains("1 more than is open"), "{text}");
    desk.refuse(Code::InvalidState, "position.closed", &with_id(r#""volume":2,"exit_price":1"#));
    desk.accept("position.partially_closed", &with_id(r#""closed_volume":4,"exit_price":101.1,"fill_id":"x""#));
    desk.check_fields(
        POSITION,
        &[
            ("overfill_volume", Some("1")),
            ("volume", Some("0")),
            ("closed_volume", Some("4")),
            ("realized_pnl", Some("3")),
        ],
    );
}

#[test]
fn netting_flips_and_lives_again() {
    let netting = [("position_mode", "netting"), ("contract_size", "10")];
    let mut desk = check(
        &netting,
        &[LONG, ("position.partially_closed", r#""closed_volume":5,"exit_price":101.10"#)],
        &[
            ("status", Some("active")),
            ("cycle", Some("2")),
            ("direction", Some("SHORT")),
            ("entry_price", Some("101.1")),
            ("volume", Some("2")),
            ("initial_volume", Some("2")),
            ("closed_volume", None),
            ("realized_pnl", None),
        ],
    );
    assert_eq!(desk.memory.journal.as_ref().unwrap().profits().0.to_string(), "30");
    desk.accept("position.closed", &with_id(r#""exit_price":100.1,"pnl":20,"close_reason":"done""#));
    desk.check_fields(POSITION, &[("realized_pnl", Some("20")), ("close_reason", Some("done"))]);
    desk.accept("position.opened", &with_id(r#""direction":"BUY","entry_price":7,"volume":1"#));
    desk.check_fields(
        POSITION,
        &[
            ("cycle", Some("3")),
            ("status", Some("active")),
            ("close_reason", None),
            ("pnl", None),
            ("realized_pnl", Some("0")),
        ],
    );
    assert_eq!(desk.memory.journal.as_ref().unwrap().profits().0.to_string(), "50");
    assert_eq!(desk.memory.members(Key::ActivePositions), ["1"]);
    assert!(!desk.memory.expiries.contains_key("trade:{XAUUSD}:position:1"));
}

#[test]
fn a_new_cycle_begins_with_nothing_of_the_old_one() {
    let opened = ("position.opened", r#""direction":"LONG","entry_price":100,"volume":1"#);
    let own_terms = (
        "position.opened",
        r#""direction":"LONG","entry_price":100,"volume":1,"contract_size":2,"fee":1,"fee_currency":"USD""#,
    );
    let closed = ("position.closed", r#""exit_price":110"#);
    let netting = [("position_mode", "netting"), ("contract_size", "10")];
    check(
        &netting,
        &[own_terms, closed, opened, closed],
        &[("contract_size", Some("10")), ("fees:USD", None), ("fee_currencies", None), ("realized_pnl", Some("100"))],
    );
    check(
        &netting,
        &[
            opened,
            ("position.partially_closed", r#""closed_volume":3,"exit_price":110,"pnl":5,"fee":7,"reason":"flip""#),
        ],
        &[("exit_price", None), ("pnl", None), ("reason", None), ("close_reason", None), ("fees", Some("7"))],
    );
}

#[test]
fn a_slice_before_the_opening_flips_as_it_does_behind_it() {
    let opened = ("position.opened", r#""direction":"BUY","entry_price":100,"volume":1"#);
    let slice = ("position.partially_closed", r#""closed_volume":3,"exit_price":110"#);
    let netting = [("position_mode", "netting")];
    let end = [
        ("status", Some("active")),
        ("direction", Some("SELL")),
        ("entry_price", Some("110")),
        ("volume", Some("2")),
        ("initial_volume", Some("2")),
        ("cycle", Some("2")),
        ("overfill_volume", None),
    ];
    for course in [[opened, slice], [slice, opened]] {
        let desk = check(&netting, &course, &end);
        assert_eq!(desk.memory.journal.as_ref().unwrap().profits().0.to_string(), "10");
    }
    let back = ("position.partially_closed", r#""closed_volume":5,"exit_price":100"#);
    let end = [("direction", Some("BUY")), ("volume", Some("3")), ("cycle", Some("3"))];
    for course in [[opened, slice, back], [slice, back, opened]] {
        let desk = check(&netting, &course, &end);
        assert_eq!(desk.memory.journal.as_ref().unwrap().profits().0.to_string(), "30");
    }
}

#[test]
fn the_slice_that_closes_all_may_say_why() {
    check(
        &[],
        &[
            ("position.opened", r#""direction":"LONG","entry_price":100,"volume":1"#),
            ("position.partially_closed", r#""closed_volume":1,"exit_price":110,"close_reason":"manual""#),
            ("stop_loss.hit", r#""price":90"#),
        ],
        &[("status", Some("closed")), ("close_reason", Some("manual"))],
    );
}

#[test]
fn the_terms_of_a_position_are_those_of_its_first_event() {
    let mut desk = Desk::new();
    desk.set_instrument("contract_size", "100");
    desk.accept("position.opened", &with_id(LONG.1));
    desk.set_instrument("contract_size", "5");
    desk.set_instrument("inverse", "1");
    desk.accept("position.closed", &with_id(r#""exit_price":101.10"#));
    desk.check_fields(POSITION, &[("realized_pnl", Some("300"))]);
    let mut own = Desk::new();
    own.set_instrument("contract_size", "100");
    own.accept("position.opened", &with_id(r#""direction":"LONG","entry_price":1,"volume":1,"contract_size":2"#));
    own.accept("position.closed", &with_id(r#""exit_price":2"#));
    own.check_fields(POSITION, &[("realized_pnl", Some("2"))]);
}

#[test]
fn the_latest_hit_says_why() {
    let mut desk = Desk::new();
    desk.accept("position.opened", &with_id(LONG.1));
    desk.accept("stop_loss.hit", &with_id(r#""price":90,"timestamp":"2025-11-17T18:00:10Z""#));
    assert_eq!(
        desk.outcome("take_profit.hit", &with_id(r#""price":110,"timestamp":"2025-11-17T18:00:05Z""#)),
        "active late"
    );
    desk.check_fields(POSITION, &[("close_reason", Some("stop_loss"))]);
    let same_time = with_id(r#""price":110,"timestamp":"2025-11-17T18:00:10Z""#);
    assert_eq!(desk.outcome("take_profit.hit", &same_time), "active", "of two at one time the later one to come");
    desk.check_fields(POSITION, &[("close_reason", Some("take_profit"))]);
    desk.accept("position.closed", &with_id(r#""exit_price":90,"close_reason":"manual""#));
    assert_eq!(
        desk.outcome("take_profit.hit", &with_id(r#""price":110,"timestamp":"2026-11-17T18:00:05Z""#)),
        "closed late"
    );
    desk.check_fields(POSITION, &[("close_reason", Some("manual")), ("version", Some("6"))]);
}

#[test]
fn fees_are_summed_by_currency() {
    check(
        &[],
        &[
            ("position.opened", r#""direction":"LONG","entry_price":1,"volume":3,"fee":0.1,"commission":"0.20""#),
            ("position.partially_closed", r#""closed_volume":1,"exit_price":1,"swap":-0.05"#),
            ("position.partially_closed", r#""closed_volume":1,"exit_price":1,"fee":1,"fee_currency":"BNB""#),
        ],
        &[("fees", Some("0.25")), ("fees:BNB", Some("1")), ("fee", Some("1"))],
    );
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    #[track_caller]
    fn check(event_type: &str, members: &str, code: Code, names: &str) {
        let mut desk = Desk::new();
        let text = desk.refuse(code, event_type, &with_id(members));
        assert!(text.contains(names), "{event_type} {members}: {text}");
    }
    check("position.opened", r#""entry_price":1,"volume":1"#, Code::Missing, "direction");
    check("position.opened", r#""direction":"UP","entry_price":1,"volume":1"#, Code::BadField, "direction");
    check("position.opened", r#""direction":"LONG","volume":1"#, Code::Missing, "entry_price");
    check("position.opened", r#""direction":"LONG","entry_price":1"#, Code::Missing, "volume");
    check(
        "position.opened",
        r#""direction":"LONG","entry_price":1,"volume":1,"contract_size":0"#,
        Code::BadField,
        "contract_size",
    );
    check("position.partially_closed", r#""exit_price":1"#, Code::Missing, "closed_volume");
    check("position.partially_closed", r#""closed_volume":1"#, Code::Missing, "exit_price");
    check("position.closed", r#""pnl":1"#, Code::Missing, "exit_price");
    check("position.closed", r#""exit_price":1,"pnl":"much""#, Code::BadField, "pnl");
    check("position.closed", r#""exit_price":1,"fee":1,"fee_currency":"a b""#, Code::BadField, "fee_currency");
    check("stop_loss.hit", r#""reason":"x""#, Code::Missing, "price");
}

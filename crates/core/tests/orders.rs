//! What an order's hash says after a course of events.

mod support;

use support::{Desk, Options};
use tradebus_core::key::Key;
use tradebus_core::refusal::Code;

const ORDER: Key<'static> = Key::Order("1");

/// A course of events on order 1 (`>` begins a type, the data lacks its braces and the id) and the fields
/// that it leaves.
#[track_caller]
fn check(course: &[(&str, &str)], expected: &[(&str, Option<&str>)]) {
    let mut desk = Desk::new();
    for (event_type, members) in course {
        desk.accept(&format!("order.{event_type}"), &with_id(members));
    }
    desk.check_fields(ORDER, expected);
}

fn with_id(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"order_id":"1"{comma}{members}}}"#)
}

#[test]
fn fills_sum_exactly() {
    check(
        &[
            ("created", r#""volume":0.3,"price":2000.50,"side":"BUY""#),
            ("partially_filled", r#""fill_volume":0.1,"fill_price":2000.10"#),
            ("partially_filled", r#""fill_volume":"0.1","fill_price":"2000.40""#),
        ],
        &[
            ("status", Some("partially_filled")),
            ("version", Some("3")),
            ("price", Some("2000.50")),
            ("volume", Some("0.3")),
            ("filled_volume", Some("0.2")),
            ("remaining_volume", Some("0.1")),
            ("filled_value", Some("400.05")),
            ("avg_fill_price", Some("2000.25")),
            ("last_fill_volume", Some("0.1")),
            ("last_fill_price", Some("2000.40")),
        ],
    );
}

#[test]
fn an_average_is_rounded_half_even_to_28_digits() {
    check(
        &[
            ("created", r#""volume":3"#),
            ("partially_filled", r#""fill_volume":1,"fill_price":1"#),
            ("filled", r#""fill_volume":2,"fill_price":2"#),
        ],
        &[
            ("avg_fill_price", Some("1.666666666666666666666666667")),
            ("filled_value", Some("5")),
            ("remaining_volume", Some("0")),
        ],
    );
}

#[test]
fn a_fill_without_a_price_leaves_no_average() {
    check(
        &[
            ("created", r#""volume":2"#),
            ("partially_filled", r#""fill_volume":1,"fill_price":10"#),
            ("partially_filled", r#""fill_volume":0.5"#),
        ],
        &[
            ("avg_fill_price", None),
            ("unpriced_volume", Some("0.5")),
            ("filled_volume", Some("1.5")),
            ("last_fill_volume", Some("0.5")),
            ("last_fill_price", None),
        ],
    );
}

#[test]
fn a_filled_order_that_told_no_fill_infers_the_rest() {
    check(
        &[
            ("created", r#""volume":10,"price":5"#),
            ("partially_filled", r#""fill_volume":4,"fill_price":4"#),
            ("filled", ""),
        ],
        &[
            ("inferred_volume", Some("6")),
            ("filled_volume", Some("10")),
            ("avg_fill_price", Some("4.6")),
            ("last_fill_volume", Some("6")),
            ("last_fill_price", Some("5")),
        ],
    );
    // `volume` is the order's whole volume here, not six on top of four.
    check(
        &[
            ("created", r#""volume":10"#),
            ("partially_filled", r#""fill_volume":4,"fill_price":4"#),
            ("filled", r#""volume":10,"price":6"#),
        ],
        &[
            ("inferred_volume", Some("6")),
            ("filled_volume", Some("10")),
            ("avg_fill_price", Some("5.2")),
            ("last_fill_volume", Some("6")),
        ],
    );
}

#[test]
fn fills_behind_an_inferred_one_reprice_it() {
    check(
        &[
            ("created", r#""volume":10,"price":5"#),
            ("filled", ""),
            ("partially_filled", r#""fill_volume":4,"fill_price":6,"fill_id":"a""#),
            ("partially_filled", r#""fill_volume":6,"fill_price":7,"fill_id":"b""#),
        ],
        &[
            ("status", Some("filled")),
            ("inferred_volume", None),
            ("inferred_price", None),
            ("filled_volume", Some("10")),
            ("avg_fill_price", Some("6.6")),
            ("overfill_volume", None),
        ],
    );
}

#[test]
fn a_shell_is_filled_in_where_it_is_empty() {
    check(
        &[
            ("modified", r#""price":6,"sl":1"#),
            ("partially_filled", r#""fill_volume":4,"fill_price":6"#),
            ("created", r#""volume":10,"price":5,"sl":2,"tp":9"#),
        ],
        &[
            ("status", Some("partially_filled")),
            ("external", None),
            ("price", Some("6")),
            ("sl", Some("1")),
            ("tp", Some("9")),
            ("volume", Some("10")),
            ("remaining_volume", Some("6")),
        ],
    );
    check(
        &[("filled", r#""fill_volume":4,"fill_price":6"#)],
        &[("status", Some("filled")), ("external", Some("1")), ("fill_reported", Some("own"))],
    );
    check(
        &[("filled", r#""fill_volume":4,"fill_price":6"#), ("created", r#""volume":10"#)],
        &[("status", Some("partially_filled")), ("fill_reported", None), ("remaining_volume", Some("6"))],
    );
    check(
        &[("filled", ""), ("created", r#""volume":10,"price":5"#)],
        &[("status", Some("filled")), ("inferred_volume", Some("10")), ("avg_fill_price", Some("5"))],
    );
}

#[test]
fn cumulative_reports() {
    check(
        &[
            ("created", r#""volume":10"#),
            ("partially_filled", r#""cum_qty":3,"last_price":5"#),
            ("partially_filled", r#""cum_qty":3,"last_price":7"#),
            ("partially_filled", r#""filled_volume":5,"last_price":6"#),
            ("partially_filled", r#""filled_volume":4"#),
        ],
        &[
            ("filled_volume", Some("5")),
            ("filled_value", Some("27")),
            ("version", Some("5")),
            ("last_fill_volume", Some("2")),
        ],
    );
    // Beside a sum, `volume` is the order's and not the fill's.
    check(
        &[("created", r#""volume":10"#), ("partially_filled", r#""volume":10,"cum_qty":3,"price":5"#)],
        &[("filled_volume", Some("3")), ("filled_value", Some("15")), ("last_fill_volume", Some("3"))],
    );
    // The last quantity covers 1 of the 4 that are new; what else was filled has no known price.
    check(
        &[("created", r#""volume":10"#), ("partially_filled", r#""last_qty":1,"cum_qty":4,"last_price":5"#)],
        &[("filled_volume", Some("4")), ("filled_value", Some("5")), ("unpriced_volume", Some("3"))],
    );
    check(
        &[("created", r#""volume":10"#), ("cancelled", r#""cum_qty":4,"reason":"expired""#)],
        &[
            ("status", Some("cancelled")),
            ("filled_volume", Some("4")),
            ("remaining_volume", Some("0")),
            ("reason", Some("expired")),
        ],
    );
    check(
        &[("created", r#""volume":10"#), ("cancelled", r#""cum_qty":0"#)],
        &[("status", Some("cancelled")), ("filled_volume", Some("0"))],
    );
}

#[test]
fn a_repeated_end_changes_nothing() {
    let mut desk = Desk::new();
    desk.accept("order.created", &with_id(r#""volume":10"#));
    desk.accept("order.cancelled", &with_id(r#""reason":"user""#));
    assert_eq!(desk.outcome("order.cancelled", &with_id(r#""reason":"other","note":"x""#)), "cancelled late");
    desk.check_fields(ORDER, &[("reason", Some("user")), ("note", None), ("version", Some("3"))]);
}

#[test]
fn the_index_is_in_the_order_of_creation() {
    let mut desk = Desk::new();
    let at = |volume: &str, time: u64| with_id(&format!(r#"{volume}"timestamp":{time}"#));
    desk.accept("order.modified", &at(r#""sl":1,"#, 100));
    desk.accept("order.created", r#"{"order_id":"2","volume":1,"timestamp":150}"#);
    assert_eq!(desk.memory.members(Key::OpenOrders), ["1", "2"]);
    desk.accept("order.created", &at(r#""volume":1,"#, 200));
    assert_eq!(desk.memory.members(Key::OpenOrders), ["2", "1"], "the creation's own time counts once it is known");
}

#[test]
fn a_sum_that_an_order_ended_with_gives_way_to_its_fills() {
    let fill = ("partially_filled", r#""fill_id":"f","fill_volume":4,"fill_price":5"#);
    let cancelled = ("cancelled", r#""cum_qty":4"#);
    let end = [
        ("status", Some("cancelled")),
        ("filled_volume", Some("4")),
        ("avg_fill_price", Some("5")),
        ("inferred_volume", None),
        ("unpriced_volume", None),
    ];
    check(&[("created", r#""volume":10"#), cancelled, fill], &end);
    check(&[("created", r#""volume":10"#), fill, cancelled], &end);
    check(
        &[("created", r#""volume":4,"price":9"#), ("filled", r#""cum_qty":4,"price":7"#), fill],
        &[("filled_volume", Some("4")), ("avg_fill_price", Some("5")), ("overfill_volume", None)],
    );
    check(
        &[("created", r#""volume":10"#), ("cancelled", r#""cum_qty":4"#), ("filled", r#""price":7"#)],
        &[
            ("status", Some("filled")),
            ("inferred_volume", Some("10")),
            ("avg_fill_price", None),
            ("inferred_price", None),
        ],
    );
    check(
        &[("filled", r#""cum_qty":4,"price":7"#), ("filled", r#""cum_qty":6,"price":8"#)],
        &[
            ("filled_volume", Some("6")),
            ("unpriced_volume", Some("6")),
            ("filled_value", None),
            ("avg_fill_price", None),
        ],
    );
    check(
        &[("created", r#""volume":10"#), ("cancelled", ""), ("cancelled", r#""cum_qty":4,"reason":"x""#)],
        &[
            ("status", Some("cancelled")),
            ("filled_volume", Some("4")),
            ("reason", None),
            ("remaining_volume", Some("0")),
        ],
    );
    // A whole volume says that the order is filled, whichever way round it and the fills come.
    let whole = ("filled", r#""volume":4"#);
    let end = [("status", Some("filled")), ("filled_volume", Some("4")), ("avg_fill_price", Some("5"))];
    check(&[("created", r#""volume":4"#), whole, fill], &end);
    check(&[("created", r#""volume":4"#), fill, whole], &end);
}

#[test]
fn an_overfill_needs_a_proof() {
    let mut desk = Desk::new();
    desk.accept("order.created", &with_id(r#""volume":1"#));
    let text = desk.refuse(Code::Overfill, "order.partially_filled", &with_id(r#""fill_volume":3"#));
    assert!(text.contains("2 more than remains"), "{text}");
    desk.refuse(Code::Overfill, "order.partially_filled", &with_id(r#""cum_qty":3"#));
    desk.accept("order.partially_filled", &with_id(r#""fill_volume":3,"fill_id":"a""#));
    desk.check_fields(
        ORDER,
        &[("overfill_volume", Some("2")), ("remaining_volume", Some("0")), ("filled_volume", Some("3"))],
    );
}

#[test]
fn a_fill_is_counted_once() {
    let fill = with_id(r#""fill_volume":1.0,"fill_price":5,"fill_id":"a","side":"BUY""#);
    let same = with_id(r#""side":"BUY","fill_id":"a","fill_price":"5.00","fill_volume":1,"note":"again""#);
    let mut desk = Desk::new();
    desk.accept("order.created", &with_id(r#""volume":2"#));
    let first = desk.accept("order.partially_filled", &fill);
    let before = desk.memory.clone();
    let again = desk.accept("order.partially_filled", &same);
    assert_eq!((again.id, again.entity), (first.id, first.entity));
    assert_eq!(before.keys, desk.memory.keys);
    for other in [
        r#""fill_volume":2,"fill_price":5,"fill_id":"a","side":"BUY""#,
        r#""fill_volume":1,"fill_price":6,"fill_id":"a","side":"BUY""#,
        r#""fill_volume":1,"fill_price":5,"fill_id":"a","side":"SELL""#,
        r#""fill_volume":1,"fill_id":"a","side":"BUY""#,
        r#""cum_qty":1,"fill_price":5,"fill_id":"a","side":"BUY""#,
    ] {
        desk.refuse(Code::IdConflict, "order.partially_filled", &with_id(other));
    }
    for same in [
        r#""fill_volume":1,"fill_price":5,"fill_id":"a""#,
        r#""last_qty":1,"cum_qty":1,"last_price":5,"fill_id":"a","side":"buy""#,
    ] {
        assert_eq!(desk.outcome("order.partially_filled", &with_id(same)), "duplicate", "{same}");
    }
    // However much later, and whatever the version that is expected: the fill is the same fact.
    desk.now += 30 * 60 * 1_000;
    let options = Options { expect: Some(1), id: Some("retry"), ..Options::default() };
    let again = desk.publish_with("order.partially_filled", &fill, options).unwrap();
    assert_eq!(again.id, first.id);
}

#[test]
fn modifications() {
    check(
        &[
            ("created", r#""volume":10,"price":5"#),
            ("partially_filled", r#""fill_volume":4"#),
            ("modified", r#""volume":3"#),
        ],
        &[("status", Some("filled")), ("volume", Some("4")), ("remaining_volume", Some("0"))],
    );
    check(
        &[("created", r#""volume":10,"price":5"#), ("modified", r#""volume":20.0,"price":"6.50""#)],
        &[("volume", Some("20.0")), ("price", Some("6.50")), ("remaining_volume", Some("20"))],
    );
    let mut desk = Desk::new();
    desk.accept("order.created", &with_id(r#""volume":10,"price":5"#));
    desk.accept("order.modified", &with_id(r#""price":7,"sl":1,"timestamp":"2025-11-17T18:00:10Z""#));
    assert_eq!(
        desk.outcome("order.modified", &with_id(r#""price":6,"sl":2,"timestamp":"2025-11-17T18:00:05Z""#)),
        "pending late"
    );
    desk.check_fields(ORDER, &[("price", Some("7")), ("sl", Some("1")), ("version", Some("3"))]);
}

#[test]
fn members_are_kept_as_written() {
    check(
        &[(
            "created",
            r#""volume":1e1,"price":-37.630,"ok":true,"none":null,"tags":["a", 1],"name":"a\u0062","status":"x","version":7,"filled_volume_":1"#,
        )],
        &[
            ("order_id", Some("1")),
            ("volume", Some("1e1")),
            ("price", Some("-37.630")),
            ("ok", Some("true")),
            ("none", None),
            ("tags", Some(r#"["a", 1]"#)),
            ("name", Some("ab")),
            ("status", Some("pending")),
            ("version", Some("1")),
            ("filled_volume_", Some("1")),
        ],
    );
    check(
        &[("created", r#""volume":10,"price":5"#), ("partially_filled", r#""volume":2,"price":4,"fee":"0.1""#)],
        &[("volume", Some("10")), ("price", Some("5")), ("fee", Some("0.1")), ("last_fill_price", Some("4"))],
    );
}

#[test]
fn times_are_the_events_own() {
    let mut desk = Desk::new();
    let receipt = desk.accept("order.created", &with_id(r#""volume":1,"timestamp":"2020-01-01T00:00:00""#));
    let updated = receipt.id.ms.to_string();
    desk.check_fields(
        ORDER,
        &[
            ("created_at", Some("1577836800000")),
            ("updated_at", Some(&updated)),
            ("last_event_id", Some(&receipt.id.to_string())),
        ],
    );
    assert!(desk.last_message().contains(r#""timestamp":"2020-01-01T00:00:00.000Z""#));
    let options = Options { at: Some("1600000000000"), ..Options::default() };
    desk.publish_with("order.created", r#"{"order_id":"2","volume":1,"timestamp":"2020-01-01"}"#, options).unwrap();
    desk.refuse(Code::BadField, "order.created", r#"{"order_id":"3","volume":1,"timestamp":"2020-01-01"}"#);
    assert_eq!(desk.memory.members(Key::OpenOrders), ["1", "2"]);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    #[track_caller]
    fn check(event_type: &str, data: &str, code: Code, names: &str) {
        let mut desk = Desk::new();
        let text = desk.refuse(code, event_type, data);
        assert!(text.contains(names), "{event_type} {data}: {text}");
    }
    check("order.created", "{}", Code::Missing, "order_id");
    check("order.created", r#"{"order_id":null}"#, Code::Missing, "order_id");
    check("order.created", r#"{"order_id":1.5}"#, Code::BadField, "order_id");
    check("order.created", r#"{"order_id":["1"]}"#, Code::BadField, "order_id");
    check("order.created", r#"{"order_id":"a b"}"#, Code::BadField, "order_id");
    check("order.created", r#"{"order_id":1}"#, Code::Missing, "volume");
    check("order.created", r#"{"order_id":1,"volume":0}"#, Code::BadField, "volume");
    check("order.created", r#"{"order_id":1,"volume":-1}"#, Code::BadField, "volume");
    check("order.created", r#"{"order_id":1,"volume":"one"}"#, Code::BadField, "volume");
    check("order.created", r#"{"order_id":1,"volume":true}"#, Code::BadField, "volume");
    check("order.created", r#"{"order_id":1,"volume":1e18}"#, Code::BadField, "1e18");
    check("order.created", r#"{"order_id":1,"volume":1e999999}"#, Code::BadField, "volume");
    check(
        "order.created",
        r#"{"order_id":1,"volume":1.2345678901234567890123456789}"#,
        Code::BadField,
        "18 significant",
    );
    check("order.created", r#"{"order_id":1,"quote_volume":0}"#, Code::BadField, "quote_volume");
    check("order.created", r#"{"order_id":1,"volume":1,"price":"x"}"#, Code::BadField, "price");
    check("order.created", r#"{"order_id":1,"volume":1,"volume":2}"#, Code::BadJson, "twice");
    check("order.created", r#"{"order_id":1,"volume":NaN}"#, Code::BadJson, "data");
    check("order.partially_filled", r#"{"order_id":1}"#, Code::Missing, "fill");
    check("order.partially_filled", r#"{"order_id":1,"fill_volume":0}"#, Code::BadField, "fill_volume");
    check("order.partially_filled", r#"{"order_id":1,"fill_volume":1,"fill_id":"a b"}"#, Code::BadField, "fill_id");
    check("order.rejected", r#"{"order_id":1}"#, Code::Missing, "reason");
    check("order.modified", r#"{"order_id":1,"timestamp":5}"#, Code::Missing, "a field to change");
    check("order.cancelled", r#"{"order_id":1,"cum_qty":-1}"#, Code::BadField, "cum_qty");
}

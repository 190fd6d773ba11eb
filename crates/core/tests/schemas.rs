//! The ready schemas in `schemas/`: each compiles, and does what its examples say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tradebus_core::refusal::Code;
use tradebus_core::schema::Schema;

/// The types that have a ready schema.
const TYPES: [&str; 14] = [
    "backtest_complete",
    "health.status_changed",
    "market_data_update",
    "ml_model_update",
    "model.promoted",
    "opportunities.updated",
    "order_executed",
    "policy.updated",
    "portfolio_update",
    "risk_alert",
    "strategy.promoted",
    "system_health",
    "trade.executed",
    "trading_signal",
];

/// As many bytes as a schema may have unless a server is configured otherwise.
const MAX_SIZE: usize = 64 << 10;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

/// What is before a suffix in the names of a folder's files.
fn stems(folder: &Path, suffix: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names = entries.map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(suffix).map(str::to_owned)).collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn schema(event_type: &str) -> Schema {
    let path = folder().join(format!("{event_type}.json"));
    Schema::compile(&read(&path), MAX_SIZE).unwrap_or_else(|refusal| panic!("{event_type}: {refusal}"))
}

#[test]
fn every_type_has_a_schema_and_examples() {
    let types: BTreeSet<String> = TYPES.map(str::to_owned).into();
    assert_eq!(stems(&folder(), ".json"), types);
    assert_eq!(stems(&folder().join("examples"), ".invalid.json"), types);
    assert_eq!(stems(&folder().join("examples"), ".valid.json"), types);
    let further = stems(&folder().join("examples"), ".valid-2.json");
    assert_eq!(further, BTreeSet::from(["trading_signal".to_owned()]), "one example for each of its shapes");
    assert_eq!(fs::read_dir(folder().join("examples")).expect("a folder").count(), 2 * types.len() + further.len());
}

#[test]
fn schemas_say_what_they_are() {
    for event_type in TYPES {
        let text = read(&folder().join(format!("{event_type}.json")));
        let schema: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{event_type}");
        for member in ["title", "description"] {
            assert!(schema[member].as_str().is_some_and(|text| !text.is_empty()), "{event_type} has no {member}");
        }
    }
}

#[test]
fn valid_examples_fit() {
    for event_type in TYPES {
        for suffix in ["valid", "valid-2"] {
            let path = folder().join("examples").join(format!("{event_type}.{suffix}.json"));
            if suffix == "valid" || path.exists() {
                assert_eq!(schema(event_type).check(event_type, &read(&path)), Ok(()), "{}", path.display());
            }
        }
    }
}

#[test]
fn invalid_examples_are_refused_with_the_place() {
    let check = |event_type: &str, expected: &str| {
        let data = read(&folder().join("examples").join(format!("{event_type}.invalid.json")));
        let refusal = schema(event_type).check(event_type, &data).expect_err(event_type);
        assert_eq!(refusal.code, Code::Schema, "{event_type}");
        assert!(refusal.text.starts_with(&format!("{event_type} at '{expected}': ")), "{refusal}");
    };
    check("health.status_changed", "/metrics/dd");
    check("market_data_update", "/price");
    check("opportunities.updated", "/top_symbols");
    check("order_executed", "/execution");
    check("policy.updated", "/max_positions");
    check("trade.executed", "");
    check("trading_signal", "");
    for permissive in TYPES.iter().filter(|name| {
        let text = read(&folder().join("examples").join(format!("{name}.invalid.json")));
        text.trim_ascii() == b"{}"
    }) {
        check(permissive, "");
    }
}

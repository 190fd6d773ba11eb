//! `docs/errors.md` and `docs/events.md` have their tables from the lists in the code. `UPDATE_DOCS=1` writes
//! them anew.

use std::path::Path;
use std::{env, fs};

use tradebus_core::entity::{Fields, COMMON_FIELDS};
use tradebus_core::event_type::{EventType, Subject};
use tradebus_core::order::OrderFields;
use tradebus_core::position::PositionFields;
use tradebus_core::refusal::Code;

fn page(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn read(name: &str) -> String {
    let path = page(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The part of the page between the two comments that name `part` is `table`.
#[track_caller]
fn check(name: &str, part: &str, table: &str) {
    let text = read(name);
    let (begin, end) = (format!("<!-- {part}: generated from the code -->\n"), format!("<!-- end of {part} -->\n"));
    let start = text.find(&begin).map(|at| at + begin.len());
    let bounds = start.and_then(|start| Some((start, start + text[start..].find(&end)?)));
    let (start, end) = bounds.unwrap_or_else(|| panic!("{name} has no place for {part}"));
    if &text[start..end] == table {
        return;
    }
    assert!(env::var_os("UPDATE_DOCS").is_some(), "{name} is not what the code says: run with UPDATE_DOCS=1");
    fs::write(page(name), format!("{}{table}{}", &text[..start], &text[end..])).expect("a page of ours");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn errors_are_those_of_the_code() {
    let mut table = String::from("\n| code | when | what to do | again? |\n| --- | --- | --- | --- |\n");
    for code in Code::ALL {
        let again = if code.is_retryable() { "yes" } else { "" };
        table += &format!("| `{}` | {} | {} | {again} |\n", code.as_str(), cell(code.when()), cell(code.remedy()));
    }
    check("errors.md", "codes", &(table + "\n"));
}

#[test]
fn event_types_are_those_of_the_code() {
    let mut table = String::from("\n| type | of | |\n| --- | --- | --- |\n");
    for event_type in EventType::ALL {
        let subject = match event_type.subject() {
            Subject::Order => "an order",
            Subject::Position => "a position",
            Subject::Signal => "a signal",
            Subject::None => "the symbol",
        };
        table += &format!("| `{}` | {subject} | {} |\n", event_type.as_str(), cell(event_type.about()));
    }
    check("events.md", "types", &(table + "\n"));
}

/// The fields in the first column of the table under a heading.
fn documented_fields(heading: &str) -> Vec<String> {
    let text = read("events.md");
    let section = text.split(&format!("{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let names = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split(','));
    names.map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

/// That none is forgotten cannot be seen from here: the code knows its fields by asking, not as a list.
#[test]
fn documented_fields_are_the_codes_own() {
    assert_eq!(documented_fields("## Hashes"), COMMON_FIELDS);
    let orders = documented_fields("### The hash of an order");
    assert!(!orders.is_empty() && orders.iter().all(|name| OrderFields::is_own(name)), "{orders:?}");
    let positions = documented_fields("### The hash of a position");
    assert!(!positions.is_empty() && positions.iter().all(|name| PositionFields::is_own(name)), "{positions:?}");
}

#[test]
fn every_type_has_its_rules() {
    let rules = read("events.md");
    for event_type in EventType::ALL {
        let name = event_type.as_str();
        let is_row = |line: &str| line.split('|').nth(1).is_some_and(|cell| cell.split(',').any(|t| t.trim() == name));
        assert!(rules.lines().any(is_row), "{name} has no row of rules");
    }
}

//! What a check can come to at most, reckoned before it is made.
//!
//! A schema's keywords are sorted by how often they can be applied. `properties` leads to one value for each object, so what
//! is in it is applied as often as what it is in. `items` and the like lead to every value at one depth, so what is in
//! them is applied to each value there at most once: the tree of a schema without recursion goes along with the tree
//! of the data. So a schema is a few sums by depth, data is a few counts by depth, and the cost is the sum of their
//! products.
//!
//! A unit is about ten nanoseconds. What costs more than one was measured, on the worst data that was found for each.

use serde_json::{Map, Value};

use crate::json::MAX_DEPTH;
use crate::refusal::quoted;

/// Highest cost of one check: a tenth of a second.
pub const MAX_COST: u64 = 10_000_000;

/// Highest weight of a schema, with references followed: what checking a value costs if it is held against every
/// subschema once. It bounds how long compiling takes, and what is kept in memory.
pub const MAX_WEIGHT: u64 = 50_000;

/// Most subschemas inside one another, with references followed.
pub const MAX_NESTED: usize = 64;

/// Bytes of a schema's patterns together, with references followed.
pub const MAX_PATTERNS: usize = 2_048;

/// Comparing with an exact number, or dividing by one.
const NUMBER: u64 = 1_000;

/// Telling whether a number is an integer.
const INTEGER: u64 = 40;

/// Matching a pattern, for each byte: every state of its machine may have to be tried.
const PATTERN: u64 = 120;

/// Comparing a value with one other for `uniqueItems`. The crate hashes them, but numbers and nested arrays can be
/// made that have one hash.
const PAIR: u64 = 1_500;

/// Noting for `unevaluated...` that a member or item was looked at.
const NOTE: u64 = 10;

/// So many bytes are compared or counted in a unit.
const BYTES: u64 = 16;

/// What a schema costs.
#[derive(Debug)]
pub struct Price {
    levels: Vec<Level>,
    /// Whether the crate gathers errors of several branches.
    pub has_alternatives: bool,
    /// How many patterns there are, with references followed.
    pub patterns: usize,
}

/// What a schema costs at one depth of the data.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// For each value.
    value: u64,
    /// For [`BYTES`] bytes of strings and names.
    bytes: u64,
    /// For each pair in an array.
    pair: u64,
}

impl Price {
    /// What a schema costs.
    ///
    /// # Errors
    /// Why the schema is refused: see [`Schema`](super::Schema).
    pub fn of(schema: &Value) -> Result<Price, String> {
        let price = Price { levels: vec![Level::default(); MAX_DEPTH + 2], has_alternatives: false, patterns: 0 };
        let mut survey = Survey { root: schema, price, weight: 0, pattern_bytes: 0, above: Vec::new() };
        if let Some(Value::String(dialect)) = schema.get("$schema") {
            if dialect.trim_end_matches('#') != DIALECT {
                return Err(format!("'$schema' is {}, not '{DIALECT}'", quoted(dialect.as_bytes())));
            }
        }
        if values_below(schema).any(has_identity) {
            return Err("'$id' and '$schema' are only supported at the top".to_owned());
        }
        survey.subschema(schema, Place { depth: 0, each: 0, checked: 1, asked: 0 })?;
        Ok(survey.price)
    }

    /// What holding data of a size against the schema costs at most.
    pub fn times(&self, size: &Size) -> u64 {
        let levels = self.levels.iter().zip(&size.levels);
        let costs = levels.map(|(price, size)| {
            let bytes = price.bytes.saturating_mul(size.bytes) / BYTES;
            let products = [price.value.saturating_mul(size.value), bytes, price.pair.saturating_mul(size.pair)];
            products.into_iter().fold(0, u64::saturating_add)
        });
        costs.fold(0, u64::saturating_add)
    }
}

/// Whether the crate may take this for a schema of its own, in which references start anew. It need not be one: it is
/// enough that a reference leads through it.
fn has_identity(value: &Value) -> bool {
    ["$id", "$schema"].iter().any(|name| value.get(name).is_some_and(Value::is_string))
        || values_below(value).any(has_identity)
}

fn values_below(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    }
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords that lead to the same value, to one value below it or to each, and those of the last that are checked again to
/// tell what they looked at. What follows is one schema, a list of them, or schemas by name.
const SAME: &[&str] = &["not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas"];
const ONE_BELOW: &[&str] = &["properties", "prefixItems"];
const EACH_BELOW: &[&str] = &["patternProperties", "additionalProperties", "propertyNames", "items"];
const EACH_ANEW: &[&str] = &["contains", "unevaluatedProperties", "unevaluatedItems"];
const BY_NAME: &[&str] = &["dependentSchemas", "properties", "patternProperties"];

/// Where in the data a subschema is applied, and how often to one value.
#[derive(Clone, Copy)]
struct Place {
    /// Steps into the data.
    depth: usize,
    /// The depth of which each value may be met, as all steps from there on are to one value.
    each: usize,
    /// How often one value is checked. `unevaluated...` asks of what stands beside it what it looked at. To tell, what
    /// holds for the same value is checked once more, on every level anew.
    checked: u64,
    /// How often it is asked what was looked at.
    asked: u64,
}

/// A walk over a schema, into every reference.
struct Survey<'s> {
    root: &'s Value,
    price: Price,
    weight: u64,
    pattern_bytes: usize,
    /// The subschemas around this one.
    above: Vec<&'s Value>,
}

impl<'s> Survey<'s> {
    fn subschema(&mut self, schema: &'s Value, place: Place) -> Result<(), String> {
        if self.above.iter().any(|above| std::ptr::eq(*above, schema)) {
            return Err("a reference leads back to itself".to_owned());
        }
        if self.above.len() == MAX_NESTED {
            return Err(format!("more than {MAX_NESTED} subschemas inside one another, with references followed"));
        }
        self.above.push(schema);
        match schema {
            Value::Object(members) => self.keywords(members, place)?,
            // What is no schema at all is for the crate to say.
            _ => self.charge(1, place)?,
        }
        self.above.pop();
        Ok(())
    }

    fn keywords(&mut self, members: &'s Map<String, Value>, mut place: Place) -> Result<(), String> {
        if let Some(refused) = ["$dynamicRef", "dependencies"].iter().find(|keyword| members.contains_key(**keyword)) {
            return Err(format!("'{refused}' is not supported"));
        }
        for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
            if members.contains_key(keyword) {
                place.asked = place.asked.saturating_add(place.checked);
            }
        }
        self.charge(1, place)?;
        let noted = self.price.level(place.depth + 1);
        noted.value = noted.value.saturating_add(NOTE.saturating_mul(place.asked));
        let same = Place { checked: place.checked.saturating_add(place.asked), ..place };
        let below = Place { depth: place.depth + 1, asked: 0, ..place };
        let each = Place { each: below.depth, ..below };
        let each_anew = Place { checked: same.checked, ..each };
        for (keyword, value) in members {
            match keyword.as_str() {
                "$ref" => self.reference(value, same)?,
                keyword if SAME.contains(&keyword) => self.subschemas(keyword, value, same)?,
                keyword if ONE_BELOW.contains(&keyword) => self.subschemas(keyword, value, below)?,
                keyword if EACH_BELOW.contains(&keyword) => self.subschemas(keyword, value, each)?,
                keyword if EACH_ANEW.contains(&keyword) => self.subschemas(keyword, value, each_anew)?,
                // Not applied, but a reference may lead into it: it is reckoned there.
                "$defs" | "definitions" | "title" | "description" | "$comment" | "default" | "examples" => {}
                "pattern" => self.pattern(value.as_str().unwrap_or_default(), place)?,
                "minLength" | "maxLength" => {
                    self.price.level(place.depth).bytes += same.checked;
                    self.charge(1, place)?;
                }
                "uniqueItems" => {
                    self.price.level(below.depth).pair += PAIR.saturating_mul(same.checked);
                    self.charge(1, place)?;
                }
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "const" | "enum"
                | "required" | "dependentRequired" => self.charge(weigh(value), place)?,
                "type" if names_integer(value) => self.charge(INTEGER, place)?,
                _ => self.charge(1, place)?,
            }
            if keyword == "patternProperties" {
                for pattern in value.as_object().into_iter().flat_map(Map::keys) {
                    self.pattern(pattern, each)?;
                }
            }
            self.price.has_alternatives |= matches!(keyword.as_str(), "anyOf" | "oneOf");
        }
        Ok(())
    }

    fn subschemas(&mut self, keyword: &str, value: &'s Value, place: Place) -> Result<(), String> {
        match value {
            Value::Array(list) => list.iter().try_for_each(|schema| self.subschema(schema, place)),
            Value::Object(named) if BY_NAME.contains(&keyword) => {
                named.values().try_for_each(|schema| self.subschema(schema, place))
            }
            one => self.subschema(one, place),
        }
    }

    fn reference(&mut self, value: &'s Value, place: Place) -> Result<(), String> {
        let text = value.as_str().unwrap_or_default();
        let refused = || format!("a reference to {}: only '#/...' within the schema", quoted(text.as_bytes()));
        let pointer = text.strip_prefix('#').ok_or_else(refused)?;
        // Escapes of a URI are the crate's to read, and what it reads must be what is read here.
        if pointer.contains('%') || !(pointer.is_empty() || pointer.starts_with('/')) {
            return Err(refused());
        }
        // However often a reference is followed, it is looked up anew.
        self.charge(pointer.len() as u64 / BYTES, place)?;
        let target = self.root.pointer(pointer);
        let target = target.ok_or_else(|| format!("a reference to {}, where nothing is", quoted(text.as_bytes())))?;
        self.subschema(target, place)
    }

    fn pattern(&mut self, text: &str, place: Place) -> Result<(), String> {
        self.pattern_bytes += text.len();
        self.price.patterns += 1;
        if self.pattern_bytes > MAX_PATTERNS {
            return Err(format!("patterns of more than {MAX_PATTERNS} bytes together"));
        }
        let times = place.checked.saturating_add(place.asked);
        self.charge(PATTERN, place)?;
        self.price.level(place.depth).bytes += PATTERN * BYTES * times;
        Ok(())
    }

    fn charge(&mut self, weight: u64, place: Place) -> Result<(), String> {
        let weight = weight.saturating_mul(place.checked.saturating_add(place.asked));
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_WEIGHT {
            return Err(format!("too large: a weight of more than {MAX_WEIGHT}, with references followed"));
        }
        self.price.level(place.each).value += weight;
        Ok(())
    }
}

impl Price {
    /// Deeper than data can be, nothing is applied, and it does not matter where it is reckoned.
    fn level(&mut self, depth: usize) -> &mut Level {
        let last = self.levels.len() - 1;
        &mut self.levels[depth.min(last)]
    }
}

/// Whether `type` has to tell integers.
fn names_integer(types: &Value) -> bool {
    let is_integer = |name: &Value| name.as_str() == Some("integer");
    is_integer(types) || types.as_array().is_some_and(|names| names.iter().any(is_integer))
}

/// What it costs to compare with a value.
fn weigh(value: &Value) -> u64 {
    match value {
        Value::Number(_) => NUMBER,
        Value::String(text) => 1 + text.len() as u64 / BYTES,
        Value::Array(items) => 1 + items.iter().map(weigh).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(weigh).sum::<u64>(),
        Value::Null | Value::Bool(_) => 1,
    }
}

/// How large data is, by depth: the whole is at depth 0.
#[derive(Debug)]
pub struct Size {
    levels: Vec<Level>,
}

impl Size {
    /// How large data is.
    pub fn of(data: &Value) -> Size {
        let mut size = Size { levels: vec![Level::default(); MAX_DEPTH + 2] };
        size.add(data, 0);
        size
    }

    /// Adds a value, and returns how many values it is.
    fn add(&mut self, value: &Value, depth: usize) -> u64 {
        let last = self.levels.len() - 1;
        let depth = depth.min(last);
        self.levels[depth].value += 1;
        let mut values = 1;
        match value {
            Value::String(text) => self.add_text(text, depth),
            Value::Array(items) => {
                for item in items {
                    values += self.add(item, depth + 1);
                }
                // Strings are hashed with a secret: they cannot be made to have one hash.
                let compared = if items.iter().all(Value::is_string) { 1 } else { items.len() as u64 };
                self.levels[(depth + 1).min(last)].pair += compared * values / 2;
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.add_text(name, (depth + 1).min(last));
                    values += self.add(value, depth + 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        values
    }

    fn add_text(&mut self, text: &str, depth: usize) {
        self.levels[depth].bytes += text.len() as u64;
    }
}

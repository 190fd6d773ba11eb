//! The scanner and the writer against `serde_json`, on generated and damaged texts.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value as Serde;

use super::super::*;

/// Data, and nothing of how it is written but the text of its numbers.
#[derive(Clone, Debug)]
enum Data {
    Word(&'static str),
    Number(String),
    String(String),
    Array(Vec<Data>),
    Object(Vec<(String, Data)>),
}

fn data() -> impl Strategy<Value = Data> {
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(Data::Word),
        number.prop_map(Data::Number),
        string().prop_map(Data::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..6).prop_map(Data::Array), members(inner).prop_map(Data::Object),]
    })
}

fn object() -> impl Strategy<Value = Data> {
    members(data()).prop_map(Data::Object)
}

fn members(value: impl Strategy<Value = Data>) -> impl Strategy<Value = Vec<(String, Data)>> {
    prop::collection::btree_map(string(), value, 0..6).prop_map(|members| members.into_iter().collect())
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{0,20}", any::<String>(), "[\\x00-\\x22\\\\/é😀]{0,12}"]
}

/// Choices of how to write data: each is a number of a xorshift sequence.
struct Style(u64);

impl Style {
    fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn write(&mut self, data: &Data, out: &mut String) {
        match data {
            Data::Word(text) => out.push_str(text),
            Data::Number(text) => out.push_str(text),
            Data::String(text) => self.write_string(text, out),
            Data::Array(elements) => {
                out.push('[');
                for (i, element) in elements.iter().enumerate() {
                    self.separate(i, out);
                    self.write(element, out);
                }
                self.space(out);
                out.push(']');
            }
            Data::Object(members) => {
                let mut order: Vec<_> = members.iter().collect();
                for i in (1..order.len()).rev() {
                    let other = self.below(i as u64 + 1);
                    order.swap(i, other as usize);
                }
                out.push('{');
                for (i, (name, value)) in order.into_iter().enumerate() {
                    self.separate(i, out);
                    self.write_string(name, out);
                    self.space(out);
                    out.push(':');
                    self.space(out);
                    self.write(value, out);
                }
                self.space(out);
                out.push('}');
            }
        }
    }

    fn write_string(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            let must = character < ' ' || character == '"' || character == '\\';
            if must || self.below(8) == 0 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }

    fn separate(&mut self, i: usize, out: &mut String) {
        if i > 0 {
            self.space(out);
            out.push(',');
        }
        self.space(out);
    }

    fn space(&mut self, out: &mut String) {
        while self.below(4) == 0 {
            out.push([' ', '\t', '\n', '\r'][self.below(4) as usize]);
        }
    }
}

fn written(data: &Data, seed: u64) -> String {
    let mut out = String::new();
    let mut style = Style::new(seed);
    style.space(&mut out);
    style.write(data, &mut out);
    style.space(&mut out);
    out
}

/// Members one by one, as `serde_json` reads what the scanner left as text.
fn to_serde(object: &Object<'_>) -> Serde {
    let value = |value: &Value<'_>| match value {
        Value::Null => Serde::Null,
        Value::Bool(value) => Serde::Bool(*value),
        Value::String(text) => Serde::String(text.to_string()),
        Value::Number(text) | Value::Nested { text, .. } => serde_json::from_str(text).unwrap(),
    };
    let member = |member: &Member<'_>| (member.name.to_string(), value(&member.value));
    Serde::Object(object.members.iter().map(member).collect())
}

/// Whether the refusal is of something that RFC 8259 leaves open and `serde_json` accepts.
fn is_stricter_rule(error: &JsonError) -> bool {
    ["twice", "members", "levels"].iter().any(|word| error.what.ends_with(word))
}

fn agrees(text: &[u8]) -> Result<(), TestCaseError> {
    let serde = serde_json::from_slice::<Serde>(text).ok();
    let serde = serde.filter(Serde::is_object);
    match parse_object(text) {
        Ok(object) => prop_assert_eq!(Some(to_serde(&object)), serde),
        Err(error) if is_stricter_rule(&error) => {}
        Err(error) => {
            prop_assert_eq!(serde, None, "{:?}", error);
            prop_assert!(error.at <= text.len());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn values_agree(data in object(), seed: u64) {
        let text = written(&data, seed);
        let object = parse_object(text.as_bytes());
        prop_assert!(object.is_ok(), "{object:?}");
        agrees(text.as_bytes())?;
    }

    #[test]
    fn the_digest_does_not_depend_on_the_writing(data in object(), a: u64, b: u64) {
        let (a, b) = (written(&data, a), written(&data, b));
        let digests = [a, b].map(|text| parse_object(text.as_bytes()).unwrap().digest());
        prop_assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn refusals_agree(
        data in object(),
        seed: u64,
        damage in vec((any::<prop::sample::Index>(), 0..3, damaging_byte()), 1..3),
    ) {
        let mut text = written(&data, seed).into_bytes();
        for (at, kind, byte) in damage {
            let at = at.index(text.len() + 1);
            match kind {
                0 => text.insert(at, byte),
                1 => { text.splice(at..text.len().min(at + 1), [byte]); }
                _ => { text.splice(at..text.len().min(at + 1), []); }
            }
        }
        agrees(&text)?;
    }

    #[test]
    fn texts_of_the_alphabet_agree(text in "\\{\"[\\\\ud83Dce00\" nrt]{0,14}\":[-+0-9.eE\\[\\]{},:\"tru]{0,6}\\}") {
        agrees(text.as_bytes())?;
    }

    #[test]
    fn no_bytes_panic(text in vec(any::<u8>(), 0..200), inside in vec(any::<u8>(), 0..50)) {
        agrees(&text)?;
        agrees(&[b"{\"a\":\"", &inside[..], b"\"}"].concat())?;
        agrees(&[b"{\"a\":", &inside[..]].concat())?;
    }

    #[test]
    fn a_written_string_is_read_again(text in string()) {
        let mut out = String::new();
        push_string(&text, &mut out);
        prop_assert_eq!(&serde_json::from_str::<String>(&out).unwrap(), &text);
        prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
    }
}

fn damaging_byte() -> impl Strategy<Value = u8> {
    let structural = prop::sample::select(b"{}[]:,\"\\ud0e-+. \n\x1f\x80\xff".to_vec());
    prop_oneof![structural, any::<u8>()]
}

//! The scanner: grammar and limits, in one pass, and what a nested value is in the digest.

use std::borrow::Cow;

use super::plain::plain_len;
use super::{digest, JsonError, Member, Object, Value, MAX_DEPTH, MAX_MEMBERS};

type Scan<T> = Result<T, JsonError>;

/// Room for a usual event, so that its members are collected without growing.
const USUAL_MEMBERS: usize = 16;

/// Scans `text`, one JSON object (RFC 8259) of at most [`MAX_MEMBERS`] members and [`MAX_DEPTH`] levels, no
/// member twice at any level. The time is in proportion to the text's length (times its logarithm, for the
/// search for members that are there twice), whatever the text.
///
/// # Errors
/// The first fault found, of the text's encoding before all others, and of a member's name that is there twice
/// at the end of its object.
pub fn parse_object(text: &[u8]) -> Result<Object<'_>, JsonError> {
    let text = std::str::from_utf8(text).map_err(|error| JsonError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner { text, at: 0, open_members: Vec::with_capacity(USUAL_MEMBERS) };
    scanner.object_alone()
}

/// Where the members of an object go.
///
/// They are filled in place, not pushed: a `Member` made first and moved then is read back wider than it was
/// written a moment before, a stall that costs as much as the scan of the member.
trait Members<'a> {
    /// Most members there may be.
    const MOST: usize;

    /// The place of the next member.
    fn next(&mut self) -> &mut Member<'a>;

    /// What a member's value is in the digest of its object; 0 of members that are kept, whose digest is
    /// [`Object::digest`], made only when it is asked for.
    fn value_hash(value: &Value<'a>) -> u64;
}

impl<'a> Members<'a> for Vec<Member<'a>> {
    const MOST: usize = MAX_MEMBERS;

    #[inline(always)]
    fn next(&mut self) -> &mut Member<'a> {
        let place = self.len();
        self.push(BLANK);
        &mut self[place]
    }

    fn value_hash(_: &Value<'a>) -> u64 {
        0
    }
}

/// Those of a nested object: one place for all.
struct Unkept<'a>(Member<'a>);

impl<'a> Members<'a> for Unkept<'a> {
    const MOST: usize = usize::MAX;

    fn next(&mut self) -> &mut Member<'a> {
        &mut self.0
    }

    fn value_hash(value: &Value<'a>) -> u64 {
        digest::value(value)
    }
}

const BLANK: Member<'static> = Member { name: Cow::Borrowed(""), value: Value::Null };

/// A place in a text, and what is known of the objects that are open there.
///
/// Invariant: `at` is a character's boundary, as only ASCII and whole runs between ASCII are stepped over.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Members of all open objects, the outermost object's first: one buffer for every level.
    open_members: Vec<Hashed>,
}

/// A member of which only hashes are kept. The name is found again by its place for the rare pair of equal
/// hashes, which keeps what is sorted small.
#[derive(Clone, Copy)]
struct Hashed {
    name: u64,
    value: u64,
    /// Where the name's opening quote is.
    at: usize,
}

impl<'a> Scanner<'a> {
    fn object_alone(&mut self) -> Scan<Object<'a>> {
        self.skip_space();
        if self.peek() != Some(b'{') {
            return self.fail("expected an object");
        }
        let mut members = Vec::with_capacity(USUAL_MEMBERS);
        self.object(1, &mut members)?;
        self.order_members(0)?;
        self.skip_space();
        if self.at < self.text.len() {
            return self.fail("text after the object");
        }
        Ok(Object { text: self.text, members })
    }

    /// Puts the value that begins here into `out`; `depth` is that of an object or array, if it is one.
    #[inline(always)]
    fn value(&mut self, depth: usize, out: &mut Value<'a>) -> Scan<()> {
        *out = match self.peek() {
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b'{' | b'[') => self.nested(depth)?,
            Some(b't') => {
                self.literal("true")?;
                Value::Bool(true)
            }
            Some(b'f') => {
                self.literal("false")?;
                Value::Bool(false)
            }
            Some(b'n') => {
                self.literal("null")?;
                Value::Null
            }
            _ => return self.fail("expected a value"),
        };
        Ok(())
    }

    /// The object or array that begins here.
    fn nested(&mut self, depth: usize) -> Scan<Value<'a>> {
        let start = self.at;
        let digest = match self.peek() {
            Some(b'{') => {
                let first = self.open_members.len();
                self.object(depth, &mut Unkept(BLANK))?;
                self.close_members(first)?
            }
            _ => self.array(depth)?,
        };
        Ok(Value::Nested { text: &self.text[start..self.at], digest })
    }

    /// Puts the members of the object that begins here into `members`, and adds them to the open ones.
    fn object<M: Members<'a>>(&mut self, depth: usize, members: &mut M) -> Scan<()> {
        self.open(depth)?;
        let first = self.open_members.len();
        if !self.skip(b'}') {
            loop {
                let at = self.at;
                if self.peek() != Some(b'"') {
                    return self.fail("expected a member's name");
                }
                if self.open_members.len() - first == M::MOST {
                    return self.fail("more than 128 members");
                }
                let name = self.string()?;
                let name_hash = digest::name(&name);
                let member = members.next();
                member.name = name;
                self.skip_space();
                if !self.skip(b':') {
                    return self.fail("expected ':' after a member's name");
                }
                self.skip_space();
                self.value(depth + 1, &mut member.value)?;
                let value_hash = M::value_hash(&member.value);
                self.open_members.push(Hashed { name: name_hash, value: value_hash, at });
                self.skip_space();
                if self.skip(b'}') {
                    break;
                }
                if !self.skip(b',') {
                    return self.fail("expected ',' or '}' after a member");
                }
                self.skip_space();
            }
        }
        Ok(())
    }

    /// Brings the open members from `first` on, which are those of one object, into an order that puts equal names side
    /// by side, to be found; and that does not depend on the order of the text, for the digest of what is nested.
    fn order_members(&mut self, first: usize) -> Scan<()> {
        let members = &mut self.open_members[first..];
        members.sort_unstable_by_key(|member| member.name);
        match members.windows(2).any(|pair| pair[0].name == pair[1].name) {
            true => order_names(self.text, members),
            false => Ok(()),
        }
    }

    /// The hash of the object whose members are the open ones from `first` on, and which ends here.
    fn close_members(&mut self, first: usize) -> Scan<u64> {
        self.order_members(first)?;
        Ok(digest::object(self.open_members.drain(first..).map(|member| (member.name, member.value))))
    }

    fn array(&mut self, depth: usize) -> Scan<u64> {
        self.open(depth)?;
        let mut elements = digest::Array::default();
        let mut unkept = Value::Null;
        if !self.skip(b']') {
            loop {
                self.value(depth + 1, &mut unkept)?;
                elements.push(digest::value(&unkept));
                self.skip_space();
                if self.skip(b']') {
                    break;
                }
                if !self.skip(b',') {
                    return self.fail("expected ',' or ']' after an element");
                }
                self.skip_space();
            }
        }
        Ok(elements.finish())
    }

    /// Steps over an opening bracket and the space behind it.
    fn open(&mut self, depth: usize) -> Scan<()> {
        if depth > MAX_DEPTH {
            return self.fail("nested deeper than 64 levels");
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// The content of the string whose opening quote is here.
    #[inline(always)]
    fn string(&mut self) -> Scan<Cow<'a, str>> {
        let start = self.at + 1;
        let end = start + plain_len(&self.text.as_bytes()[start..]);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            let content = self.escaped_string()?;
            return Ok(Cow::Owned(content));
        }
        self.at = end + 1;
        Ok(Cow::Borrowed(&self.text[start..end]))
    }

    #[cold]
    fn escaped_string(&mut self) -> Scan<String> {
        let open = self.at;
        let mut content = String::new();
        self.at += 1;
        loop {
            let run = self.at;
            self.at += plain_len(&self.text.as_bytes()[run..]);
            content.push_str(&self.text[run..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(content);
                }
                Some(b'\\') => content.push(self.escape()?),
                Some(_) => return self.fail("a control character in a string must be escaped"),
                None => return Err(JsonError { at: open, what: "a string without its closing quote" }),
            }
        }
    }

    /// The character of the escape whose backslash is here.
    fn escape(&mut self) -> Scan<char> {
        let backslash = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let character = self.utf16()?;
                return character.ok_or(JsonError { at: backslash, what: "half a surrogate pair" });
            }
            _ => return Err(JsonError { at: backslash, what: "not an escape JSON knows" }),
        };
        self.at += 1;
        Ok(character)
    }

    /// The character of one UTF-16 unit, or of two with `\u` between them; `None`: half a pair.
    fn utf16(&mut self) -> Scan<Option<char>> {
        let unit = self.hex4()?;
        let is_high = (0xd800..0xdc00).contains(&unit);
        if !is_high || !self.text[self.at..].starts_with("\\u") {
            return Ok(char::from_u32(unit));
        }
        self.at += 2;
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Ok(None);
        }
        let character = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        Ok(char::from_u32(character))
    }

    fn hex4(&mut self) -> Scan<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return self.fail("expected four hex digits after \\u");
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// The text of the number that begins here.
    #[inline(always)]
    fn number(&mut self) -> Scan<&'a str> {
        let start = self.at;
        self.skip(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let integer = self.at;
        self.digits()?;
        if leading_zero && self.at > integer + 1 {
            return Err(JsonError { at: integer, what: "a number with a leading zero" });
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            if !self.skip(b'-') {
                self.skip(b'+');
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Steps over one digit or more.
    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return self.fail("expected a digit");
        }
        Ok(())
    }

    #[inline]
    fn literal(&mut self, word: &str) -> Scan<()> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte`, which is ASCII, if it is here; whether it was.
    #[inline]
    fn skip(&mut self, byte: u8) -> bool {
        let is_here = self.peek() == Some(byte);
        self.at += usize::from(is_here);
        is_here
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[cold]
    fn fail<T>(&self, what: &'static str) -> Scan<T> {
        Err(JsonError { at: self.at, what })
    }
}

/// Orders members by the hashes of their names, and then by the names: these are in one order too, and names
/// made to collide do not make the search for equal ones quadratic.
///
/// # Errors
/// The earliest name that is there before.
#[cold]
fn order_names(text: &str, members: &mut [Hashed]) -> Scan<()> {
    let order = |a: &Hashed, b: &Hashed| {
        let names = || name_at(text, a.at).cmp(&name_at(text, b.at));
        a.name.cmp(&b.name).then_with(names)
    };
    // Stable: of equal names, the one that is there before comes before.
    members.sort_unstable_by_key(|member| member.at);
    members.sort_by(order);
    let twice = |pair: &&[Hashed]| order(&pair[0], &pair[1]).is_eq();
    match members.windows(2).filter(twice).map(|pair| pair[1].at).min() {
        None => Ok(()),
        Some(at) => Err(JsonError { at, what: "this member's name appears twice" }),
    }
}

/// The name whose opening quote is at `at`, where one was scanned before.
fn name_at(text: &str, at: usize) -> Option<Cow<'_, str>> {
    let open_members = Vec::new();
    let mut scanner = Scanner { text, at, open_members };
    scanner.string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names whose hashes are taken to be equal, so that their texts have to decide.
    fn digest_of_colliding(text: &str) -> Scan<u64> {
        let is_quote = |&(_, character): &(usize, char)| character == '"';
        let open_members = text.char_indices().filter(is_quote).step_by(2);
        let mut scanner = Scanner {
            text,
            at: text.len(),
            open_members: open_members
                .map(|(at, _)| Hashed { name: 7, value: digest::name(&name_at(text, at).unwrap()), at })
                .collect(),
        };
        scanner.close_members(0)
    }

    #[test]
    fn names_of_one_hash_are_told_apart() {
        let digest = digest_of_colliding(r#""a" "b" "c""#);
        assert!(digest.is_ok());
        for text in [r#""b" "a" "c""#, r#""c" "b" "\u0061""#, r#""a" "c" "b""#] {
            assert_eq!(digest_of_colliding(text), digest, "{text}");
        }
        let twice = JsonError { at: 4, what: "this member's name appears twice" };
        assert_eq!(digest_of_colliding(r#""b" "b" "a" "a""#), Err(twice));
    }
}

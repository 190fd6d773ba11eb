//! How a command describes itself: the one source of its syntax, for the server, `COMMAND DOCS` and `docs/`.

use crate::redis::Access;

/// A command's name, syntax and documentation.
pub struct Spec {
    /// The name as clients send it.
    pub name: &'static str,
    /// One line, without a full stop, as the server's own commands have it.
    pub summary: &'static str,
    /// In what the time grows.
    pub complexity: &'static str,
    /// The version of tradebus that had it first.
    pub since: &'static str,
    /// Tips for clients and proxies, separated by spaces.
    pub tips: &'static str,
    /// How many arguments, the name included; negative: at least.
    pub arity: i32,
    /// What it does with the keys of the symbol or stream.
    pub access: Access,
    /// How long it takes.
    pub speed: Speed,
    /// The arguments; the first is the symbol or stream, where the command has one.
    pub args: &'static [Arg],
}

/// Whether a command's time is bounded by a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// It is.
    Constant,
    /// It grows with the arguments or the data.
    Slow,
}

/// An argument.
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgKind,
    /// The word before it.
    pub token: Option<&'static str>,
    /// Whether it can be left out.
    pub is_optional: bool,
    /// Whether it can come again and again.
    pub is_multiple: bool,
    /// Whether the word comes again with it.
    pub is_token_repeated: bool,
    /// The arguments of a block.
    pub parts: &'static [Arg],
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// The routing key.
    Key,
    /// Any text.
    Text,
    /// A number without a fraction.
    Integer,
    /// A word that stands for itself.
    Flag,
    /// Several arguments that come together.
    Block,
    /// One of several.
    OneOf,
}

/// The first argument of the commands on a symbol.
pub const SYMBOL: Arg = Arg::new("symbol", ArgKind::Key);
/// The first argument of the commands on a stream.
pub const STREAM: Arg = Arg::new("stream", ArgKind::Key);
/// The second argument of the commands on candles.
pub const TIMEFRAME: Arg = Arg::new("timeframe", ArgKind::Text);

impl Arg {
    const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg { name, kind, token: None, is_optional: false, is_multiple: false, is_token_repeated: false, parts: &[] }
    }

    /// Any text.
    pub const fn text(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Text)
    }

    /// A number without a fraction.
    pub const fn integer(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Integer)
    }

    /// A word that stands for itself, and can be left out.
    pub const fn flag(name: &'static str, token: &'static str) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Flag).optional();
        arg.token = Some(token);
        arg
    }

    /// Several arguments that come together.
    pub const fn block(name: &'static str, parts: &'static [Arg]) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Block);
        arg.parts = parts;
        arg
    }

    /// One of several.
    pub const fn one_of(name: &'static str, parts: &'static [Arg]) -> Arg {
        let mut arg = Arg::new(name, ArgKind::OneOf);
        arg.parts = parts;
        arg
    }

    /// A word that stands for itself.
    pub const fn word(name: &'static str, token: &'static str) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Flag);
        arg.token = Some(token);
        arg
    }

    /// The same, behind a word, and can be left out.
    #[must_use]
    pub const fn option(mut self, token: &'static str) -> Arg {
        self.token = Some(token);
        self.optional()
    }

    /// The same, and can be left out.
    #[must_use]
    pub const fn optional(mut self) -> Arg {
        self.is_optional = true;
        self
    }

    /// The same, and can come again and again.
    #[must_use]
    pub const fn multiple(mut self) -> Arg {
        self.is_multiple = true;
        self
    }

    /// The same, its word before it each time.
    #[must_use]
    pub const fn with_token_each(mut self) -> Arg {
        self.is_token_repeated = true;
        self
    }
}

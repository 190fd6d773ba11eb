//! The documentation: what `docs/` says of the commands and settings is what a server says and does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use redis::Value;
use tradebus_core::refusal::Code;

use crate::redis_cli;
use crate::support::{project_path, text, Client, Options, Server};

/// A page of `docs`.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    /// The page of a command.
    fn of(command: &str) -> Page {
        Page::read(project_path("docs/commands").join(format!("{}.md", command.to_lowercase())))
    }

    fn read(path: PathBuf) -> Page {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page { path, text }
    }

    /// The lines under a heading.
    fn section(&self, heading: &str) -> Vec<&str> {
        let lines = self.text.lines().skip_while(|line| *line != format!("## {heading}")).skip(1);
        lines.take_while(|line| !line.starts_with("## ")).collect()
    }
}

/// The module's commands, by name.
fn commands(client: &mut Client) -> BTreeSet<String> {
    let Value::Array(names) = client.run("COMMAND LIST FILTERBY MODULE tradebus") else {
        panic!("COMMAND LIST replies an array");
    };
    names.iter().map(|name| word(name).to_uppercase()).collect()
}

/// A map as RESP3 has it.
fn fields(value: &Value) -> BTreeMap<String, &Value> {
    let Value::Map(pairs) = value else { panic!("not a map: {}", text(value)) };
    pairs.iter().map(|(name, value)| (word(name), value)).collect()
}

/// A string of any kind.
fn word(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => text(other),
    }
}

/// Arguments as `redis-cli` shows them in its hints.
fn syntax(arguments: &Value) -> String {
    let Value::Array(arguments) = arguments else { panic!("not an array: {}", text(arguments)) };
    arguments.iter().map(argument).collect::<Vec<_>>().join(" ")
}

fn argument(argument: &Value) -> String {
    let fields = fields(argument);
    let is = |flag: &str| fields.get("flags").is_some_and(|flags| text(flags).contains(flag));
    let kind = word(fields["type"]);
    let plain = match fields.get("arguments") {
        Some(Value::Array(choices)) if kind == "oneof" => {
            let choices = choices.iter().map(self::argument).collect::<Vec<_>>().join(" | ");
            if is("optional") {
                choices
            } else {
                format!("<{choices}>")
            }
        }
        Some(parts) => syntax(parts),
        None => word(fields["name"]),
    };
    let token = fields.get("token").map(|token| word(token));
    let repeated = if is("multiple") { format!("{plain} [{plain} ...]") } else { plain.clone() };
    let whole = match token {
        Some(token) if kind == "pure-token" => token,
        Some(token) if is("multiple_token") => format!("{token} {plain} [{token} {plain} ...]"),
        Some(token) => format!("{token} {repeated}"),
        None => repeated,
    };
    if is("optional") {
        format!("[{whole}]")
    } else {
        whole
    }
}

/// Commands that publish what they read: no server tells the flag by which they differ.
const PUBLISHING_READERS: [&str; 2] = ["TRADE.REPLAY", "EVENT.REPLAY"];

/// How a page must begin: what the server knows of the command, in words.
fn head(client: &mut Client, command: &str) -> String {
    let docs = client.run(["COMMAND", "DOCS", command]);
    let docs = fields(&docs);
    let docs = fields(docs.values().next().expect("the command's docs"));
    let of = |name: &str| word(docs[name]);
    let info = client.text(["COMMAND", "INFO", command]);
    let (use_of_key, access) = match info.contains("[RW, access, update]") {
        true => ("read and written", "`@write`"),
        false if PUBLISHING_READERS.contains(&command) => ("read", "`@read` `@pubsub`"),
        false => ("read", "`@read`"),
    };
    let Value::Array(arguments) = docs["arguments"] else { panic!("no arguments: {}", text(docs["arguments"])) };
    let first = fields(&arguments[0]);
    let key = match word(first["type"]).as_str() {
        "key" => format!("`{}`, {use_of_key}", word(first["name"])),
        _ => "none".to_owned(),
    };
    let speed = if info.contains(", fast") { "@fast" } else { "@slow" };
    format!(
        "# {command}\n\n{}.\n\n```\n{command} {}\n```\n\n\
         | | |\n| --- | --- |\n| Since | {} |\n| Complexity | {} |\n| Key | {key} |\n\
         | ACL categories | {access} `{speed}` `@tradebus` |\n",
        of("summary"),
        syntax(docs["arguments"]),
        of("since"),
        of("complexity"),
    )
}

#[test]
fn every_command_has_a_page_that_begins_as_the_server_describes_it() {
    let server = Server::start(Options::new());
    let mut client = server.client_resp3();
    let commands = commands(&mut client);
    for command in &commands {
        let page = Page::of(command);
        let head = head(&mut client, command);
        assert!(page.text.starts_with(&head), "{} must begin with\n{head}", page.path.display());
        for heading in ["Reply", "Errors", "Examples"] {
            assert!(!page.section(heading).is_empty(), "{}: {heading}", page.path.display());
        }
    }
    let pages = fs::read_dir(project_path("docs/commands")).expect("the pages");
    let pages = pages.map(|entry| entry.expect("a page").file_name().to_string_lossy().to_uppercase());
    let pages: BTreeSet<_> = pages.filter_map(|name| Some(name.strip_suffix(".MD")?.to_owned())).collect();
    assert_eq!(pages, commands);
}

#[test]
fn pages_name_errors_that_exist() {
    let server = Server::start(Options::new());
    for command in commands(&mut server.client()) {
        let page = Page::of(&command);
        let rows = page.section("Errors").into_iter().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let codes: Vec<_> = rows.collect();
        assert!(codes.len() > 1, "{}: {codes:?}", page.path.display());
        for code in codes {
            assert!(Code::ALL.iter().any(|known| known.as_str() == code), "{}: {code}", page.path.display());
        }
    }
}

/// Pages beside those of the commands that have examples, and a command that each one shows.
const GUIDES: [(&str, &str); 5] = [
    ("docs/conditions.md", "COND.REGISTER"),
    ("docs/consuming.md", "TRADE.CLAIM"),
    ("docs/events.md", "XRANGE"),
    ("docs/monitoring.md", "TRADE.STATS"),
    ("docs/security.md", "ACL"),
];

/// All examples of a page are one session, on empty data. `UPDATE_DOCS=1` writes what they reply now.
#[test]
fn examples_reply_what_they_show() {
    let server = Server::start(Options::new());
    let pages = commands(&mut server.client()).into_iter().map(|command| (Page::of(&command), command));
    let guides = GUIDES.map(|(path, command)| (Page::read(project_path(path)), command.to_owned()));
    for (page, command) in pages.chain(guides) {
        server.client().run("FLUSHALL");
        let mut session = redis_cli::Session::new(&server);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&page.path, session.rewrite(&page.text)).expect("a page of ours");
            continue;
        }
        let mut played = BTreeSet::new();
        for example in redis_cli::examples(&page.text) {
            played.insert(example.command.split(' ').next().unwrap_or_default().to_owned());
            session.check(&page.path, &example);
        }
        assert!(played.contains(&command), "{} has no example", page.path.display());
    }
}

/// The names in the first column of a table under a heading of `docs/events.md`.
fn documented_names(heading: &str) -> Vec<String> {
    let page = Page::read(project_path("docs/events.md"));
    let rows = page.section(heading).into_iter().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

/// An event that has everything an event can have: late, with an entity, all labels, and a context.
#[test]
fn the_log_and_the_message_have_the_documented_parts() {
    let server = Server::start(Options::new());
    let mut subscriber = server.subscribe("PSUBSCRIBE trades:*");
    let mut client = server.client();
    client.run("TRADE.INSTRUMENT S SET contract_size 10 position_mode netting");
    let data = r#"{ "position_id": "p", "exit_price": 10, "volume": 3 }"#;
    client.run(["TRADE.PUBLISH", "S", "position.closed", data, "SOURCE", "a", "CORRELATION", "b", "ID", "c"]);
    let data = r#"{"position_id":"p","price":9}"#;
    client.run(["TRADE.PUBLISH", "S", "stop_loss.hit", data, "SOURCE", "a", "CORRELATION", "b", "ID", "d"]);

    let Value::Array(entries) = client.run("XRANGE trade:{S}:events - +") else { panic!("XRANGE replies an array") };
    let mut logged = BTreeSet::new();
    for entry in &entries {
        let Value::Array(entry) = entry else { panic!("an id and fields: {}", text(entry)) };
        let Value::Array(fields) = &entry[1] else { panic!("fields: {}", text(&entry[1])) };
        let names: Vec<_> = fields.chunks(2).map(|pair| word(&pair[0])).collect();
        let documented = documented_names("The log");
        assert!(names.iter().eq(documented.iter().filter(|name| names.contains(name))), "order: {names:?}");
        logged.extend(names);
    }
    assert_eq!(logged, documented_names("The log").into_iter().collect());

    let messages = subscriber.until_now();
    let late = messages.last().expect("two messages");
    let mut rest = late.payload.as_str();
    for name in documented_names("The message") {
        let begins = [format!("{{\"{name}\":"), format!(",\"{name}\":")];
        let at = begins.iter().find_map(|begin| rest.find(begin.as_str()));
        rest = &rest[at.unwrap_or_else(|| panic!("{name} is not where it should be in {}", late.payload))..];
    }
    assert_eq!(late.json().as_object().map(|members| members.len()), Some(documented_names("The message").len()));
}

/// Rows of the table in `docs/configuration.md`: name, default and range.
fn documented_settings() -> Vec<[String; 3]> {
    let page = fs::read_to_string(project_path("docs/configuration.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `tradebus."));
    let cells = rows.map(|row| row.split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect::<Vec<_>>());
    cells.map(|cells| [cells[1].clone(), cells[2].clone(), cells[3].clone()]).collect()
}

#[test]
fn settings_are_documented_with_their_defaults() {
    let server = Server::start(Options::new());
    let settings = documented_settings().into_iter();
    let documented: BTreeMap<_, _> =
        settings.map(|[name, default, _]| (name, if default == "empty" { String::new() } else { default })).collect();
    assert_eq!(server.client().map("CONFIG GET tradebus.*"), documented);
}

#[test]
fn settings_take_what_the_documentation_says() {
    let server = Server::start(Options::new());
    let mut client = server.client();
    let mut takes = |name: &str, value: i128| client.text(["CONFIG", "SET", name, &value.to_string()]) == "OK";
    let mut words = Vec::new();
    for [name, _, range] in documented_settings() {
        let Some((least, most)) = range.split_once(" to ") else {
            words.push((name, range));
            continue;
        };
        let (least, most): (i128, i128) = (least.parse().expect(&name), most.parse().expect(&name));
        assert!(takes(&name, least) && takes(&name, most), "{name}: {range}");
        assert!(!takes(&name, least - 1) && !takes(&name, most + 1), "{name}: {range}");
    }
    for (name, range) in words.iter().filter(|(_, range)| range != "names") {
        for value in range.split(", ") {
            client.run(["CONFIG", "SET", name, value]);
        }
    }
}

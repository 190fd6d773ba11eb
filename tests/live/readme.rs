//! README.md, the first that a user tries: its session replies what it shows, and its links and commands exist.

use std::fs;
use std::path::Path;

use crate::redis_cli;
use crate::support::{project_path, text, Options, Server};

fn page(name: &str) -> String {
    fs::read_to_string(project_path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_session_replies_what_it_shows() {
    let server = Server::start(Options::new());
    let mut session = redis_cli::Session::new(&server);
    let examples = redis_cli::examples(&page("README.md"));
    assert!(!examples.is_empty());
    for example in examples {
        session.check(Path::new("README.md"), &example);
    }
}

#[test]
fn every_command_is_in_the_table() {
    let server = Server::start(Options::new());
    let redis::Value::Array(names) = server.client().run("COMMAND LIST FILTERBY MODULE tradebus") else {
        panic!("COMMAND LIST replies an array");
    };
    let mut commands: Vec<_> = names.iter().map(|name| text(name).trim_matches('"').to_uppercase()).collect();
    let page = page("README.md");
    let mut shown: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| [`")?.split('`').next().map(str::to_owned)).collect();
    commands.sort();
    shown.sort();
    assert_eq!(shown, commands);
}

#[test]
fn links_lead_somewhere() {
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        for link in page(name).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            assert!(target.starts_with("https://") || project_path(target).exists(), "{name}: {target}");
        }
    }
}

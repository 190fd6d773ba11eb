//! `docs/conditions.md` tells what the language does: its expressions, errors, ids and tables are held against the code.

use std::fs;
use std::path::Path;

use tradebus_core::expression::{
    condition_id, Column, Expression, History, Truth, AGO_MAX, DEPTH_MAX, NODES_MAX, PERIODS_MAX, TERMS_TEXT_MAX,
    TEXT_MAX,
};
use tradebus_core::indicators::{Bar, Indicator, Input, Spec, PERIOD_MAX};
use tradebus_core::timeframe::Timeframe;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conditions.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of each fenced block of this kind, with what stands behind the block.
fn blocks<'p>(page: &'p str, kind: &str) -> Vec<(Vec<&'p str>, &'p str)> {
    let fence = format!("\n```{kind}\n");
    let block = |(start, _): (usize, &str)| {
        let (inside, behind) = page[start + fence.len()..].split_once("\n```\n").expect("an end of the block");
        (inside.lines().collect(), behind)
    };
    let found: Vec<_> = page.match_indices(&fence).map(block).collect();
    assert!(!found.is_empty(), "no blocks of {kind}");
    found
}

/// The rows of the first table whose header begins with these cells.
fn table(page: &str, header: &str) -> Vec<Vec<String>> {
    let mut lines = page.lines().skip_while(|line| !line.starts_with(header));
    assert!(lines.next().is_some(), "no table {header}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<_> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "{header} has no rows");
    rows
}

#[track_caller]
fn parsed(text: &str) -> Expression {
    Expression::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// Columns from the newest bar back; functions have no numbers.
struct Bars(Vec<Bar>);

impl History for Bars {
    fn column(&self, column: Column, ago: usize) -> Option<f64> {
        let bar = self.0.get(ago)?;
        Some(match column {
            Column::Open => bar.open,
            Column::High => bar.high,
            Column::Low => bar.low,
            Column::Close => bar.close,
            Column::Volume => bar.volume,
        })
    }

    fn line(&self, _: usize, _: usize) -> Option<f64> {
        None
    }
}

/// What an expression comes to that needs no bars.
fn truth_of(text: &str) -> Truth {
    parsed(text).judge(&Bars(Vec::new())).value
}

fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::Unknown => "null",
        Truth::False => "false",
    }
}

#[test]
fn expressions_are_conditions() {
    for line in blocks(&page(), "condition").into_iter().flat_map(|(lines, _)| lines) {
        let (text, canonical) = line.split_once(" => ").unwrap_or((line, line));
        assert_eq!(parsed(text).as_str(), canonical, "{text}");
    }
}

#[test]
fn errors_are_told_as_they_are() {
    for pair in blocks(&page(), "condition-error").iter().flat_map(|(lines, _)| lines.chunks(2)) {
        let &[text, error] = pair else { panic!("{pair:?} is no expression with its error") };
        let refusal = Expression::parse(text.as_bytes()).expect_err(text);
        assert_eq!(refusal.to_string(), error, "{text}");
    }
}

#[test]
fn bounds_are_those_of_the_code() {
    let rows = table(&page(), "| at most |");
    let told: Vec<usize> = rows.iter().map(|row| number(&row[1]) as usize).collect();
    let (ago, period) = (usize::from(AGO_MAX), usize::from(PERIOD_MAX));
    assert_eq!(told, [TEXT_MAX, DEPTH_MAX, NODES_MAX, ago, period, PERIODS_MAX, TERMS_TEXT_MAX]);
}

#[test]
fn ids_are_those_of_the_code() {
    let page = page();
    let mut lines = page.lines();
    let mut shown = 0;
    while let Some(line) = lines.next() {
        let Some(arguments) = line.strip_prefix("> COND.REGISTER ") else { continue };
        let parts: Vec<&str> = arguments.split('\'').collect();
        let &[place, text, options] = parts.as_slice() else { panic!("{line}") };
        let (symbol, timeframe) = place.trim_end().split_once(' ').expect(line);
        let timeframe = Timeframe::parse(timeframe.as_bytes()).expect(line);
        let mode = options.strip_prefix(" MODE ").unwrap_or("edge");
        let id = condition_id(symbol, timeframe, &parsed(text), mode);
        assert_eq!(lines.next(), Some(format!("\"{id}\"").as_str()), "{line}");
        shown += 1;
    }
    assert!(shown > 0);
}

#[test]
fn timeframes_are_those_of_the_code() {
    let names: Vec<_> = Timeframe::ALL.iter().map(|timeframe| timeframe.as_str()).collect();
    assert!(page().contains(&format!("Timeframes are `{}`", names.join(" "))));
}

#[test]
fn logic_is_kleenes() {
    let truth = |name: &str| {
        let texts = [("true", "1 < 2"), ("null", "1 / 0 < 2"), ("false", "2 < 1")];
        texts.into_iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}")).1
    };
    let page = page();
    for junction in ["AND", "OR"] {
        for row in table(&page, &format!("| {junction} | true | null | false |")) {
            for (right, told) in ["true", "null", "false"].into_iter().zip(&row[1..]) {
                let text = format!("{} {junction} {}", truth(&row[0]), truth(right));
                assert_eq!(word(truth_of(&text)), told, "{} {junction} {right}", row[0]);
            }
        }
    }
    for (operand, told) in
        ["true", "null", "false"].into_iter().zip(&table(&page, "| NOT | true | null | false |")[0][1..])
    {
        assert_eq!(word(truth_of(&format!("NOT {}", truth(operand)))), told, "NOT {operand}");
    }
}

/// Each table of bars stands behind the expression that it is of, and is told for `edge`.
#[test]
fn bars_fire_as_the_tables_tell() {
    let page = page();
    let mut tables = 0;
    for (lines, behind) in blocks(&page, "condition") {
        let header = "| bar | close | volume | value | fires |";
        if !behind.trim_start().starts_with(header) {
            continue;
        }
        tables += 1;
        let expression = parsed(lines[0]);
        let (mut bars, mut last) = (Bars(Vec::new()), Truth::Unknown);
        for row in table(behind, header) {
            bars.0.insert(0, Bar { close: number(&row[1]), volume: number(&row[2]), ..EQUAL });
            let verdict = expression.judge(&bars);
            assert_eq!(word(verdict.value), row[3], "{expression} on bar {}", row[0]);
            let fires = verdict.value == Truth::True && (verdict.is_pulse() || last == Truth::False);
            assert_eq!(fires, row[4] == "fires", "{expression} on bar {}", row[0]);
            if verdict.value != Truth::Unknown {
                last = verdict.value;
            }
        }
    }
    assert_eq!(tables, 2);
}

/// A list of all functions, and each one's name: a new one does not compile until it is in both.
macro_rules! functions {
    ($($spec:pat => $name:literal,)*) => {
        const FUNCTIONS: &[&str] = &[$($name),*];

        fn name_of(spec: Spec) -> &'static str {
            match spec { $($spec => $name,)* }
        }
    };
}

functions! {
    Spec::Sma(_) => "sma",
    Spec::Ema(_) => "ema",
    Spec::Wma(_) => "wma",
    Spec::Rma(_) => "rma",
    Spec::Rsi(_) => "rsi",
    Spec::Macd { .. } => "macd",
    Spec::Bb { .. } => "bb",
    Spec::Atr(_) => "atr",
    Spec::Stoch { .. } => "stoch",
    Spec::Adx(_) => "adx",
    Spec::Cci(_) => "cci",
    Spec::Roc(_) => "roc",
    Spec::Obv => "obv",
    Spec::Highest(_) => "highest",
    Spec::Lowest(_) => "lowest",
}

/// A row of the table of functions.
struct Row {
    name: String,
    /// The names of the parameters, as the page has them.
    parameters: Vec<String>,
    cells: Vec<String>,
}

impl Row {
    fn all() -> Vec<Row> {
        table(&page(), "| function | lines |").into_iter().map(Row::read).collect()
    }

    fn read(cells: Vec<String>) -> Row {
        let call = cells[0].trim_matches('`').trim_end_matches(')');
        let (name, parameters) = call.split_once('(').unwrap_or((call, ""));
        let parameters = parameters.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Row { name: name.to_owned(), parameters, cells }
    }

    fn lines(&self) -> Vec<&str> {
        self.cells[1].split(' ').map(|line| line.trim_matches('`')).collect()
    }

    /// The first bar with a value, as a sum of the parameters.
    fn first_bar(&self) -> &str {
        self.cells[5].trim_matches('`')
    }

    /// The parameters of the example, and its first bar with a value.
    fn example(&self) -> (Vec<f64>, usize) {
        let (call, first) = self.cells[7].split_once(": ").expect("an example and its first bar");
        let call = call.trim_matches('`').trim_end_matches(')');
        let (name, values) = call.split_once('(').unwrap_or((call, ""));
        assert_eq!(name, self.name);
        (values.split(", ").filter(|value| !value.is_empty()).map(number).collect(), number(first) as usize)
    }

    /// The least and the most that each parameter may be, and whether it may be a fraction.
    fn bounds(&self) -> Vec<(f64, f64, bool)> {
        let told = self.cells[4].split("; ").filter(|cell| !cell.is_empty());
        let bounds = told.zip(&self.parameters).map(|(cell, parameter)| {
            let range =
                cell.strip_prefix(&format!("`{parameter}` ")).unwrap_or_else(|| panic!("{cell}, of {parameter}"));
            let (least, most) = range.trim_end_matches(", fractions too").split_once(" to ").expect("a range");
            (number(least), number(most), range.ends_with(", fractions too"))
        });
        let bounds: Vec<_> = bounds.collect();
        assert_eq!(bounds.len(), self.parameters.len(), "{}", self.name);
        bounds
    }

    /// The function with these arguments, if the language takes them.
    fn spec(&self, source: &str, parameters: &[f64]) -> Option<Spec> {
        let values: Vec<String> = parameters.iter().map(f64::to_string).collect();
        let line = match self.lines()[0] {
            "" => String::new(),
            line => format!(".{line}"),
        };
        let call = match values.as_slice() {
            [] => self.name.clone(),
            values => format!("{}({source}{}){line}", self.name, values.join(", ")),
        };
        let expression = Expression::parse(format!("{call} > 0").as_bytes()).ok()?;
        expression.terms().iter().find_map(|term| term.line()).map(|(spec, _)| spec)
    }
}

fn number(text: &str) -> f64 {
    text.replace(',', "").parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

const EQUAL: Bar = Bar { open: 7.25, high: 7.25, low: 7.25, close: 7.25, volume: 3.0 };

/// The readings of a function over bars, the lines that it has.
fn readings(spec: Spec, bar: impl Fn(usize) -> Bar) -> Vec<Vec<Option<f64>>> {
    let mut indicator = Indicator::new(spec).expect("parameters in bounds");
    let bars = (1..=200).map(bar);
    let known = bars.map(|bar| indicator.next(&bar, Some(bar.close)).map(|value| value.known()));
    known.map(|lines| lines[..spec.lines().len()].to_vec()).collect()
}

/// A market that moves on every bar, up and down and not evenly.
fn moving(at: usize) -> Bar {
    let close = 100.0 + (at * at % 13) as f64;
    Bar { open: close, high: close + 1.0, low: close - 2.0, close, volume: at as f64 }
}

#[test]
fn functions_are_those_of_the_code() {
    let rows = Row::all();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, FUNCTIONS);
    for row in rows {
        let (example, _) = row.example();
        let spec = row.spec("", &example).unwrap_or_else(|| panic!("{} takes other parameters", row.name));
        assert_eq!(name_of(spec), row.name);
        assert_eq!(row.lines(), spec.lines(), "{}", row.name);
        let reads = match spec.input() {
            Input::Series => "a series",
            Input::Bars => "the bars",
        };
        assert_eq!(row.cells[2], reads, "{}", row.name);
    }
}

#[test]
fn parameters_have_the_bounds_that_are_told() {
    for row in Row::all() {
        let (example, _) = row.example();
        for (at, (least, most, takes_fractions)) in row.bounds().into_iter().enumerate() {
            let takes = |value: f64| {
                let mut parameters = example.clone();
                parameters[at] = value;
                row.spec("", &parameters).is_some()
            };
            let taken = [least - 1.0, least, least + 0.5, most, most + 1.0].map(takes);
            assert_eq!(taken, [false, true, takes_fractions, true, false], "{} of {}", row.parameters[at], row.name);
        }
    }
}

#[test]
fn functions_begin_on_the_bar_that_is_told() {
    for row in Row::all() {
        let (example, told) = row.example();
        assert_eq!(first_bar(&row, &example), told, "{}", row.name);
        for at in 0..example.len() {
            let mut parameters = example.clone();
            parameters[at] += 3.0;
            first_bar(&row, &parameters);
        }
    }
}

/// The bar on which all lines begin, which is the one that the row's formula gives: the language itself computes it.
fn first_bar(row: &Row, parameters: &[f64]) -> usize {
    let spec = row.spec("", parameters).expect("parameters in bounds");
    let readings = readings(spec, moving);
    let first = readings.iter().position(|lines| lines.iter().all(Option::is_some)).expect("a value");
    assert!(readings[..first].iter().flatten().all(Option::is_none), "{spec:?}: lines that begin before");
    let value = |word: &str| match row.parameters.iter().position(|name| name == word) {
        Some(at) => parameters[at].to_string(),
        None => word.to_owned(),
    };
    let formula: Vec<String> = row.first_bar().split(' ').map(value).collect();
    let holds = format!("{} == {}", formula.join(" "), first + 1);
    assert_eq!(truth_of(&holds), Truth::True, "{spec:?}: {holds}");
    first + 1
}

#[test]
fn equal_bars_give_what_is_told() {
    for row in Row::all() {
        let (example, _) = row.example();
        let spec = row.spec("", &example).expect("parameters in bounds");
        let told = match row.cells[6].as_str() {
            "null" => None,
            "the price" => Some(EQUAL.close),
            "the volume" => Some(EQUAL.volume),
            text => Some(number(text)),
        };
        for line in readings(spec, |_| EQUAL).pop().expect("a bar") {
            let is_told = line.zip(told).map_or(line == told, |(line, told)| (line - told).abs() < 1e-9);
            assert!(is_told, "{spec:?}: {line:?}");
        }
    }
}

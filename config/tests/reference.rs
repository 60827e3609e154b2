//! The pages of the reference that are made from the code: the commands, and the settings.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ingressctl --test reference` writes them.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use clap::{Command, CommandFactory};
use ingressctl::cli::Cli;
use serde_json::{Map, Value};

const UPDATE: &str = "UPDATE_GOLDEN=1 cargo test -p ingressctl --test reference";

#[track_caller]
fn is_up_to_date(page: &str, current: &str) {
    let path = Path::new("../docs").join(page);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, current).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(published, current, "docs/{page} is out of date: {UPDATE}");
}

#[test]
fn the_page_of_commands_has_the_help_of_all() {
    let mut page = String::from(
        "# Commands\nWhat `--help` prints, for each command. [The command line](command-line.md) \
         describes what they have in common:\nthe objects that they read, exit codes, findings as \
         JSON and SARIF.\n",
    );
    let mut cli = Cli::command();
    cli.build();
    // clap's own command.
    for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        describe(command, &mut page);
    }
    is_up_to_date("commands.md", &page);
}

fn describe(command: &mut Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    writeln!(page, "\n## {name}\n```text\n{}\n```", help.join("\n").trim_end()).unwrap();
    for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        describe(command, page);
    }
}

#[test]
fn the_page_of_settings_has_all_of_the_schema() {
    let schema = fs::read_to_string("../docs/settings.schema.json").unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut page = String::from(
        "# All settings\nWhat can be set in the YAML file of `--settings FILE`, \
         made from [its schema](settings.schema.json). Each key is also a flag, \
         which overrides the\nfile: `httpForTls: redirect` is `--http-for-tls redirect`. \
         [The Ingress reference](ingress.md#settings) has an overview. Unknown keys are errors.\n",
    );
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, setting) in schema["properties"].as_object().unwrap() {
        write!(page, "\n## {name}\n{}\n", text(setting)).unwrap();
        members(name, setting, definitions, &mut page);
        writeln!(page, "\nDefault: {}", default(setting)).unwrap();
    }
    is_up_to_date("settings.md", &page);
}

/// The description, and that of the type where it has one.
fn text(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default().trim();
    text.to_owned()
}

/// What a value may be: one of some words, or the fields of an object.
fn members(name: &str, schema: &Value, definitions: &Map<String, Value>, page: &mut String) {
    let one = |schema: &Value| {
        let reference = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        reference.map_or_else(|| schema.clone(), |name| definitions[name].clone())
    };
    let alternatives = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for schema in alternatives.iter().map(one) {
        let words = schema["oneOf"].as_array().into_iter().flatten();
        let words: Vec<_> = words.filter(|word| word["const"].is_string()).cloned().collect();
        if !words.is_empty() {
            page.push_str("\n| value | meaning |\n| --- | --- |\n");
        }
        for word in words {
            let meaning = text(&word).replace('\n', " ");
            writeln!(page, "| `{}` | {meaning} |", word["const"].as_str().unwrap()).unwrap();
        }
        let fields = schema["properties"].as_object().into_iter().flatten();
        for (index, (field, schema)) in fields.enumerate() {
            if index == 0 {
                page.push_str("\n| field | meaning | default |\n| --- | --- | --- |\n");
            }
            let meaning = text(schema).replace('\n', " ");
            writeln!(page, "| `{name}.{field}` | {meaning} | {} |", default(schema)).unwrap();
        }
    }
}

fn default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => "none".to_owned(),
        Value::String(word) => format!("`{word}`"),
        value => format!("`{value}`"),
    }
}

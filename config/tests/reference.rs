//! The pages of the reference that are made from the code: the commands, the settings, the
//! fields of RouteRules, and the route table.
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
    // Links of rustdoc.
    text.replace("[`", "`").replace("`]", "`")
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

#[test]
fn the_page_of_route_rules_has_all_fields_of_the_definition() {
    let definition = fs::read_to_string("deploy/chart/crds/routerule.yaml").unwrap();
    let definition: Value = serde_saphyr::from_str(&definition).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = String::from(
        "# All fields of a RouteRule\nMade from [the CustomResourceDefinition]\
         (../config/deploy/chart/crds/routerule.yaml), which an API server checks. [The RouteRule \
         reference](route-rules.md) describes what\nthey do, and what the controller checks in \
         addition. `[]` stands for each item of a list, `*` for each key of a map. The spelling of \
         protobuf, as in\n`http_fault`, is accepted, too.\n\n| field | type | meaning |\n\
         | --- | --- | --- |\n",
    );
    rows("spec", &schema["properties"]["spec"], &mut page);
    is_up_to_date("route-rule-fields.md", &page);
}

/// A row for each field below one, in the order of the definition.
fn rows(path: &str, schema: &Value, page: &mut String) {
    let fields = schema["properties"].as_object().into_iter().flatten();
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        writeln!(page, "| `{path}` | {} | {} |", kind(field), cell(field)).unwrap();
        rows(&path, field, page);
    }
    if schema["items"].is_object() {
        rows(&format!("{path}[]"), &schema["items"], page);
    }
    if schema["additionalProperties"].is_object() {
        rows(&format!("{path}.*"), &schema["additionalProperties"], page);
    }
}

/// The description in one line of a table.
fn cell(schema: &Value) -> String {
    text(schema).replace('\n', " ").replace('|', "\\|")
}

/// The type, with what limits its values.
fn kind(schema: &Value) -> String {
    let one = |schema: &Value| match (&schema["type"], schema["$ref"].as_str()) {
        (Value::String(name), _) => name.clone(),
        (Value::Array(names), _) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.collect::<Vec<_>>().join(" or ")
        }
        (_, Some(path)) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            format!("[{name}](#{})", name.to_lowercase())
        }
        _ => String::new(),
    };
    let alternatives = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    let mut kind = one(schema);
    if kind.is_empty() {
        let kinds = alternatives.into_iter().flatten().map(one);
        let kinds: Vec<_> = kinds.filter(|kind| !kind.is_empty() && kind != "null").collect();
        kind = kinds.join(" or ");
    }
    match (kind.as_str(), &schema["items"], &schema["additionalProperties"]) {
        ("array", items @ Value::Object(_), _) => kind = format!("list of {}", self::kind(items)),
        ("array", ..) => "list".clone_into(&mut kind),
        ("object", _, values @ Value::Object(_)) => {
            kind = format!("map to {}", self::kind(values));
        }
        _ => {}
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ").replace('"', "");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        "integer or string".clone_into(&mut kind);
    }
    let limits = [("minimum", "at least"), ("maximum", "at most"), ("maxLength", "length at most")];
    for (limit, words) in limits {
        if let Some(number) = schema[limit].as_f64() {
            kind = format!("{kind}, {words} {number}");
        }
    }
    kind
}

#[test]
fn the_page_of_the_route_table_has_all_types() {
    let schema = fs::read_to_string("../docs/route-table.schema.json").unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut page = String::from(
        "# The route table\nThe configuration of the filter as JSON, version 1, made from [its \
         schema](route-table.schema.json). `ingressctl compile` writes it, `ingressctl table` \
         converts it\nto the binary form, and [a hand-written one]\
         (../config/samples/own-envoy/README.md) serves an Envoy of your own.\n",
    );
    section("RouteTable", &schema, &mut page);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        section(name, definition, &mut page);
    }
    is_up_to_date("route-table.md", &page);
}

fn section(name: &str, schema: &Value, page: &mut String) {
    write!(page, "\n## {name}\n{}\n", text(schema)).unwrap();
    let alternatives = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    if alternatives.is_some() {
        page.push_str("\nOne of:\n");
    }
    let own = [schema.clone()];
    let alternatives = alternatives.map_or(&own[..], Vec::as_slice);
    if alternatives.iter().any(|it| it["properties"].is_object() || it["const"].is_string()) {
        page.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
    }
    for alternative in alternatives {
        if let Some(word) = alternative["const"].as_str() {
            writeln!(page, "| `\"{word}\"` | | {} |", cell(alternative)).unwrap();
        }
        for (field, schema) in alternative["properties"].as_object().into_iter().flatten() {
            let meaning = if cell(schema).is_empty() { cell(alternative) } else { cell(schema) };
            writeln!(page, "| `{field}` | {} | {meaning} |", kind(schema)).unwrap();
        }
    }
}

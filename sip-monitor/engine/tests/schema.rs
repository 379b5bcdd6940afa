//! What leaves the engine against the schema made from its types: every line of every scenario.

mod ladder;

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use sip_monitor_engine::Output;
use sip_monitor_engine::alert::Alert;
use sip_monitor_engine::record::{
    CallRecord, EventRecord, MessageRecord, PeerRecord, RegistrationRecord, StreamRecord,
};

/// Whether a value is what its schema says: each field known, none missing, none null. The types come from the same
/// declarations as the schema, so what can go wrong is `serde` attributes that the two read differently.
fn check(value: &Value, schema: &Value, root: &Value, path: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        let target = root["$defs"].get(name).ok_or_else(|| format!("{path}: {reference} is not defined"))?;
        check(value, target, root, path)?;
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema[key].as_array() {
            let failures: Vec<String> =
                options.iter().filter_map(|option| check(value, option, root, path).err()).collect();
            if failures.len() == options.len() {
                return Err(format!("{path}: none of {key}: {}", failures.join("; ")));
            }
        }
    }
    let constants = [schema.get("const"), schema.get("enum")].into_iter().flatten();
    for constant in constants {
        if constant != value && !constant.as_array().is_some_and(|all| all.contains(value)) {
            return Err(format!("{path}: {value} is not {constant}"));
        }
    }
    check_type(value, &schema["type"], path)?;
    match value {
        Value::Object(object) => check_object(object, schema, root, path),
        Value::Array(items) => items.iter().try_for_each(|item| match schema.get("items") {
            Some(schema) => check(item, schema, root, &format!("{path}[]")),
            None => Ok(()),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn check_type(value: &Value, allowed: &Value, path: &str) -> Result<(), String> {
    let found = match value {
        Value::Null => return Err(format!("{path}: null")),
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |name: &Value| name == found || (name == "number" && found == "integer");
    match allowed {
        Value::Array(names) if !names.iter().any(is) => Err(format!("{path}: a {found}, not one of {allowed}")),
        Value::String(_) if !is(allowed) => Err(format!("{path}: a {found}, not a {allowed}")),
        _ => Ok(()),
    }
}

fn check_object(object: &Map<String, Value>, schema: &Value, root: &Value, path: &str) -> Result<(), String> {
    let known = schema.get("properties").and_then(Value::as_object);
    // The parts of an adjacently described line (`type` here, the fields behind a reference) each know their own fields.
    if known.is_none() && schema.get("additionalProperties").is_none() {
        return Ok(());
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            return Err(format!("{path}: {name} is missing"));
        }
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        match (known.and_then(|k| k.get(name)), schema.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => check(value, schema, root, &path)?,
            (None, _) => return Err(format!("{path} is not in the schema")),
        }
    }
    Ok(())
}

/// The schema as `sip-monitor schema KIND` prints it: of what is written, not of what could be read.
fn schema_of(kind: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let schema = match kind {
        "alert" => generator.into_root_schema_for::<Alert>(),
        "call" => generator.into_root_schema_for::<CallRecord>(),
        "event" => generator.into_root_schema_for::<EventRecord>(),
        "stream" => generator.into_root_schema_for::<StreamRecord>(),
        "registration" => generator.into_root_schema_for::<RegistrationRecord>(),
        "peer" => generator.into_root_schema_for::<PeerRecord>(),
        "message" => generator.into_root_schema_for::<MessageRecord>(),
        other => panic!("no kind {other:?}"),
    };
    schema.to_value()
}

#[test]
fn every_line_of_every_scenario_is_what_the_schema_says() {
    let schemas: BTreeMap<&str, Value> = ["alert", "call", "event", "stream", "registration", "peer", "message"]
        .map(|kind| (kind, schema_of(kind)))
        .into();
    let mut seen = BTreeSet::new();
    for scenario in ladder::scenarios() {
        for output in ladder::outputs(&scenario).unwrap() {
            let mut line = serde_json::to_value(&output).unwrap();
            let kind = line.as_object_mut().unwrap().remove("type").unwrap();
            let kind = kind.as_str().unwrap().to_owned();
            let schema = &schemas[kind.as_str()];
            check(&line, schema, schema, &kind).unwrap_or_else(|e| panic!("{}: {e}\n{line:#}", scenario.place));
            seen.insert(kind);
        }
    }
    for kind in ["call", "event", "stream", "registration", "peer", "message"] {
        assert!(seen.contains(kind), "no scenario makes a {kind}");
    }
}

#[test]
fn every_line_is_at_most_8_kib_and_one_line() {
    for scenario in ladder::scenarios() {
        for output in ladder::outputs(&scenario).unwrap() {
            let text = serde_json::to_string(&output).unwrap();
            assert!(!matches!(output, Output::Alert(_)) || text.len() <= 8 * 1024, "{}", text.len());
            assert!(!text.contains('\n'));
        }
    }
}

#[test]
fn no_number_of_a_scenario_leaves_unmasked() {
    for scenario in ladder::scenarios() {
        for output in ladder::outputs(&scenario).unwrap() {
            let text = serde_json::to_string(&output).unwrap();
            // Every number of a scenario is +1555 and seven digits.
            let shown =
                text.split("1555").skip(1).find(|rest| rest.bytes().take(7).filter(u8::is_ascii_digit).count() == 7);
            assert!(shown.is_none(), "{}: {text}", scenario.place);
        }
    }
}

#[test]
fn every_scenario_gives_the_same_lines_each_time() {
    for scenario in ladder::scenarios() {
        let run = || serde_json::to_string(&ladder::outputs(&scenario).unwrap()).unwrap();
        assert_eq!(run(), run(), "{}", scenario.place);
    }
}

#[test]
fn the_checker_finds_a_field_that_the_schema_does_not_know() {
    let schema = schema_of("message");
    let legal = serde_json::json!({"schema": 1, "ts": "2026-11-20T10:00:00.000000Z", "src": "a", "dst": "b", "transport": "udp"});
    assert_eq!(check(&legal, &schema, &schema, "message"), Ok(()));
    let wrong = |key: &str, value: Value| {
        let mut line = legal.clone();
        line[key] = value;
        check(&line, &schema, &schema, "message").unwrap_err()
    };
    assert!(wrong("colour", "red".into()).contains("not in the schema"));
    assert!(wrong("code", "200".into()).contains("not one of"));
    assert!(wrong("src", Value::Null).contains("null"));
    let mut short = legal.clone();
    short.as_object_mut().unwrap().remove("ts");
    assert!(check(&short, &schema, &schema, "message").unwrap_err().contains("missing"));
}

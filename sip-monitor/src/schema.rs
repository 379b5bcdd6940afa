//! `schema KIND`: the JSON Schema of one kind of output line, made from the types that are written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::json;
use sip_monitor_engine::alert::Alert;
use sip_monitor_engine::record::{
    CallRecord, EventRecord, MessageRecord, PeerRecord, RegistrationRecord, SCHEMA, StreamRecord,
};

use crate::cli::SchemaKind;
use crate::cli::exit::Failure;

/// Prints the schema.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(kind: SchemaKind) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(&schema(kind)).map_err(anyhow::Error::from)?;
    text.push(b'\n');
    crate::cli::print(|out| out.write_all(&text))
}

/// The schema of one kind of line.
#[must_use]
pub fn schema(kind: SchemaKind) -> Schema {
    match kind {
        SchemaKind::Alert => line::<Alert>("alert"),
        SchemaKind::Call => line::<CallRecord>("call"),
        SchemaKind::Event => line::<EventRecord>("event"),
        SchemaKind::Stream => line::<StreamRecord>("stream"),
        SchemaKind::Registration => line::<RegistrationRecord>("registration"),
        SchemaKind::Peer => line::<PeerRecord>("peer"),
        SchemaKind::Message => line::<MessageRecord>("message"),
    }
}

/// The type's own schema, as it is serialised, and the `type` that its line begins with.
fn line<T: JsonSchema>(name: &str) -> Schema {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    let object = schema.ensure_object();
    object.insert("title".into(), json!(format!("sip-monitor {name} line, schema version {SCHEMA}")));
    let kind = json!({"const": name, "description": "Which kind of line this is."});
    if let Some(properties) = object.get_mut("properties").and_then(|p| p.as_object_mut()) {
        properties.insert("type".into(), kind);
    }
    if let Some(required) = object.get_mut("required").and_then(|r| r.as_array_mut()) {
        required.insert(0, json!("type"));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    /// A line that is shown is one that is written: each field is known, and none that must be there is left out.
    #[test]
    fn the_lines_of_the_documentation_are_what_the_schema_says() {
        let records = include_str!("../docs/records.md");
        let lines = records.lines().filter(|line| line.starts_with("{\"type\":"));
        let mut shown = Vec::new();
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let kind = line["type"].as_str().unwrap().to_owned();
            let schema = schema(SchemaKind::from_str(&kind, false).unwrap());
            let object = schema.as_object().unwrap();
            for name in line.as_object().unwrap().keys() {
                assert!(object["properties"].get(name).is_some(), "{kind}: {name} is not known");
            }
            for name in object["required"].as_array().unwrap() {
                assert!(line.get(name.as_str().unwrap()).is_some(), "{kind}: {name} is missing");
            }
            shown.push(kind);
        }
        assert_eq!(shown, ["event", "call", "stream", "registration", "peer", "message"]);
    }

    #[test]
    fn every_field_is_described_and_the_type_is_required() {
        for kind in SchemaKind::value_variants() {
            let schema = schema(*kind);
            let object = schema.as_object().unwrap();
            assert!(object["required"].as_array().unwrap().contains(&json!("type")), "{kind:?}");
            for (name, property) in object["properties"].as_object().unwrap() {
                let described = property.get("description").is_some() || property.get("$ref").is_some();
                assert!(described, "{kind:?}: {name} is not described");
            }
        }
    }
}

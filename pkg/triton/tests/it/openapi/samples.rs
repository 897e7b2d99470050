//! Sample values for the schemas of an OpenAPI document.

use serde_json::{Map, Value, json};

/// Makes sample values for schemas, each different from the others so that a mix-up shows.
pub(crate) struct Samples<'a> {
    pub(crate) schemas: &'a Map<String, Value>,
    /// Whether optional properties are there.
    pub(crate) full: bool,
    /// How many values were made: what the next one is made different with.
    pub(crate) made: u32,
}

impl Samples<'_> {
    fn schema<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let inner = |list: &str| schema[list].get(0);
        if let Some(reference) = schema["$ref"].as_str() {
            return self.schema(&self.schemas[reference.rsplit('/').next().unwrap()]);
        }
        inner("allOf")
            .or_else(|| inner("anyOf"))
            .or_else(|| inner("oneOf"))
            .map_or(schema, |s| self.schema(s))
    }

    /// A sample of `schema`, which is the value of the property `name`.
    pub(crate) fn make(&mut self, name: &str, schema: &Value) -> Value {
        let schema = self.schema(schema).clone();
        self.made += 1;
        let number = self.made;
        if let Some(word) = schema["enum"].get(0) {
            return word.clone();
        }
        match schema["type"].as_str() {
            Some("object") => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let wanted = |property: &str| self.full || required.iter().any(|name| name == property);
                let properties = schema["properties"].as_object().cloned().unwrap_or_default();
                let mut object: Map<String, Value> =
                    properties.into_iter().filter(|(property, _)| wanted(property)).collect();
                for (property, value) in &mut object {
                    *value = self.make(property, value);
                }
                if schema.get("additionalProperties").is_some() {
                    object.insert(format!("key-{number}"), format!("value-{number}").into());
                }
                object.into()
            }
            Some("array") => json!([self.make(name, &schema["items"])]),
            Some("integer") => number.into(),
            Some("number") => json!(f64::from(number) + 0.5),
            Some("boolean") => true.into(),
            Some("string") => match schema["format"].as_str() {
                Some("uuid") => format!("{number:08x}-84a2-4122-9ed5-60d76d7a8525").into(),
                Some("date-time") => format!("2026-01-26T21:{:02}:02.032Z", number % 60).into(),
                Some(format) => panic!("{name}: no sample for the format {format}"),
                None => text(name, number).into(),
            },
            None if name == "routes" => json!({"10.9.0.0/16": "10.0.0.1", "10.8.0.1": "linklocal"}),
            None if name == "caller" => json!({"type": "signature", "ip": "10.0.0.1", "keyId": "/a/keys/b"}),
            other => panic!("{name}: no sample for the type {other:?}"),
        }
    }
}

/// A string such as the property `name` holds: the document does not say that some are addresses.
fn text(name: &str, number: u32) -> String {
    let byte = number % 250 + 1;
    match name {
        "ip" | "ips" | "primaryIp" | "gateway" | "resolvers" | "provision_start_ip" | "provision_end_ip" => {
            format!("10.0.0.{byte}")
        }
        "netmask" => "255.255.255.0".into(),
        "subnet" => format!("10.0.{byte}.0/24"),
        "mac" => format!("90:b8:d0:80:ec:{byte:02x}"),
        _ => format!("{name}-{number}"),
    }
}

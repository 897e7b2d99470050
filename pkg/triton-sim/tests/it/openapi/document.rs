//! The OpenAPI document: finding operations, validating bodies.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::shared_data::cloudapi;

/// An operation of the document.
pub struct Operation {
    pub id: String,
    responses: Value,
}

/// The document.
pub struct Document {
    paths: Map<String, Value>,
    components: Value,
}

impl Document {
    /// The document; `None` where there is none.
    pub fn load() -> Option<Self> {
        let mut document = cloudapi("openapi-9.20.json")?;
        let paths = document["paths"].as_object().expect("paths").clone();
        Some(Self { paths, components: as_json_schema(document["components"].take()) })
    }

    pub fn operation_ids(&self) -> Vec<String> {
        let operations = self.paths.values().flat_map(|path| path.as_object().expect("methods").values());
        operations.filter_map(|it| it["operationId"].as_str().map(str::to_owned)).collect()
    }

    /// The operation of a method and a path: of two that match, the one with fewer parameters.
    pub fn operation(&self, method: &str, path: &str) -> Option<Operation> {
        let segments: Vec<&str> = path.split('/').collect();
        let matches = |template: &str| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == segments.len()
                && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        let found = self
            .paths
            .iter()
            .filter(|(template, methods)| matches(template) && methods.get(method.to_lowercase()).is_some());
        let (_, methods) = found.min_by_key(|(template, _)| template.matches('{').count())?;
        let operation = &methods[method.to_lowercase()];
        let id = operation["operationId"].as_str()?.to_owned();
        Some(Operation { id, responses: operation["responses"].clone() })
    }

    /// The schema of the body for a status: nothing when the status is not in the document, and nothing in it when it
    /// has no body. With `different` the body is that of the documented success.
    pub fn schema(&self, operation: &Operation, status: u16, different: bool) -> Option<Option<Value>> {
        let responses = operation.responses.as_object()?;
        let class = format!("{}XX", status / 100);
        let exact = responses.get(&status.to_string());
        let success =
            || responses.iter().find(|(status, _)| status.starts_with('2')).map(|(_, response)| response);
        let response = match exact {
            Some(response) => response,
            None if different && matches!(status, 202 | 302) => return Some(None),
            None if different && status >= 400 && status != 410 => return Some(Some(error_schema())),
            None if different => success()?,
            None => responses.get(&class)?,
        };
        let content = match response["$ref"].as_str() {
            Some(reference) => self.components["responses"][reference.rsplit('/').next()?]["content"].clone(),
            None => response["content"].clone(),
        };
        Some(content.get("application/json").map(|json| as_json_schema(json["schema"].clone())))
    }

    /// What is wrong with a body, and where.
    pub fn validate(&self, schema: &Value, body: &Value) -> Vec<(String, String)> {
        let whole = json!({"allOf": [schema], "components": self.components});
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap_or_else(|error| panic!("{schema}: {error}"));
        validator
            .iter_errors(body)
            .map(|error| (error.instance_path().to_string(), error.to_string()))
            .collect()
    }

    /// The fields of a body that are in no schema, each with the name of its schema.
    pub fn undocumented(&self, schema: &Value, body: &Value) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        self.walk("", schema, body, &mut found);
        found
    }

    fn walk(&self, name: &str, schema: &Value, body: &Value, found: &mut BTreeSet<(String, String)>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().expect("a name");
            return self.walk(name, &self.components["schemas"][name], body, found);
        }
        for list in ["allOf", "anyOf", "oneOf"] {
            let parts = schema[list].as_array().map(Vec::as_slice).unwrap_or_default();
            if let [part] | [part, Value::Object(_)] = parts
                && schema.get("properties").is_none()
            {
                return self.walk(name, part, body, found);
            }
        }
        match body {
            Value::Array(items) => {
                items.iter().for_each(|item| self.walk(name, &schema["items"], item, found));
            }
            Value::Object(fields) => {
                let Some(properties) = schema["properties"].as_object() else { return };
                for (field, value) in fields {
                    match properties.get(field) {
                        Some(schema) => self.walk(name, schema, value, found),
                        None => drop(found.insert((name.to_owned(), field.clone()))),
                    }
                }
            }
            _ => {}
        }
    }
}

/// The schema of errors.
fn error_schema() -> Value {
    json!({"$ref": "#/components/schemas/Error"})
}

/// OpenAPI 3.0's dialect in terms of JSON Schema: `nullable` is an alternative.
fn as_json_schema(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(as_json_schema).collect(),
        Value::Object(fields) => {
            let mut fields: Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name, as_json_schema(value))).collect();
            if fields.get("nullable") == Some(&json!(true)) {
                fields.remove("nullable");
                return json!({"anyOf": [fields, {"type": "null"}]});
            }
            Value::Object(fields)
        }
        other => other,
    }
}

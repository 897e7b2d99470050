//! Every answer is what the OpenAPI document of CloudAPI says, but for differences that are listed here with reasons.
//!
//! A walk through all operations is made once, and each of its answers is compared: the status, the schema of the
//! body, and the names of all fields, for the document forbids none.

mod document;
mod walk;

use std::collections::BTreeSet;

use document::Document;

/// Fields that are answered without being in the document: the schema and the field, and why.
const UNDOCUMENTED: &[(&str, &str, &str)] = &[
    ("VolumeSize", "type", "the server says which type of volume a size is for"),
    ("Error", "errors", "the wrong fields of ValidationFailed and InvalidParameters (reference 2.4)"),
    ("Snapshot", "size", "in the reference (2.20)"),
    ("User", "roles", "with `membership`, which the official client sends"),
    ("User", "default_roles", "with `membership`, which the official client sends"),
];

/// Statuses that are answered instead of those in the document: the operation, the status, and why.
const OTHER_STATUSES: &[(&str, u16, &str)] = &[
    ("get_machine", 410, "a destroyed instance, with the instance as its body (reference 2.11)"),
    ("create_machine_disk", 202, "without a slot there is nothing to say yet (reference 2.20)"),
    ("create_machine_disk", 200, "with a slot (reference 2.20)"),
    ("migrate", 201, "as the server's code has it (reference 2.24)"),
    ("add_nic", 302, "the NIC that is there already (reference 2.19)"),
    ("get_machine_vnc", 400, "the errors of a console (reference 2.27)"),
    ("get_datacenter", 302, "with a body, which the document does not mention (reference 2.7)"),
];

/// Values that are in no enumeration of the document: the operation, where, the value, and why.
const OTHER_VALUES: &[(&str, &str, &str, &str)] = &[
    (
        "get_machine_disk",
        "/state",
        "\"stopped\"",
        "the state of the instance, as the reference has it (2.20)",
    ),
    (
        "list_machine_disks",
        "/state",
        "\"stopped\"",
        "the state of the instance, as the reference has it (2.20)",
    ),
];

/// Operations of the document that are not asked, and why.
const NOT_ASKED: &[(&str, &str)] = &[
    ("list_foreign_datacenters", "only for delegated tokens (reference 1.8)"),
    ("add_foreign_datacenter", "only for delegated tokens (reference 1.8)"),
    ("update_access_key", "the server has no such route (reference 2.7)"),
    ("update_user_access_key", "the server has no such route (reference 2.7)"),
    ("watch_migration", "in the server an action of `migrate` (reference 2.24)"),
    ("get_changefeed", "a WebSocket, tested with the client"),
];

#[tokio::test]
async fn every_answer_is_what_the_document_says() {
    let Some(document) = Document::load() else { return };
    let answers = walk::all().await;
    let mut faults = BTreeSet::new();
    let mut asked = BTreeSet::new();
    for (request, answer) in &answers {
        let Some(operation) = document.operation(&request.method, &request.path) else {
            faults.insert(format!("{} {} is in no operation", request.method, request.path));
            continue;
        };
        asked.insert(operation.id.clone());
        let different =
            OTHER_STATUSES.iter().any(|(id, status, _)| *id == operation.id && *status == answer.status);
        if request.method == "HEAD" {
            if !answer.body.is_empty() {
                faults.insert(format!("{}: HEAD has a body", operation.id));
            }
            continue;
        }
        let Some(schema) = document.schema(&operation, answer.status, different) else {
            faults.insert(format!(
                "{}: status {} is not in the document: {}",
                operation.id, answer.status, answer.body
            ));
            continue;
        };
        let Some(schema) = schema else {
            if !answer.body.is_empty() && !different {
                faults.insert(format!("{}: {} has a body", operation.id, answer.status));
            }
            continue;
        };
        if answer.body.is_empty() {
            faults.insert(format!("{}: {} has no body", operation.id, answer.status));
            continue;
        }
        let body = answer.json();
        for (at, fault) in document.validate(&schema, &body) {
            let listed = OTHER_VALUES.iter().any(|(id, field, value, _)| {
                *id == operation.id && at.ends_with(field) && fault.starts_with(value)
            });
            if !listed {
                faults.insert(format!("{}: {at}: {fault}", operation.id));
            }
        }
        for (of, field) in document.undocumented(&schema, &body) {
            if !UNDOCUMENTED.iter().any(|(schema, name, _)| *schema == of && *name == field) {
                faults.insert(format!("{}: {of} has no {field}", operation.id));
            }
        }
    }
    for id in document.operation_ids() {
        if !asked.contains(&id) && !NOT_ASKED.iter().any(|(not_asked, _)| *not_asked == id) {
            faults.insert(format!("{id} was not asked"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

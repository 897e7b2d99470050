//! The OpenAPI document of CloudAPI and this library's types know the same fields and words.
//!
//! For each answer a sample with only the required properties and one with all of them is made, decoded, and
//! searched for what did not arrive. Request bodies are compared the other way round, property by property.
//! Every schema of the document is in one of the tables below, so a newer document shows what is missing.

mod requests;
mod samples;

use crate::shared_data::{cloudapi, lost, read};
use samples::Samples;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use triton::types::*;

/// The schemas of the document; `None` where there is no document.
fn schemas() -> Option<Map<String, Value>> {
    let document = read(&cloudapi()?.join("openapi-9.20.json"));
    Some(document["components"]["schemas"].as_object().unwrap().clone())
}

/// What of a minimal and a full sample of a schema does not arrive in `T`.
fn losses<T: DeserializeOwned + Serialize>(schemas: &Map<String, Value>, schema: &str) -> Vec<String> {
    let mut losses = Vec::new();
    for full in [false, true] {
        let sample = Samples { schemas, full, made: 0 }.make(schema, &schemas[schema]);
        let object: T = decode(sample.to_string().as_bytes())
            .unwrap_or_else(|error| panic!("{schema} with full={full}: {error}: {sample}"));
        losses.extend(lost(&sample, &serde_json::to_value(object).unwrap()));
    }
    losses
}

type Losses = fn(&Map<String, Value>, &str) -> Vec<String>;

/// Answers: the schema and the type it is decoded into.
const ANSWERS: &[(&str, Losses)] = &[
    ("Account", losses::<Account>),
    ("AuditEntry", losses::<AuditEntry>),
    ("Config", losses::<Config>),
    ("Datacenters", losses::<Datacenters>),
    ("Disk", losses::<Disk>),
    ("FabricVlan", losses::<FabricVlan>),
    ("FirewallRule", losses::<FirewallRule>),
    ("Image", losses::<Image>),
    ("ImageErrorInfo", losses::<ImageError>),
    ("ImageFile", losses::<ImageFile>),
    ("Machine", losses::<Instance>),
    ("MachineDisk", losses::<InstanceDisk>),
    ("MachineNic", losses::<Nic>),
    ("MetadataObject", losses::<Metadata>),
    ("Migration", losses::<Migration>),
    ("MigrationProgressEntry", losses::<MigrationProgress>),
    ("Network", losses::<Network>),
    ("NetworkIp", losses::<NetworkIp>),
    ("Nic", losses::<Nic>),
    ("Package", losses::<Package>),
    ("PackageDisk", losses::<PackageDisk>),
    ("ProvisioningLimit", losses::<Limit>),
    ("Services", losses::<Services>),
    ("Snapshot", losses::<Snapshot>),
    ("SshKey", losses::<Key>),
    ("Tags", losses::<Tags>),
    ("Volume", losses::<Volume>),
    ("VolumeSize", losses::<VolumeSize>),
];

/// Properties of answers that do not arrive under their own name, and why.
const LOST: &[(&str, &str, &str)] = &[
    ("Image", ".requirements.min_memory", "an older name of min_ram, which is read where it stands alone"),
    ("Image", ".requirements.max_memory", "an older name of max_ram, which is read where it stands alone"),
];

#[test]
fn every_property_of_every_answer_arrives() {
    let Some(schemas) = schemas() else { return };
    for (schema, losses) in ANSWERS {
        let mut losses = losses(&schemas, schema);
        losses.retain(|loss| {
            !LOST.iter().any(|(of, path, _)| of == schema && loss.split(':').next() == Some(path))
        });
        assert_eq!(losses, Vec::<String>::new(), "{schema}");
    }
}

macro_rules! words {
    ($($schema:literal => $ty:ident),* $(,)?) => {
        /// Enumerations: the schema and whether its type has a variant for a word.
        const WORDS: &[(&str, fn(&str) -> bool)] =
            &[$( ($schema, |word| !matches!($ty::from(word), $ty::Unknown(_))) ),*];
    };
}

words! {
    "AuditSuccess" => AuditOutcome,
    "Brand" => Brand,
    "DiskState" => DiskState,
    "ImageState" => ImageState,
    "ImageType" => ImageType,
    "MachineState" => InstanceState,
    "MachineType" => InstanceType,
    "MigrationPhase" => MigrationPhase,
    "MigrationState" => MigrationState,
    "NicState" => NicState,
    "SnapshotState" => SnapshotState,
    "VmBrand" => Brand,
    "VolumeState" => VolumeState,
    "VolumeType" => VolumeType,
}

#[test]
fn every_word_of_every_enumeration_is_known() {
    let Some(schemas) = schemas() else { return };
    for (schema, is_known) in WORDS {
        let schema_of = |value: &Value| value["enum"].as_array().cloned().unwrap_or_default();
        let mut words = schema_of(&schemas[*schema]);
        for one in schemas[*schema]["oneOf"].as_array().into_iter().flatten() {
            words.extend(schema_of(one));
        }
        assert!(!words.is_empty(), "{schema}");
        for word in words {
            let word = word.as_str().unwrap();
            // `unknown` is the document's own place for other words; `all` is a filter and no state.
            let expected = word != "unknown" && (*schema, word) != ("ImageState", "all");
            assert_eq!(is_known(word), expected, "{schema} {word}");
        }
    }
}

/// Schemas that have no type of their own here, and why.
const NO_TYPE: &[(&str, &[&str])] = &[
    (
        "part of another type, and tested with it",
        &[
            "AffinityRules",
            "DiskSize",
            "DiskSpec",
            "ImageAcl",
            "ImageRequirements",
            "MountMode",
            "NetworkIds",
            "NetworkObject",
            "Resolvers",
            "RoleTags",
            "VolumeMount",
        ],
    ),
    (
        "a word of a request that a method of the client writes",
        &["DiskAction", "ImageAction", "MachineAction", "VolumeAction"],
    ),
    ("a map that is sent as it is", &["AddMetadataRequest", "TagsRequest"]),
    ("a list of objects that are tested one by one", &["ProvisioningLimits"]),
    ("the body of a failed call, which the client turns into its error", &["Error"]),
    ("an empty body", &["CloneImageRequest"]),
    ("migrations can be read, not made", &["MigrateRequest", "MigrationAction", "MigrationEstimate"]),
    ("data centres of other clouds", &["AddForeignDatacenterRequest", "Datacenter"]),
    (
        "sub-users, roles, policies and role tags (reference 1.6)",
        &[
            "ChangePasswordRequest",
            "CreatePolicyRequest",
            "CreateRoleRequest",
            "CreateUserRequest",
            "MemberRef",
            "MemberType",
            "Policy",
            "PolicyRef",
            "PolicyRules",
            "ReplaceRoleTagsRequest",
            "Role",
            "RoleTagsResponse",
            "UpdatePolicyRequest",
            "UpdateRoleRequest",
            "UpdateUserRequest",
            "User",
        ],
    ),
    (
        "access keys for object storage",
        &[
            "AccessKey",
            "AccessKeyCredentials",
            "AccessKeyStatus",
            "CreateAccessKeyRequest",
            "CredentialType",
            "UpdateAccessKeyRequest",
        ],
    ),
];

#[test]
fn every_schema_is_accounted_for() {
    let Some(schemas) = schemas() else { return };
    let requests = requests::bodies();
    let accounted: Vec<&str> = (ANSWERS.iter().map(|(schema, _)| *schema))
        .chain(WORDS.iter().map(|(schema, _)| *schema))
        .chain(requests.iter().map(|request| request.schema))
        .chain(NO_TYPE.iter().flat_map(|(_, schemas)| schemas.iter().copied()))
        .collect();
    let unique: BTreeSet<&str> = accounted.iter().copied().collect();
    assert_eq!(unique.len(), accounted.len(), "a schema is accounted for twice");
    let document: BTreeSet<&str> = schemas.keys().map(|schema| &**schema).collect();
    assert_eq!(unique.difference(&document).collect::<Vec<_>>(), Vec::<&&str>::new(), "not in the document");
    assert_eq!(document.difference(&unique).collect::<Vec<_>>(), Vec::<&&str>::new(), "not accounted for");
}

//! The routes of the admin API.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use triton::id::{ComputeNodeId, InstanceId};

use super::{Control, NoComputeNode};
use crate::cloudapi::ThrottleLimits;
use crate::cmon::Load;
use crate::faults::{Counted, FaultPlan};
use crate::world::World;
use crate::world::machine::Machine;

/// The longest that a request may wait for the data centre to settle.
const MAX_SETTLE: Duration = Duration::from_secs(600);

/// An error as the admin API answers it.
struct Refused(StatusCode, String);

#[derive(Serialize)]
struct ErrorBody {
    error: String,
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        (self.0, Json(ErrorBody { error: self.1 })).into_response()
    }
}

impl From<NoComputeNode> for Refused {
    fn from(error: NoComputeNode) -> Self {
        Self(StatusCode::NOT_FOUND, error.to_string())
    }
}

impl From<JsonRejection> for Refused {
    fn from(error: JsonRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, error.body_text())
    }
}

impl From<PathRejection> for Refused {
    fn from(error: PathRejection) -> Self {
        Self(StatusCode::NOT_FOUND, error.body_text())
    }
}

impl From<QueryRejection> for Refused {
    fn from(error: QueryRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, error.body_text())
    }
}

type Answer<T> = Result<T, Refused>;
type Id<T> = Result<Path<T>, PathRejection>;

/// The routes.
pub(crate) fn router(control: Control) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/faults", get(faults).put(set_faults).delete(clear_faults))
        .route("/throttle", get(throttle).put(set_throttle).delete(clear_throttle))
        .route("/requests", get(requests).delete(reset_requests))
        .route("/instances", get(instances))
        .route("/instances/{id}", get(instance))
        .route("/instances/{id}/load", put(set_load))
        .route("/compute-nodes", get(compute_nodes))
        .route("/compute-nodes/{id}/down", post(compute_node_down))
        .route("/compute-nodes/{id}/up", post(compute_node_up))
        .route("/changefeed", get(changefeed))
        .route("/changefeed/cut", post(cut_changefeed))
        .route("/settle", post(settle))
        .fallback(|| async { Refused(StatusCode::NOT_FOUND, "there is no such route".to_owned()) })
        .with_state(control)
}

#[derive(Serialize)]
struct Overview {
    datacenter: String,
    now: String,
    pending: usize,
}

async fn overview(State(control): State<Control>) -> Json<Overview> {
    let now = control.engine.now().to_string();
    Json(control.read(|world| Overview {
        datacenter: world.settings().datacenter.clone(),
        now,
        pending: world.pending(),
    }))
}

async fn faults(State(control): State<Control>) -> Json<FaultPlan> {
    Json((*control.faults()).clone())
}

async fn set_faults(
    State(control): State<Control>,
    plan: Result<Json<FaultPlan>, JsonRejection>,
) -> Answer<Json<FaultPlan>> {
    control.set_faults(plan?.0)?;
    Ok(faults(State(control)).await)
}

async fn clear_faults(State(control): State<Control>) -> Answer<Json<FaultPlan>> {
    control.set_faults(FaultPlan::default())?;
    Ok(faults(State(control)).await)
}

async fn throttle(State(control): State<Control>) -> Json<Option<ThrottleLimits>> {
    Json(control.throttle())
}

async fn set_throttle(
    State(control): State<Control>,
    limits: Result<Json<ThrottleLimits>, JsonRejection>,
) -> Answer<Json<Option<ThrottleLimits>>> {
    control.set_throttle(Some(limits?.0));
    Ok(throttle(State(control)).await)
}

async fn clear_throttle(State(control): State<Control>) -> Json<Option<ThrottleLimits>> {
    control.set_throttle(None);
    throttle(State(control)).await
}

async fn requests(State(control): State<Control>) -> Json<Counted> {
    Json(control.requests().read())
}

async fn reset_requests(State(control): State<Control>) -> Json<Counted> {
    Json(control.requests().take())
}

/// An instance as it truly is.
#[derive(Serialize)]
struct Truth<'a> {
    id: String,
    account: String,
    name: &'a str,
    brand: &'static str,
    /// VMAPI's state.
    state: &'static str,
    compute_node: Option<String>,
    ips: Vec<String>,
    tags: &'a crate::world::machine::Tags,
    /// How many jobs have not ended.
    unfinished_jobs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<Vec<Job>>,
}

/// A finished job.
#[derive(Serialize)]
struct Job {
    action: &'static str,
    success: bool,
    time: String,
}

impl<'a> Truth<'a> {
    fn of(world: &World, machine: &'a Machine) -> Self {
        Self {
            id: machine.id.to_string(),
            account: machine.owner.to_string(),
            name: &machine.name,
            brand: machine.brand.as_str(),
            state: machine.state().as_str(),
            compute_node: machine.compute_node.map(|node| node.to_string()),
            ips: machine.nics.iter().map(|nic| nic.ip.to_string()).collect(),
            tags: &machine.tags,
            unfinished_jobs: world.unfinished_jobs(machine.id),
            audit: None,
        }
    }
}

/// JSON that was rendered while the truth was looked at.
fn rendered(value: &impl Serialize) -> Answer<Json<serde_json::Value>> {
    let value = serde_json::to_value(value);
    value.map(Json).map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn instances(State(control): State<Control>) -> Answer<Json<serde_json::Value>> {
    control.read(|world| {
        rendered(&world.machines().map(|machine| Truth::of(world, machine)).collect::<Vec<_>>())
    })
}

async fn instance(State(control): State<Control>, id: Id<InstanceId>) -> Answer<Json<serde_json::Value>> {
    let Path(id) = id?;
    control.read(|world| {
        let machine = world.machine_by_id(id);
        let machine =
            machine.ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("there is no instance {id}")))?;
        let jobs = world.audit(id).map(|entry| Job {
            action: entry.action,
            success: entry.success,
            time: entry.time.to_string(),
        });
        rendered(&Truth { audit: Some(jobs.collect()), ..Truth::of(world, machine) })
    })
}

async fn set_load(
    State(control): State<Control>,
    id: Id<InstanceId>,
    load: Result<Json<Load>, JsonRejection>,
) -> Answer<StatusCode> {
    let (Path(id), Json(load)) = (id?, load?);
    if control.set_load(id, load) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused(StatusCode::NOT_FOUND, format!("there is no instance {id}, or no CMON")))
    }
}

#[derive(Serialize)]
struct Node {
    id: String,
    hostname: String,
    up: bool,
    memory_mib: u64,
    free_memory_mib: u64,
    disk_mib: u64,
    free_disk_mib: u64,
    instances: u64,
}

async fn compute_nodes(State(control): State<Control>) -> Json<Vec<Node>> {
    let nodes = control.read(|world| {
        let nodes = world.compute_nodes().map(|node| Node {
            id: node.id.to_string(),
            hostname: node.hostname.clone(),
            up: node.up,
            memory_mib: node.memory_mib,
            free_memory_mib: node.free_memory_mib(),
            disk_mib: node.disk_mib,
            free_disk_mib: node.free_disk_mib(),
            instances: node.instances(),
        });
        nodes.collect()
    });
    Json(nodes)
}

async fn compute_node_down(State(control): State<Control>, id: Id<ComputeNodeId>) -> Answer<StatusCode> {
    control.set_compute_node_up(id?.0, false)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn compute_node_up(State(control): State<Control>, id: Id<ComputeNodeId>) -> Answer<StatusCode> {
    control.set_compute_node_up(id?.0, true)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct Clients {
    clients: usize,
}

async fn changefeed(State(control): State<Control>) -> Json<Clients> {
    Json(Clients { clients: control.feed_clients() })
}

async fn cut_changefeed(State(control): State<Control>) -> StatusCode {
    control.cut_feeds();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleParams {
    #[serde(default = "ten_seconds")]
    timeout_ms: u64,
}

fn ten_seconds() -> u64 {
    10_000
}

#[derive(Serialize)]
struct Settled {
    settled: bool,
}

async fn settle(
    State(control): State<Control>,
    params: Result<Query<SettleParams>, QueryRejection>,
) -> Answer<Json<Settled>> {
    let timeout = Duration::from_millis(params?.timeout_ms).min(MAX_SETTLE);
    Ok(Json(Settled { settled: control.settle(timeout).await }))
}

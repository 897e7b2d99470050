//! The admin API: a separate HTTP listener that steers the simulator, for tests in any language.
//!
//! Bodies are JSON. An error is `{"error": "…"}` with 400 or 404.
//!
//! | route | what |
//! |---|---|
//! | `GET /` | the name of the data centre, the time in it, and how many things are pending |
//! | `GET /faults` | what goes wrong ([`FaultPlan`](crate::faults::FaultPlan)) |
//! | `PUT /faults` | lets this go wrong instead; answers as GET |
//! | `DELETE /faults` | nothing goes wrong any more; answers as GET |
//! | `GET /throttle` | how many requests an account may send ([`ThrottleLimits`](crate::cloudapi::ThrottleLimits)), or `null` |
//! | `PUT /throttle` | throttles in this way instead, with full buckets; answers as GET |
//! | `DELETE /throttle` | throttles nobody any more; answers as GET |
//! | `GET /requests` | how many requests were answered, by operation and status ([`Counted`](crate::faults::Counted)) |
//! | `DELETE /requests` | counts anew; answers with what was counted |
//! | `GET /instances` | every instance with its truth: account, VMAPI state, node, unfinished jobs |
//! | `GET /instances/{id}` | one of them, with its audit |
//! | `PUT /instances/{id}/load` | how busy CMON reports it ([`Load`](crate::cmon::Load)); 204 |
//! | `GET /compute-nodes` | every compute node |
//! | `POST /compute-nodes/{id}/down`, `…/up` | loses or brings back a compute node; 204 |
//! | `GET /changefeed` | how many clients there are |
//! | `POST /changefeed/cut` | closes the sockets of all clients; 204 |
//! | `POST /settle?timeout_ms=10000` | waits until nothing is pending; 200 with `{"settled": true}`, or false in time |
//!
//! It knows no authentication and listens on loopback unless told otherwise.

mod control;
mod routes;

pub use control::{Control, NoComputeNode};
pub(crate) use routes::router;

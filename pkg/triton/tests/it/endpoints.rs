//! The client's methods against a scripted server: what each sends, and what it makes of the answer.

mod account;
mod images;
mod instance_parts;
mod instances;
mod networks;
mod pages;
mod tags_and_metadata;

use crate::server::{Answer, Server};
use serde_json::{Value, json};
use triton::{Client, Error};

/// An id for everything: which object it names is said by the path.
pub(crate) const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
/// Another one.
pub(crate) const OTHER: &str = "ac336e0f-8532-4e0e-a19e-7cd5bdd62817";

/// [`ID`] as whatever id is wanted.
pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>() -> T {
    ID.parse().unwrap()
}

/// Makes a call that is answered with `answer`, and looks at the one request that this took: method and target
/// in `request`, where `ID` stands for [`ID`], and the JSON body, `null` for none.
pub(crate) async fn check<T>(
    request: &str,
    body: Value,
    answer: Answer,
    call: impl AsyncFnOnce(Client) -> Result<T, Error>,
) -> Result<T, Error> {
    let server = Server::script([answer]);
    let result = call(server.client()).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{request}");
    assert_eq!(format!("{} {}", seen[0].method, seen[0].target), request.replace("ID", ID));
    let sent = if seen[0].body.is_empty() { Value::Null } else { seen[0].json() };
    assert_eq!(sent, body, "{request}");
    result
}

/// A read: no body, and an answer with 200.
pub(crate) async fn check_get<T>(
    target: &str,
    answer: Value,
    call: impl AsyncFnOnce(Client) -> Result<T, Error>,
) -> T {
    check(&format!("GET {target}"), Value::Null, Answer::json(200, answer), call).await.unwrap()
}

/// A deletion: no body, and an answer with 204.
pub(crate) async fn check_delete(target: &str, call: impl AsyncFnOnce(Client) -> Result<(), Error>) {
    check(&format!("DELETE {target}"), Value::Null, Answer::text(204, ""), call).await.unwrap();
}

/// An object that is nothing but its id.
pub(crate) fn object() -> Value {
    json!({"id": ID})
}

/// A list of one such object, and one that cannot be read.
pub(crate) fn objects() -> Value {
    json!([{"id": ID}, {"id": null}])
}

/// Looks at a list made from [`objects`].
pub(crate) fn check_objects<T>(list: &triton::types::DecodedList<T>) {
    assert_eq!((list.items.len(), list.undecodable.len()), (1, 1));
    assert_eq!(list.undecodable[0].index, 1);
}

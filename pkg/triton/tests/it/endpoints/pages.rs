//! Walking pages while instances come and go.

use crate::server::{Answer, Seen, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use triton::types::{DecodedList, Instance, ListInstances};
use triton::{Error, Kind};

fn id(number: usize) -> String {
    format!("{number:08x}-84a2-4122-9ed5-60d76d7a8525")
}

/// The page of `ids` that `seen` asks for, as CloudAPI makes it.
fn page(seen: &Seen, ids: &[String]) -> Answer {
    let number = |name| seen.query(name).unwrap().parse::<usize>().unwrap();
    let (limit, offset) = (number("limit"), number("offset"));
    let rows: Vec<_> = ids.iter().skip(offset).take(limit).map(|id| json!({"id": id})).collect();
    Answer::json(200, rows).header("x-query-limit", &limit.to_string())
}

/// Lists everything, in a task of its own as controllers do.
async fn all(server: &Server) -> Result<DecodedList<Instance>, Error> {
    let client = server.client();
    let list = async move { client.list_all_instances(&ListInstances::default()).await };
    tokio::spawn(list).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn pages_are_walked_to_the_end() {
    for (count, requests) in [(0, 1), (1, 1), (999, 1), (1000, 2), (1001, 2), (3000, 4)] {
        let ids: Vec<_> = (0..count).map(id).collect();
        let server = Server::new(move |seen| page(seen, &ids));
        let list = all(&server).await.unwrap();
        assert_eq!((list.items.len(), server.seen().len()), (count, requests), "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_slides_onto_the_next_page_is_listed_once() {
    let mut ids: Vec<_> = (0..1500).map(id).collect();
    let server = Server::new(move |seen| {
        let answer = page(seen, &ids);
        // Another instance is made in front of all others between any two pages.
        ids.insert(0, id(5000 + ids.len()));
        answer
    });
    let list = all(&server).await.unwrap();
    let unique: BTreeSet<_> = list.items.iter().map(|instance| instance.id).collect();
    assert_eq!((list.items.len(), unique.len()), (1500, 1500));
}

#[tokio::test(start_paused = true)]
async fn elements_that_cannot_be_read_are_counted_from_the_start_of_the_list() {
    let mut rows: Vec<Value> = (0..1000).map(|number| json!({"id": id(number)})).collect();
    rows[7] = json!({"id": null});
    let server = Server::script([Answer::json(200, rows), Answer::json(200, json!([{}]))]);
    let list = all(&server).await.unwrap();
    let places: Vec<_> = list.undecodable.iter().map(|bad| bad.index).collect();
    assert_eq!((list.items.len(), places), (999, vec![7, 1000]));
}

#[tokio::test(start_paused = true)]
async fn a_smaller_page_of_the_servers_own_choice_is_not_the_end() {
    let ids: Vec<_> = (0..25).map(id).collect();
    let server = Server::new(move |seen| {
        let offset = seen.query("offset").unwrap().parse().unwrap();
        let rows: Vec<_> = ids.iter().skip(offset).take(10).map(|id| json!({"id": id})).collect();
        Answer::json(200, rows).header("x-query-limit", "10")
    });
    assert_eq!(all(&server).await.unwrap().items.len(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_a_page_for_ever_is_left() {
    let rows: Vec<_> = (0..1000).map(|number| json!({"id": id(number)})).collect();
    let server = Server::new(move |_| Answer::json(200, rows.clone()));
    assert_eq!(all(&server).await.unwrap_err().kind(), Kind::Protocol);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_for_good_fails_the_list() {
    let ids: Vec<_> = (0..1500).map(id).collect();
    let server = Server::new(move |seen| match seen.query("offset") {
        Some("0") => page(seen, &ids),
        _ => Answer::error(403, "NotAuthorized", "no"),
    });
    assert_eq!(all(&server).await.unwrap_err().kind(), Kind::Forbidden);
}

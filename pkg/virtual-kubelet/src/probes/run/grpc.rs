//! The gRPC health protocol: one unary call, `grpc.health.v1.Health/Check`.
//!
//! Written out over hyper's HTTP/2, because the two messages have one field each, and a gRPC library would be the
//! largest dependency of the program.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{chain, tcp};
use crate::probes::Finding;

/// An answer that is larger than this is none of the health protocol's.
const LARGEST_ANSWER: usize = 4096;

/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: u64 = 1;

/// The status of a call that went well, and that of a method which the server does not have.
const OK: &str = "0";
const UNIMPLEMENTED: &str = "12";

/// Succeeds when the server says that the service serves.
pub(super) async fn serves(address: IpAddr, port: u16, service: &str) -> Finding {
    match check(address, port, service).await {
        Ok(SERVING) => Finding::Success,
        Ok(status) => Finding::Failure(format!("service {service:?} does not serve (status {status})")),
        Err(why) => Finding::Failure(format!("gRPC health check on port {port}: {why}")),
    }
}

async fn check(address: IpAddr, port: u16, service: &str) -> Result<u64, String> {
    let stream = tcp::connect(None, address, port).await.map_err(|error| error.to_string())?;
    let http = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = http.map_err(|error| chain(&error))?;
    // Ends with the sender and the answer; what it ends with, the request has told.
    tokio::spawn(async move { drop(connection.await) });
    let authority = match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    };
    let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("kube-probe/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(request(service)))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| chain(&error))?;
    answer(response).await
}

/// `HealthCheckRequest { service = 1 }`, with gRPC's prefix: not compressed, and a length of four bytes.
fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(FIELD_1_TEXT);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // A service's name comes from a manifest, which is far smaller than 4 GiB.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    framed.freeze()
}

const PREFIX: usize = 5;
const FIELD_1_TEXT: u8 = 0x0a;
const FIELD_1_VARINT: u8 = 0x08;

async fn answer(response: Response<Incoming>) -> Result<u64, String> {
    if !response.status().is_success() {
        return Err(format!("HTTP status {}", response.status().as_u16()));
    }
    let (head, body) = response.into_parts();
    // An error without a message has its status in the headers.
    accepted(&head.headers)?;
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| error.to_string())?;
    if let Some(trailers) = body.trailers() {
        accepted(trailers)?;
    }
    status(&body.to_bytes()).ok_or_else(|| "the answer is none of the health protocol's".to_owned())
}

fn accepted(headers: &HeaderMap) -> Result<(), String> {
    match headers.get("grpc-status").map(HeaderValue::as_bytes) {
        Some(status) if status == UNIMPLEMENTED.as_bytes() => {
            Err("the server does not have the health protocol, grpc.health.v1.Health".to_owned())
        }
        Some(status) if status != OK.as_bytes() => {
            let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
            Err(format!(
                "status {} {}",
                String::from_utf8_lossy(status),
                String::from_utf8_lossy(message).chars().take(200).collect::<String>()
            ))
        }
        _ => Ok(()),
    }
}

/// Reads `HealthCheckResponse { status = 1 }`. A status that is 0 is not sent. `None` for anything else.
fn status(framed: &[u8]) -> Option<u64> {
    let (prefix, message) = framed.split_at_checked(PREFIX)?;
    let [0, length @ ..] = prefix else {
        return None;
    };
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let mut message = message.get(..usize::try_from(length).ok()?)?;
    let mut status = 0;
    while let Some((&tag, rest)) = message.split_first() {
        if tag != FIELD_1_VARINT {
            return None;
        }
        (status, message) = varint(rest)?;
    }
    Some(status)
}

fn put_varint(buffer: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        buffer.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8((value & 0x7f) as u8);
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", &[0, 0, 0, 0, 0])]
    #[case("ab", &[0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b'])]
    fn a_request_is_written_as_protobuf_in_a_frame(#[case] service: &str, #[case] bytes: &[u8]) {
        assert_eq!(request(service), bytes);
    }

    #[test]
    fn a_long_name_has_a_long_length() {
        let request = request(&"x".repeat(300));
        assert_eq!(request[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[rstest]
    #[case(&[0, 0, 0, 0, 0], Some(0))]
    #[case(&[0, 0, 0, 0, 2, 8, 1], Some(1))]
    #[case(&[0, 0, 0, 0, 3, 8, 0x81, 0x01], Some(129))]
    #[case(&[1, 0, 0, 0, 2, 8, 1], None)]
    #[case(&[0, 0, 0, 0, 3, 8, 1], None)]
    #[case(&[0, 0, 0, 0, 2, 9, 1], None)]
    #[case(&[0, 0, 0, 0, 2, 8, 0x81], None)]
    #[case(&[0, 0], None)]
    fn an_answer_is_read_or_refused(#[case] bytes: &[u8], #[case] expected: Option<u64>) {
        assert_eq!(status(bytes), expected);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes: Vec<u8>) {
            status(&bytes);
            let mut framed = vec![0, 0, 0, 0, u8::try_from(bytes.len().min(255)).unwrap()];
            framed.extend(bytes);
            status(&framed);
        }

        #[test]
        fn a_varint_is_read_as_it_is_written(value: u64) {
            let mut buffer = BytesMut::new();
            put_varint(&mut buffer, value);
            prop_assert_eq!(varint(&buffer), Some((value, &[][..])));
        }
    }
}

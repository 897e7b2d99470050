//! Requests byte by byte, so that tests can send what no client library would.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use triton::auth::PrivateKey;
use triton_sim::keys::KeyPair;
use triton_sim::{Preset, Settings, Simulator};

/// Whoever signs requests.
pub struct Signer {
    key: PrivateKey,
    /// What the `keyId` has before `/keys/`.
    pub owner: String,
}

impl Signer {
    pub fn new(owner: &str, pair: &KeyPair) -> Self {
        let key = PrivateKey::from_pem(pair.private.expose_secret(), None).expect("a key");
        Self { key, owner: owner.to_owned() }
    }

    /// The headers of a request that is signed as the official client does it.
    pub fn headers(&self, method: &str, target: &str) -> Vec<(String, String)> {
        let date = now();
        let text = format!("(request-target): {} {target}\ndate: {date}", method.to_lowercase());
        self.headers_for(&date, "(request-target) date", &text)
    }

    /// The headers with a signature over this text.
    pub fn headers_for(&self, date: &str, names: &str, text: &str) -> Vec<(String, String)> {
        let signature = self.key.sign(text.as_bytes()).expect("a signature");
        let (algorithm, bytes) = (signature.algorithm, STANDARD.encode(&signature.bytes));
        let key_id = format!("{}/keys/{}", self.owner, self.key.public_key().fingerprint());
        let value = format!(
            r#"Signature keyId="{key_id}",algorithm="{algorithm}",headers="{names}",signature="{bytes}""#
        );
        vec![("date".to_owned(), date.to_owned()), ("authorization".to_owned(), value)]
    }
}

/// The time as clients send it.
pub fn now() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `code` of an error object.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {self:?}")).to_owned()
    }
}

/// A simulator and a key of its account.
pub struct Stage {
    pub simulator: Simulator,
    pub acme: Signer,
}

impl Stage {
    /// A simulator in which jobs take no time.
    pub async fn new() -> Self {
        Self::with(Settings::preset(Preset::Instant)).await
    }

    pub async fn with(settings: Settings) -> Self {
        let pair = KeyPair::generate().expect("a key");
        let settings = Settings { keys: vec![pair.public.clone()], ..settings };
        let simulator = Simulator::start(settings).await.expect("a simulator");
        Self { simulator, acme: Signer::new("/acme", &pair) }
    }

    /// Sends a request as it is and reads the answer to its end.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        let head = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}");
        if !body.is_empty() && !headers.iter().any(|(name, _)| name == "content-length") {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        exchange(self.simulator.url(), &bytes).await
    }

    /// Sends a signed request, with JSON unless the body is empty.
    pub async fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        self.ask_as(&self.acme, method, target, &[], body).await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    /// Sends a signed request of anybody's with further headers.
    pub async fn ask_as(
        &self,
        signer: &Signer,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut all = signer.headers(method, target);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.send(method, target, &all, body.as_bytes()).await
    }

    /// A running instance.
    pub async fn instance(&self, name: &str) -> String {
        let ids = self.simulator.ids();
        let body = format!(
            r#"{{"name":"{name}","image":"{}","package":"g1.nano","networks":["{}"]}}"#,
            ids.ubuntu_lx, ids.external
        );
        let made = self.ask("POST", "/my/machines", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.settle().await;
        made.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until nothing is pending.
    pub async fn settle(&self) {
        assert!(self.simulator.control().settle(std::time::Duration::from_secs(20)).await, "it settles");
    }
}

/// Sends bytes and reads the answer to its end.
pub async fn exchange(url: &str, request: &[u8]) -> Answer {
    let mut stream =
        TcpStream::connect(url.strip_prefix("http://").expect("plain HTTP")).await.expect("connected");
    // A server that refuses a body may close before it has read all of it.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.parse().expect("a status"),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

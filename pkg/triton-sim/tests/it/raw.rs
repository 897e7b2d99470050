//! Raw requests: what is wrong with a request, and how the server says so.

use std::time::{Duration, SystemTime};

use serde_json::json;
use triton_sim::{Preset, Settings};

use crate::http::{Answer, Signer, Stage, now};
use triton_sim::keys::KeyPair;

#[track_caller]
fn is_error(answer: &Answer, status: u16, code: &str, part: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert!(answer.message().contains(part), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn ping_needs_no_signature_and_lists_the_versions() {
    let stage = Stage::new().await;
    let answer = stage.send("GET", "/--ping", &[], b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["ping"], "pong");
    assert_eq!(answer.json()["cloudapi"]["versions"][0], "9.0.0");
    assert_eq!(answer.header("triton-datacenter-name"), Some("dc1"));
    let root = stage.send("GET", "/", &[], b"").await;
    assert_eq!((root.status, root.header("location").is_some()), (302, true));
}

#[tokio::test]
async fn every_answer_has_the_headers_that_clients_need() {
    let stage = Stage::new().await;
    for target in ["/my", "/my/machines", "/my/nonsense/x/y"] {
        let answer = stage.get(target).await;
        for name in ["date", "server", "api-version", "request-id", "response-time", "content-length"] {
            assert!(answer.header(name).is_some(), "{target}: {name}: {answer:?}");
        }
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        assert_eq!(answer.header("server"), Some("cloudapi/9.20.0"));
        assert_eq!(answer.header("content-md5"), None);
    }
    let answer = stage.ask_as(&stage.acme, "GET", "/my", &[("request-id", "mine")], "").await;
    assert_eq!(answer.header("request-id"), Some("mine"));
}

#[tokio::test]
async fn each_failed_authentication_has_its_own_answer() {
    let stage = Stage::new().await;
    let send = async |headers: Vec<(String, String)>| stage.send("GET", "/acme", &headers, b"").await;
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());

    is_error(&send(vec![]).await, 401, "InvalidCredentials", "You must make authenticated requests");
    let old = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(400));
    is_error(&send(vec![header("date", &old)]).await, 400, "RequestExpired", "too old");
    let basic = vec![header("authorization", "Basic")];
    is_error(&send(basic).await, 400, "InvalidHeader", "BasicAuth content is invalid.");
    let bearer = vec![header("authorization", "Bearer x")];
    is_error(&send(bearer).await, 401, "InvalidCredentials", "You must make authenticated requests");

    // Signed, but wrongly.
    let good = stage.acme.headers("GET", "/acme");
    let with = |from: &str, to: &str| -> Vec<(String, String)> {
        good.iter().map(|(name, value)| (name.clone(), value.replace(from, to))).collect()
    };
    is_error(&send(with("Signature ", "signature ")).await, 400, "InvalidHeader", "scheme was not");
    is_error(&send(with("ed25519-sha512", "rsa-sha384")).await, 400, "InvalidHeader", "not supported");
    is_error(&send(with("ed25519-sha512", "rsa-md4")).await, 400, "InvalidHeader", "not supported");
    is_error(&send(with("(request-target) date", "host")).await, 400, "InvalidHeader", "not a signed header");
    let hmac = with("ed25519-sha512", "hmac-sha1");
    is_error(&send(hmac).await, 401, "InvalidCredentials", "HMAC-SHA1 is not a supported signing algorithm");
    let shape = with("/acme/keys/", "/acme/");
    is_error(&send(shape).await, 401, "InvalidCredentials", "Invalid KeyId");
    let wrong = "Invalid authorization credentials supplied";
    for headers in [
        with("/acme/keys/", "/nobody/keys/"),
        with("/acme/keys/", "/acme/users/nobody/keys/"),
        with("/acme/keys/", "/acme/keys/0"),
        with("(request-target) date", "date"),
        with("ed25519-sha512", "rsa-sha256"),
        with("ed25519-sha512", "dsa-sha256"),
        stage.acme.headers("GET", "/acme?x=1"),
        stage.acme.headers("POST", "/acme"),
    ] {
        is_error(&send(headers).await, 401, "InvalidCredentials", wrong);
    }
    for seconds in [-400_i64, 400] {
        let time = SystemTime::now().checked_add(Duration::from_secs(500)).unwrap()
            - Duration::from_secs(u64::try_from(500 - seconds).unwrap());
        let date = httpdate::fmt_http_date(time);
        let signed = stage.acme.headers_for(&date, "date", &format!("date: {date}"));
        is_error(&send(signed).await, 400, "InvalidHeader", "clock skew of");
    }
    assert_eq!(send(good).await.status, 200);
}

#[tokio::test]
async fn the_public_go_client_is_understood() {
    let stage = Stage::new().await;
    // It signs the date only, and writes UTC where others write GMT.
    let date = now().replace("GMT", "UTC");
    let mut headers = stage.acme.headers_for(&date, "date", &format!("date: {date}"));
    headers.push(("accept-version".to_owned(), "8".to_owned()));
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    headers.push(("user-agent".to_owned(), "triton-go/1.0".to_owned()));
    let answer = stage.send("GET", "/acme", &headers, b"").await;
    assert_eq!((answer.status, answer.header("api-version")), (200, Some("8.0.0")));

    // Actions are in the query, without a body and without a type.
    let id = stage.instance("go").await;
    let target = format!("/acme/machines/{id}?action=stop");
    let stopped = stage.send("POST", &target, &stage.acme.headers("POST", &target), b"").await;
    assert_eq!((stopped.status, stopped.body.as_str()), (202, ""));
    stage.settle().await;
    assert_eq!(stage.get(&format!("/acme/machines/{id}")).await.json()["state"], "stopped");

    // It counts with HEAD, and updates the configuration with POST.
    let counted = stage.ask("HEAD", "/acme/machines", "").await;
    assert_eq!((counted.status, counted.body.as_str()), (200, ""));
    assert_eq!(counted.header("x-resource-count"), Some("1"));
    let network = stage.simulator.ids().fabric;
    let config = json!({"default_network": network}).to_string();
    assert_eq!(
        stage.ask("POST", "/acme/config", &config).await.json()["default_network"],
        network.to_string()
    );

    // It always sends a locality.
    let ids = stage.simulator.ids();
    let body = json!({
        "name": "{{shortId}}", "image": ids.ubuntu_lx, "package": "g1.nano", "firewall_enabled": false,
        "networks": [{"ipv4_uuid": ids.external}], "locality": {"strict": false},
        "tag.a": "b", "metadata.user-data": "x",
    });
    let made = stage.ask("POST", "/acme/machines", &body.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let machine = made.json();
    assert_eq!(machine["tags"], json!({"a": "b"}));
    assert_eq!(machine["name"].as_str(), machine["id"].as_str().map(|id| &id[..8]));
}

#[tokio::test]
async fn ecdsa_and_rsa_signatures_are_taken_with_either_hash() {
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    use sha2::{Digest as _, Sha256, Sha512};
    let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a key");
    let point = secret.verifying_key().to_sec1_point(false);
    let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let wire = [field(b"ecdsa-sha2-nistp256"), field(b"nistp256"), field(point.as_bytes())].concat();
    let public = triton::auth::PublicKey::from_wire(&wire).expect("a key");
    let settings = Settings { keys: vec![public.clone()], ..Settings::preset(Preset::Instant) };
    let pair = KeyPair::generate().expect("a key");
    let simulator = triton_sim::Simulator::start(settings).await.expect("a simulator");
    let stage = Stage { simulator, acme: Signer::new("/acme", &pair) };
    for (algorithm, sha512) in [("ecdsa-sha256", false), ("ecdsa-sha512", true)] {
        let date = now();
        let text = format!("date: {date}");
        let hash = if sha512 { Sha512::digest(&text).to_vec() } else { Sha256::digest(&text).to_vec() };
        let signature: p256::ecdsa::Signature = secret.sign_prehash(&hash).expect("a signature");
        let signature =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature.to_der().as_bytes());
        let value = format!(
            r#"Signature keyId="/acme/keys/{}",algorithm="{algorithm}",signature="{signature}""#,
            public.fingerprint()
        );
        let headers = [("date".to_owned(), date), ("authorization".to_owned(), value)];
        let answer = stage.send("GET", "/my", &headers, b"").await;
        assert_eq!(answer.status, 200, "{algorithm}: {answer:?}");
    }
    // The other key is not one of the account's.
    is_error(&stage.get("/my").await, 401, "InvalidCredentials", "Invalid authorization");
}

#[tokio::test]
async fn versions_are_negotiated_by_ranges() {
    let stage = Stage::new().await;
    for (range, expected) in [("~9||~8", "9.0.0"), ("8", "8.0.0"), ("*", "9.0.0"), ("~7.3", "7.3.0")] {
        let answer = stage.ask_as(&stage.acme, "GET", "/my", &[("accept-version", range)], "").await;
        assert_eq!((answer.status, answer.header("api-version")), (200, Some(expected)), "{range}");
    }
    let answer =
        stage.ask_as(&stage.acme, "GET", "/my/machines?x=1", &[("accept-version", "~6.5")], "").await;
    is_error(&answer, 400, "InvalidVersion", "~6.5 is not supported by GET /my/machines");
}

#[tokio::test]
async fn wrong_paths_methods_types_and_sizes_are_told_apart() {
    let stage = Stage::new().await;
    // The route comes before the signature.
    let unsigned = stage.send("GET", "/my/machines/x/nonsense", &[], b"").await;
    is_error(&unsigned, 404, "ResourceNotFound", "/my/machines/x/nonsense does not exist");
    let wrong = stage.ask("PUT", "/my/machines/x/audit", "").await;
    is_error(&wrong, 405, "MethodNotAllowedError", "PUT is not allowed");
    assert_eq!(wrong.header("allow"), Some("GET, HEAD"));
    let accept = stage.ask_as(&stage.acme, "GET", "/my", &[("accept", "text/html")], "").await;
    is_error(&accept, 406, "WrongAccept", "application/json");
    let kind = stage.ask_as(&stage.acme, "POST", "/my", &[("content-type", "text/xml")], "<a/>").await;
    is_error(&kind, 415, "UnsupportedMediaTypeError", "text/xml");
    is_error(&stage.ask("POST", "/my", "{").await, 400, "InvalidContent", "Invalid JSON");
    let large = format!(r#"{{"companyName":"{}"}}"#, "x".repeat(100_000));
    is_error(&stage.ask("POST", "/my", &large).await, 413, "RequestEntityTooLargeError", "100000");
    let just = format!(r#"{{"companyName":"{}"}}"#, "x".repeat(100_000 - 18));
    assert_eq!(just.len(), 100_000);
    assert_eq!(stage.ask("POST", "/my", &just).await.status, 200);
    let digest = [("content-md5", "AAAA")];
    let answer = stage.ask_as(&stage.acme, "POST", "/my", &digest, "{}").await;
    is_error(&answer, 400, "BadDigest", "did not match");
}

#[tokio::test]
async fn parameters_come_from_forms_and_queries_too_and_the_body_wins() {
    let stage = Stage::new().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = stage.ask_as(&stage.acme, "POST", "/my?phone=1", &form, "companyName=A+%26+B").await;
    assert_eq!(
        (answer.json()["companyName"].clone(), answer.json()["phone"].clone()),
        (json!("A & B"), json!("1"))
    );
    let answer = stage.ask("POST", "/my?phone=1", r#"{"phone":"2"}"#).await;
    assert_eq!(answer.json()["phone"], "2");
    // No type and no body at all.
    assert_eq!(stage.ask("POST", "/my", "").await.status, 200);
}

#[tokio::test]
async fn other_accounts_are_forbidden_except_to_the_operator() {
    let stage = Stage::new().await;
    is_error(
        &stage.get("/initech/machines").await,
        403,
        "NotAuthorized",
        "You do not have permission to access /initech/machines (listmachines)",
    );
    is_error(&stage.get("/nobody").await, 404, "ResourceNotFound", "nobody does not exist");
    let operator = KeyPair::generate().expect("a key");
    let line = json!({"key": operator.public.to_openssh()});
    stage.simulator.control().write(|world, now| {
        let admin = stage.simulator.ids().admin;
        world.create_key(now, admin, line.as_object().unwrap()).expect("added");
    });
    let operator = Signer::new("/admin", &operator);
    let answer = stage.ask_as(&operator, "GET", "/acme", &[], "").await;
    assert_eq!((answer.status, answer.json()["login"].clone()), (200, json!("acme")));
}

#[tokio::test]
async fn a_sub_user_may_do_what_its_roles_allow_on_what_is_tagged_with_them() {
    let stage = Stage::new().await;
    let id = stage.instance("tagged").await;
    let other = stage.instance("untagged").await;
    let pair = KeyPair::generate().expect("a key");
    let made = async |target: &str, body: serde_json::Value| {
        let answer = stage.ask("POST", target, &body.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    };
    made("/my/users", json!({"login": "bob", "email": "bob@example.com", "password": "secret123"})).await;
    made("/my/users/bob/keys", json!({"name": "k", "key": pair.public.to_openssh()})).await;
    made("/my/policies", json!({"name": "read", "rules": ["CAN getmachine, stopmachine"]})).await;
    let members = json!([{"type": "subuser", "login": "bob", "default": true}]);
    made("/my/roles", json!({"name": "ops", "members": members, "policies": [{"name": "read"}]})).await;
    let tagged = stage.ask("PUT", &format!("/my/machines/{id}"), r#"{"role-tag":["ops"]}"#).await;
    assert_eq!(tagged.json(), json!({"name": format!("/acme/machines/{id}"), "role-tag": ["ops"]}));

    let bob = Signer::new("/acme/users/bob", &pair);
    let ask = async |method: &str, target: &str| stage.ask_as(&bob, method, target, &[], "").await;
    let answer = ask("GET", &format!("/acme/machines/{id}")).await;
    assert_eq!((answer.status, answer.header("role-tag")), (200, Some("ops")), "{answer:?}");
    assert_eq!(ask("GET", &format!("/my/machines/{id}?as-role=ops")).await.status, 200);
    assert_eq!(ask("POST", &format!("/my/machines/{id}?action=stop")).await.status, 202);
    for (method, target) in [
        ("POST", format!("/my/machines/{id}?action=start")),
        ("DELETE", format!("/my/machines/{id}")),
        ("GET", format!("/my/machines/{other}")),
        ("GET", "/my/machines".to_owned()),
        ("GET", format!("/my/machines/{id}?as-role=none")),
        ("GET", "/initech".to_owned()),
    ] {
        let answer = ask(method, &target).await;
        is_error(&answer, 403, "NotAuthorized", "You do not have permission to access");
    }
    let answer = stage.ask_as(&bob, "GET", "/my", &[("accept-version", "~7.1")], "").await;
    is_error(&answer, 401, "InvalidCredentials", "Invalid KeyId");
}

#[tokio::test]
async fn a_destroyed_instance_is_answered_410_with_itself() {
    let stage = Stage::new().await;
    let id = stage.instance("gone").await;
    let target = format!("/my/machines/{id}");
    assert_eq!(stage.ask("DELETE", &target, "").await.status, 204);
    stage.settle().await;
    for (method, target) in
        [("GET", target.clone()), ("DELETE", target.clone()), ("POST", format!("{target}?action=start"))]
    {
        let answer = stage.ask(method, &target, "").await;
        assert_eq!((answer.status, answer.json()["state"].clone()), (410, json!("deleted")), "{answer:?}");
        assert_eq!((answer.json()["id"].as_str(), answer.json().get("code")), (Some(id.as_str()), None));
    }
    assert_eq!(stage.get("/my/machines").await.json(), json!([]));
}

#[tokio::test]
async fn pages_say_how_many_rows_they_have_and_how_many_were_asked_for() {
    let stage = Stage::new().await;
    for name in ["a", "b", "c"] {
        stage.instance(name).await;
    }
    let page = async |query: &str| {
        let answer = stage.get(&format!("/my/machines{query}")).await;
        let ids: Vec<String> = answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect();
        (
            ids,
            answer.header("x-resource-count").map(str::to_owned),
            answer.header("x-query-limit").map(str::to_owned),
        )
    };
    let (all, count, limit) = page("").await;
    assert_eq!((count.as_deref(), limit.as_deref()), (Some("3"), Some("1000")));
    assert!(all.is_sorted_by(|a, b| a > b), "by descending id: {all:?}");
    assert_eq!(page("?limit=2").await, (all[..2].to_vec(), Some("2".into()), Some("2".into())));
    assert_eq!(page("?limit=2&offset=2").await, (all[2..].to_vec(), Some("1".into()), Some("2".into())));
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?offset=-1"] {
        let answer = stage.get(&format!("/my/machines{query}")).await;
        is_error(&answer, 409, "ValidationFailed", "Invalid VM parameters");
    }
}

#[tokio::test]
async fn an_account_is_throttled_by_groups_of_routes() {
    let settings = Settings::preset(Preset::Instant);
    let throttle = triton_sim::cloudapi::ThrottleLimits { burst: 3, rate: 1 };
    let stage = Stage::with(Settings { throttle: Some(throttle), ..settings }).await;
    let mut last = stage.get("/my/machines").await;
    for _ in 0..20 {
        last = stage.get("/my/machines").await;
        if last.status == 429 {
            break;
        }
    }
    is_error(&last, 429, "TooManyRequestsError", "You have exceeded your request rate of 1 r/s.");
    assert_eq!(last.header("retry-after"), None);
    assert_eq!(stage.get("/my/packages").await.status, 200);
}

#[tokio::test]
async fn a_data_center_is_a_redirect_and_services_are_a_map() {
    let stage = Stage::new().await;
    let list = stage.get("/my/datacenters").await;
    assert_eq!(
        (list.json(), list.header("triton-datacenter-name")),
        (json!({"dc1": stage.simulator.url()}), Some("dc1"))
    );
    let moved = stage.get("/my/datacenters/dc1").await;
    assert_eq!((moved.status, moved.header("location")), (302, Some(stage.simulator.url())));
    assert_eq!(moved.code(), "ResourceMoved");
    is_error(
        &stage.get("/my/datacenters/dc9").await,
        404,
        "ResourceNotFound",
        "dc9 is not an available datacenter",
    );
    assert_eq!(stage.get("/my/services").await.json()["cloudapi"], stage.simulator.url());
}

#[tokio::test]
async fn other_data_centres_are_named_with_this_one() {
    let url = "https://dc2.example.com";
    let mut settings = Settings::preset(Preset::Instant);
    settings.datacenters.insert("dc2".to_owned(), url.to_owned());
    let stage = Stage::with(settings).await;
    let list = stage.get("/my/datacenters").await;
    assert_eq!(list.json(), json!({"dc1": stage.simulator.url(), "dc2": url}));
    assert_eq!(list.header("triton-datacenter-name"), Some("dc1"));
    let moved = stage.get("/my/datacenters/dc2").await;
    assert_eq!((moved.status, moved.header("location")), (302, Some(url)));
}

#[tokio::test]
async fn consoles_are_refused_with_the_documented_errors() {
    let stage = Stage::new().await;
    let zone = stage.instance("zone").await;
    is_error(&stage.get(&format!("/my/machines/{zone}/vnc")).await, 400, "MachineHasNoVNCError", "lx");
    let ids = stage.simulator.ids();
    let body =
        json!({"image": ids.ubuntu_hvm, "package": "b1.medium", "networks": [ids.external]}).to_string();
    let made = stage.ask("POST", "/my/machines", &body).await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    stage.settle().await;
    let target = format!("/my/machines/{id}/vnc");
    let ask =
        async |range: &str| stage.ask_as(&stage.acme, "GET", &target, &[("accept-version", range)], "").await;
    is_error(&ask("~9||~8").await, 400, "UpgradeRequiredError", "must be upgraded");
    is_error(&ask("~9").await, 400, "InvalidVersion", "~9 is not supported");
    assert_eq!(stage.ask("POST", &format!("/my/machines/{id}?action=stop"), "").await.status, 202);
    stage.settle().await;
    is_error(&ask("*").await, 400, "MachineStoppedError", "stopped");
}

#[tokio::test]
async fn a_nic_that_is_there_is_a_redirect_without_a_body() {
    let stage = Stage::new().await;
    let id = stage.instance("nic").await;
    let body = json!({"network": stage.simulator.ids().external}).to_string();
    let answer = stage.ask("POST", &format!("/my/machines/{id}/nics"), &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (302, ""));
    let location = answer.header("location").expect("a path").to_owned();
    let nic = stage.get(&location).await;
    assert_eq!((nic.status, nic.json()["state"].clone()), (200, json!("running")), "{nic:?}");
}

#[tokio::test]
async fn a_tag_that_is_no_string_reads_as_an_empty_one() {
    let stage = Stage::new().await;
    let id = stage.instance("tags").await;
    let target = format!("/my/machines/{id}/tags");
    let answer = stage.ask("POST", &target, r#"{"a":"x","n":2,"b":true}"#).await;
    assert_eq!(answer.json(), json!({"a": "x", "n": 2, "b": true}));
    assert!(answer.header("x-job-uuid").is_some_and(|job| job.len() == 36));
    stage.settle().await;
    assert_eq!(stage.get(&target).await.json(), json!({"a": "x", "n": 2, "b": true}));
    for (tag, body) in [("a", "\"x\""), ("n", "\"\""), ("b", "\"\"")] {
        assert_eq!(stage.get(&format!("{target}/{tag}")).await.body, body);
    }
    is_error(&stage.get(&format!("{target}/none")).await, 404, "ResourceNotFound", "tag \"none\" not found");
}

#[tokio::test]
async fn nothing_that_a_client_sends_stops_the_server() {
    let stage = Stage::new().await;
    for request in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /my HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%ff%fe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /my?%=&&&a[]=%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ] {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = stage.simulator.url().strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    }
    assert_eq!(stage.get("/my").await.status, 200);
}

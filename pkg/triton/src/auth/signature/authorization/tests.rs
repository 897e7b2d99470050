use proptest::prelude::*;

use super::*;
use crate::auth::Fingerprint;

const FULL: &str = "Signature keyId=\"/acme/keys/2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5\",\
                    algorithm=\"rsa-sha256\",headers=\"(request-target) date\",signature=\"AAECAw==\"";

#[test]
fn our_own_header_has_exactly_the_form_of_the_official_client() {
    let fingerprint: Fingerprint = "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5".parse().expect("valid");
    let key_id = KeyId::new("acme", None, fingerprint).expect("valid");
    let signature = Signature { algorithm: Algorithm::RsaSha256, bytes: vec![0, 1, 2, 3] };
    let header = Authorization::new(&key_id, signature);
    assert_eq!(header.to_string(), FULL);
    assert_eq!(Authorization::parse(FULL), Ok(header));
}

#[test]
fn parameters_come_in_any_order_and_strange_ones_are_ignored() {
    let expected = Authorization::parse(FULL).expect("valid");
    for header in [
        "Signature signature=\"AAECAw==\",headers=\"(request-target) date\",algorithm=\"rsa-sha256\",\
         keyId=\"/acme/keys/2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5\"",
        &FULL.replace("AAECAw==", "AAECAw"),
        &FULL.replace("rsa-sha256", "RSA-SHA256"),
        &FULL.replace("(request-target) date", "(Request-Target) Date"),
        &FULL.replace("Signature ", "Signature foo=\"a, b=c\",bar=12,"),
        &FULL.replace("Signature ", "Signature signature=\"////\","),
        &format!("{FULL},"),
        &format!("{FULL},unfinished"),
        &format!("{FULL},unfinished="),
        &format!("{FULL},unfinished=\"never closed"),
    ] {
        assert_eq!(Authorization::parse(header).as_ref(), Ok(&expected), "{header}");
    }
}

#[test]
fn without_headers_only_the_date_was_signed() {
    for headers in ["", "headers=\"\","] {
        let header =
            format!("Signature {headers}keyId=\"k\",algorithm=\"ed25519-sha512\",signature=\"AA==\"");
        assert_eq!(Authorization::parse(&header).expect("valid").headers(), ["date"]);
    }
}

#[test]
fn malformed_headers_are_refused_for_the_right_reason() {
    use ParseAuthorizationError as E;
    let check =
        |header: &str, expected: E| assert_eq!(Authorization::parse(header), Err(expected), "{header}");
    check("", E::Scheme);
    check("Basic dXNlcjpwYXNz", E::Scheme);
    check(&FULL.replace("Signature ", "signature "), E::Scheme);
    check("Signature", E::Missing("keyId"));
    check("Signature keyId=\"\",algorithm=\"rsa-sha256\",signature=\"AA==\"", E::Missing("keyId"));
    check("Signature keyId=7,algorithm=\"rsa-sha256\",signature=\"AA==\"", E::Missing("keyId"));
    check("Signature keyId=\"k\",signature=\"AA==\"", E::Missing("algorithm"));
    check("Signature keyId=\"k\",algorithm=\"rsa-sha256\"", E::Missing("signature"));
    check("Signature keyId=\"k\",algorithm=\"rsa-sha256\",signature=\"*\"", E::Signature);
    check(
        "Signature keyId=\"k\",algorithm=\"hmac-sha256\",signature=\"AA==\"",
        E::Algorithm(UnknownAlgorithm("hmac-sha256".to_owned())),
    );
    check("Signature  keyId=\"k\"", E::Format(10));
    check("Signature keyId=\"k\", algorithm=\"rsa-sha256\"", E::Format(20));
    check("Signature keyId=\"k\"x", E::Format(19));
    check("Signature =\"k\"", E::Format(10));
    check("Signature key-id=\"k\"", E::Format(13));
    check("Signature created=1x,keyId=\"k\"", E::Format(19));
    check("Signature created=x", E::Format(18));
}

#[test]
fn pseudo_headers_are_answered_from_the_parameters() {
    let header = "Signature keyId=\"k\",algorithm=\"rsa-sha512\",created=5,expires=6,opaque=\"o\",\
                  headers=\"(keyid) (algorithm) (created) (expires) (opaque) x-date\",signature=\"AA==\"";
    let parsed = Authorization::parse(header).expect("valid");
    assert_eq!(
        parsed.signing_string("GET", "/", |name| (name == "x-date").then_some("D")).as_deref(),
        Ok("(keyid): k\n(algorithm): rsa-sha512\n(created): 5\n(expires): 6\n(opaque): o\nx-date: D"),
    );
    assert_eq!(
        Authorization::parse(FULL).expect("valid").signing_string("GET", "/", |_| None),
        Err(MissingHeader("date".to_owned())),
    );
}

/// A header that names every parameter, in an order chosen by `order`.
fn any_header() -> impl Strategy<Value = String> {
    let algorithm = proptest::sample::select(Algorithm::ALL.to_vec());
    let names = proptest::collection::vec("[(a-zA-Z][a-zA-Z)-]{0,11}", 1..4);
    let extra = (
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<u64>()),
        proptest::option::of("[ !#-~]*"),
    );
    ("[ !#-~]{1,40}", algorithm, names, extra, proptest::collection::vec(any::<u8>(), 1..80)).prop_flat_map(
        |(key_id, algorithm, names, (created, expires, opaque), bytes)| {
            let mut params = vec![
                format!("keyId=\"{key_id}\""),
                format!("algorithm=\"{algorithm}\""),
                format!("headers=\"{}\"", names.join(" ")),
                format!("signature=\"{}\"", BASE64.encode(bytes)),
            ];
            params.extend(created.map(|seconds| format!("created={seconds}")));
            params.extend(expires.map(|seconds| format!("expires={seconds}")));
            params.extend(opaque.map(|opaque| format!("opaque=\"{opaque}\"")));
            Just(params).prop_shuffle().prop_map(|params| format!("Signature {}", params.join(",")))
        },
    )
}

proptest! {
    #[test]
    fn a_parsed_header_is_printed_and_read_back_the_same(header in any_header()) {
        let parsed = Authorization::parse(&header);
        prop_assert!(parsed.is_ok(), "{header}: {parsed:?}");
        let printed = parsed.as_ref().map(ToString::to_string).unwrap_or_default();
        prop_assert_eq!(Authorization::parse(&printed), parsed);
    }

    #[test]
    fn no_text_makes_the_parser_panic(
        noise in ".{0,60}", near in "Signature ([a-zA-Z]{0,9}=?(\"[^\"]{0,9}\"|[0-9]{0,25}|.)?,?){0,6}"
    ) {
        let _ = Authorization::parse(&noise);
        if let Ok(parsed) = Authorization::parse(&near) {
            prop_assert_eq!(Authorization::parse(&parsed.to_string()), Ok(parsed));
        }
    }
}

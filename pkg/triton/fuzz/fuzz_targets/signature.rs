//! An `Authorization` header is refused, or prints to one that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton::auth::signature::Authorization;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(header) = Authorization::parse(text) {
        let printed = header.to_string();
        let again = Authorization::parse(&printed).expect("our own header is read back");
        assert_eq!(again, header);
    }
});

//! A text is refused, or is printed byte for byte, and each of its entries stands alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton::grammar::cns::CnsServices;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<CnsServices>() {
        Ok(services) => {
            assert_eq!(services.to_string(), text);
            for entry in services.entries() {
                let alone = entry
                    .text()
                    .parse::<CnsServices>()
                    .expect("an entry parses alone");
                assert_eq!(alone.entries(), std::slice::from_ref(entry));
            }
            assert_eq!(CnsServices::new(services.entries().to_vec()), Ok(services));
        }
        Err(error) => assert!(text.is_char_boundary(error.position()), "{error}"),
    }
});

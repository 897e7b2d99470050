//! A text is refused, or is printed byte for byte and can be made from its groups.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton::grammar::cmon_groups::CmonGroups;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<CmonGroups>() {
        Ok(groups) => {
            assert_eq!(groups.to_string(), text);
            assert_eq!(CmonGroups::new(groups.iter()), Ok(groups));
        }
        Err(error) => assert!(text.is_char_boundary(error.position()), "{error}"),
    }
});

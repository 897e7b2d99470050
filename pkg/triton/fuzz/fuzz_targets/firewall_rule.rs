//! A text is refused, or is a rule whose canonical text is the same rule and is not rewritten again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton::grammar::firewall::FirewallRule;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<FirewallRule>() {
        Ok(rule) => {
            let canonical = rule.to_string();
            let again = canonical
                .parse::<FirewallRule>()
                .expect("a canonical rule parses");
            assert_eq!(again, rule);
            assert_eq!(again.to_string(), canonical);
        }
        Err(error) => assert!(text.is_char_boundary(error.position()), "{error}"),
    }
});

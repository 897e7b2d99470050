//! A text is refused, or is a rule whose canonical text and whose parts are the same rule.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton::grammar::affinity::AffinityRule;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<AffinityRule>() {
        Ok(rule) => {
            let canonical = rule.to_string();
            let again = canonical
                .parse::<AffinityRule>()
                .expect("a canonical rule parses");
            assert_eq!(again, rule);
            assert_eq!(again.to_string(), canonical);
            let built = AffinityRule::new(rule.key().clone(), rule.operator(), rule.value().clone());
            assert_eq!(built, Ok(rule));
        }
        Err(error) => assert!(text.is_char_boundary(error.position()), "{error}"),
    }
});

//! A frame of the changefeed is an event about the instance that it names, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton::changefeed::Event;

fuzz_target!(|data: &[u8]| {
    let Ok(frame) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(event) = Event::decode(frame) {
        if let Some(instance) = &event.instance {
            assert_eq!(instance.id, event.id);
            // What was read can be written and read again.
            let text = serde_json::to_string(instance).expect("an instance is JSON");
            let again: triton::types::Instance = serde_json::from_str(&text).expect("our own JSON");
            assert_eq!(again.id, event.id);
        }
        let _ = event.claims_destroyed();
    }
});

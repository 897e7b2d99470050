//! Consoles (reference 2.27): there is nothing to see, so every way ends in an error.

use crate::cloudapi::call::Call;
use crate::cloudapi::changefeed::asks_for_websocket;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::Answer;
use crate::view::VmState;

pub(super) fn connect(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let (brand, state) =
        call.read(|world| world.machine(call.account, id).map(|machine| (machine.brand, machine.state())))?;
    let bad_request = |code, message| Err(ApiError::new(http::StatusCode::BAD_REQUEST, code, message));
    if !brand.is_hvm() {
        let message = format!("Instance type {} does not support VNC connections", brand.as_str());
        return bad_request("MachineHasNoVNCError", message);
    }
    if state != VmState::Running {
        return bad_request("MachineStoppedError", "Cannot connect to a stopped machine".to_owned());
    }
    if !asks_for_websocket(call.headers) {
        return bad_request(
            "UpgradeRequiredError",
            "VNC connect endpoint is a websocket and must be upgraded".to_owned(),
        );
    }
    // What the real server says when it cannot reach the console.
    Err(ApiError::internal("Internal Server Error"))
}

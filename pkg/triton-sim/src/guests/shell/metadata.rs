//! `mdata-get`, `mdata-put`, `mdata-list`, `mdata-delete`, as the tools of zones and HVM images (reference 5.1).

use super::commands::{complain, print};
use super::io::Broken;
use super::{Io, Shell};
use crate::guests::mdata;

/// Exit codes (reference 5.1).
const NOT_FOUND: u8 = 1;
const ERROR: u8 = 2;
const USAGE: u8 = 3;

/// The largest value that a guest may write, in bytes: what CloudAPI takes in one call (reference 2.18).
const LARGEST_VALUE: usize = 100_000;

/// `mdata-get KEY`
pub(super) async fn get(shell: &Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let Some(key) = arguments.first() else {
        return complain(io, "mdata-get: Usage: mdata-get <keyname>", USAGE).await;
    };
    let view = shell.guest.view();
    match view.and_then(|view| mdata::get(&view, shell.guest.data_center_name(), key)) {
        Some(value) => print(io, value.strip_suffix('\n').unwrap_or(&value)).await,
        None => complain(io, &format!("No metadata for '{key}'"), NOT_FOUND).await,
    }
}

/// `mdata-put KEY [VALUE]`; the value is read from the input when it is not given.
pub(super) async fn put(shell: &Shell, arguments: &[&str], io: &mut Io<'_>) -> Result<u8, Broken> {
    let (key, value) = match arguments {
        [] => return complain(io, "mdata-put: Usage: mdata-put <keyname> [ <value> ]", USAGE).await,
        [_] if io.stdin.is_terminal() => {
            let advice = "ERROR: either specify the metadata value as the second command-line argument, or pipe \
                          content to stdin.";
            return complain(io, advice, ERROR).await;
        }
        [key] => (key, io.stdin.all(LARGEST_VALUE).await),
        [key, value, ..] => (key, Some(value.as_bytes().to_vec())),
    };
    let failed = |why: &str| format!("Error putting metadata for key '{key}': {why}");
    if let Err(error) = mdata::check_writable(key) {
        return complain(io, &failed(&error.to_string()), ERROR).await;
    }
    match value.map(String::from_utf8) {
        Some(Ok(value)) if value.len() <= LARGEST_VALUE => {
            shell.guest.set_metadata(key, Some(&value));
            Ok(0)
        }
        Some(Err(_)) => complain(io, &failed("the value is not UTF-8"), ERROR).await,
        _ => complain(io, &failed("the value is longer than 100000 bytes"), ERROR).await,
    }
}

/// `mdata-list`
pub(super) async fn list(shell: &Shell, io: &Io<'_>) -> Result<u8, Broken> {
    if let Some(view) = shell.guest.view() {
        for key in mdata::keys(&view) {
            print(io, key).await?;
        }
    }
    Ok(0)
}

/// `mdata-delete KEY`
pub(super) async fn delete(shell: &Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let Some(key) = arguments.first() else {
        return complain(io, "mdata-delete: Usage: mdata-delete <keyname>", USAGE).await;
    };
    if let Err(error) = mdata::check_writable(key) {
        return complain(io, &format!("Error deleting metadata key '{key}': {error}"), ERROR).await;
    }
    if !shell.guest.view().is_some_and(|view| view.metadata.contains_key(*key)) {
        return complain(io, &format!("No metadata for '{key}'"), NOT_FOUND).await;
    }
    shell.guest.set_metadata(key, None);
    Ok(0)
}

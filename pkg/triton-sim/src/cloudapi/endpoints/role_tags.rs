//! STUB
use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::Answer;

pub(super) fn set(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

use crate::cloudapi::respond::Reply;
pub(super) fn with_header(_: &Call<'_>, reply: Reply) -> Reply {
    reply
}

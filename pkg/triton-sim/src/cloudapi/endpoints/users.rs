//! STUB
use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::Answer;

pub(super) fn list(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn create(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn get(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn update(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn delete(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn change_password(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn list_keys(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn create_key(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn get_key(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn delete_key(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

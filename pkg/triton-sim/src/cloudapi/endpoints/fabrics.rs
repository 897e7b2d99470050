//! STUB
use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::Answer;

pub(super) fn list_vlans(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn create_vlan(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn get_vlan(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn update_vlan(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn delete_vlan(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn list_networks(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn create_network(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn get_network(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn update_network(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

pub(super) fn delete_network(_: &Call<'_>) -> Answer {
    Err(ApiError::internal("stub"))
}

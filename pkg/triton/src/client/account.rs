//! The account, its limits and configuration, and the data centre around it (reference 2.8).

use std::time::SystemTime;

use http::StatusCode;

use super::{Call, Client};
use crate::error::Result;
use crate::types::{Account, Config, Datacenters, DecodedList, Limit, Services, UpdateAccount, UpdateConfig};

/// Where CloudAPI says which data centre it is.
const DATACENTER_NAME: &str = "triton-datacenter-name";

impl Client {
    /// The account. The cheapest call that proves that URL, account and key fit together.
    pub async fn get_account(&self) -> Result<Account> {
        self.send(Call::get("GetAccount", "the account")).await?.object()
    }

    /// What time CloudAPI has it, in whole seconds; `None` where it does not say. It refuses signatures that are more than
    /// 300 s off (reference 1.1).
    ///
    /// # Errors
    /// [`ClockSkew`](crate::Kind::ClockSkew) when this machine's clock is further off; the message says by how much.
    pub async fn get_clock(&self) -> Result<Option<SystemTime>> {
        Ok(self.send(datacenters()).await?.server_date())
    }

    /// Changes the account, and answers with it.
    pub async fn update_account(&self, update: &UpdateAccount) -> Result<Account> {
        let call = Call::post("UpdateAccount", "the account").repeatable().json(update)?;
        self.send(call).await?.object()
    }

    /// The provisioning limits; none where the operator sets none.
    pub async fn get_limits(&self) -> Result<DecodedList<Limit>> {
        let call = Call::get("GetProvisioningLimits", "the account").path(["limits"]);
        self.send(call).await?.list()
    }

    /// The account's configuration.
    pub async fn get_config(&self) -> Result<Config> {
        self.send(Call::get("GetConfig", "the configuration").path(["config"])).await?.object()
    }

    /// Changes the account's configuration, and answers with it. An unknown network is an error of kind
    /// [`Invalid`](crate::Kind::Invalid).
    pub async fn update_config(&self, update: &UpdateConfig) -> Result<Config> {
        let call = Call::put("UpdateConfig", "the configuration").path(["config"]).json(update)?;
        self.send(call).await?.object()
    }

    /// The data centres of this cloud with the URLs of their CloudAPIs.
    pub async fn list_datacenters(&self) -> Result<Datacenters> {
        self.send(datacenters()).await?.object()
    }

    /// The name of the data centre that this client talks to; `None` where an old server does not tell
    /// (before API version 9.2).
    pub async fn get_datacenter_name(&self) -> Result<Option<String>> {
        let reply = self.send(datacenters()).await?;
        Ok(reply.header(DATACENTER_NAME).filter(|name| !name.is_empty()).map(str::to_owned))
    }

    /// The CloudAPI URL of the data centre `name`, which the server gives as a redirect.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound): there is no such data centre.
    pub async fn get_datacenter(&self, name: &str) -> Result<String> {
        let call = Call::get("GetDatacenter", format!("data centre {name}"))
            .path(["datacenters", name])
            .accept(&[StatusCode::FOUND]);
        let reply = self.send(call).await?;
        let url = reply.header("location").map(str::to_owned);
        url.ok_or_else(|| reply.protocol_error("the answer has no Location"))
    }

    /// The services of this data centre with their URLs; one that is missing is not deployed.
    pub async fn list_services(&self) -> Result<Services> {
        self.send(Call::get("ListServices", "services").path(["services"])).await?.object()
    }
}

fn datacenters() -> Call {
    Call::get("ListDatacenters", "data centres").path(["datacenters"])
}

//! The account: what is there, and the steps that change it.

use ipnet::IpNet;
use triton::budget::Priority;
use triton::types::{FirewallRule, Instance, InstanceAction, ListInstances, Network, UpdateFabricNetwork};
use triton::{Client, Error, Kind};

use super::plan::{Observed, Plan, Step, plan, routes_without};

/// What there is in the account, as values.
#[derive(Debug, Default)]
pub struct Account {
    instances: Vec<Instance>,
    rules: Vec<FirewallRule>,
    networks: Vec<Network>,
}

/// A list has rows that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// CloudAPI did not say what there is.
    #[error("cannot read what is in the account")]
    Triton(#[from] Error),
    /// What cannot be read might be the cluster's, or might show that something is not.
    #[error(
        "{count} of the account's {what} cannot be read, so nothing is certain; ask for a newer version of this program"
    )]
    Unreadable {
        /// How many.
        count: usize,
        /// Of what.
        what: &'static str,
    },
}

impl Account {
    /// Reads what there is. Fabric networks are read only where routes are to be looked at; without fabrics there are
    /// none.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub async fn read(client: &Client, pods: &[IpNet]) -> Result<Self, ReadError> {
        let client = client.with_priority(Priority::Refresh);
        let instances = client.list_all_instances(&ListInstances::default()).await?;
        complete(instances.undecodable.len(), "instances")?;
        let rules = client.list_firewall_rules().await?;
        complete(rules.undecodable.len(), "firewall rules")?;
        let networks = if pods.is_empty() { Vec::new() } else { fabric_networks(&client).await? };
        Ok(Self { instances: instances.items, rules: rules.items, networks })
    }

    /// What is the cluster's.
    pub fn plan(&self, cluster: &str, pods: &[IpNet]) -> Plan {
        plan(&self.observed(cluster, pods))
    }

    fn observed<'a>(&'a self, cluster: &'a str, pods: &'a [IpNet]) -> Observed<'a> {
        Observed { cluster, instances: &self.instances, rules: &self.rules, networks: &self.networks, pods }
    }

    /// Takes a step. What is gone already is no error.
    ///
    /// # Errors
    ///
    /// What CloudAPI said.
    pub async fn take(
        &self,
        client: &Client,
        step: &Step,
        cluster: &str,
        pods: &[IpNet],
    ) -> Result<(), Error> {
        match step {
            Step::Unroute { vlan, id, .. } => {
                // What is there now counts: others may have written since.
                let fresh = client.get_fabric_network(*vlan, *id).await?;
                let Some(routes) = routes_without(&fresh, &self.observed(cluster, pods)) else {
                    return Ok(());
                };
                let update = UpdateFabricNetwork { routes: Some(routes), ..UpdateFabricNetwork::default() };
                client.update_fabric_network(*vlan, *id, &update).await.map(drop)
            }
            Step::Untag { id, set, remove, .. } => {
                if !set.is_empty() {
                    absent(client.add_tags(*id, set).await.map(drop))?;
                }
                for key in remove {
                    absent(client.delete_tag(*id, key).await)?;
                }
                Ok(())
            }
            Step::Delete { id, protected, .. } => {
                if *protected {
                    let lift = InstanceAction::DisableDeletionProtection;
                    absent(client.act_on_instance(*id, &lift).await.map(drop))?;
                }
                absent(client.delete_instance(*id).await.map(drop))
            }
            Step::DeleteRule { id, .. } => absent(client.delete_firewall_rule(*id).await),
        }
    }
}

async fn fabric_networks(client: &Client) -> Result<Vec<Network>, ReadError> {
    let vlans = match client.list_fabric_vlans().await {
        Ok(vlans) => vlans,
        Err(error) if matches!(error.kind(), Kind::NotSupported | Kind::NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    complete(vlans.undecodable.len(), "fabric VLANs")?;
    let mut networks = Vec::new();
    for vlan in vlans.items {
        let listed = client.list_fabric_networks(vlan.vlan_id).await?;
        complete(listed.undecodable.len(), "fabric networks")?;
        networks.extend(listed.items);
    }
    Ok(networks)
}

fn complete(count: usize, what: &'static str) -> Result<(), ReadError> {
    if count == 0 { Ok(()) } else { Err(ReadError::Unreadable { count, what }) }
}

/// Whether what is to go is gone.
fn absent(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Gone) => Ok(()),
        answer => answer,
    }
}

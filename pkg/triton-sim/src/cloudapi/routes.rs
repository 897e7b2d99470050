//! Which operation a method and a path mean (reference 2.7).

use http::Method;
use semver::Version;

use super::version::{SERVED, VNC};

/// The groups of routes that are throttled together (reference 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    AccessKeys,
    Account,
    Changefeed,
    Config,
    Datacenters,
    /// Images.
    Datasets,
    Keys,
    /// Instances with their tags, metadata, snapshots, disks, migrations, audit, and firewall rules.
    Machines,
    Networks,
    Nics,
    Packages,
    Policies,
    Resources,
    Roles,
    Services,
    Users,
    Volumes,
    /// Never throttled: routes that nobody signs in for.
    Open,
}

/// What the path is of: decides who may use it and how it can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// Every version.
    First,
    /// Sub-users, NICs, disks.
    V7_2,
    /// Fabrics.
    V7_3,
    /// Served as 8.4.0 only.
    Vnc,
}

impl Since {
    fn serves(self, version: &Version) -> bool {
        match self {
            Self::First => *version != VNC,
            Self::V7_2 => *version != VNC && *version >= Version::new(7, 2, 0),
            Self::V7_3 => *version != VNC && *version >= Version::new(7, 3, 0),
            Self::Vnc => *version == VNC,
        }
    }
}

macro_rules! routes {
    ($( $operation:ident $group:ident $since:ident $( $method:ident $path:literal )+; )*) => {
        /// An operation of CloudAPI by its route's name, which in lower case is also what policies of roles
        /// call it (reference 1.6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names are those of the public manual")]
        pub enum Operation { $( $operation ),* }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[ $( Self::$operation ),* ];

            /// The name, such as `GetMachine`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$operation => stringify!($operation) ),* }
            }
        }

        /// Every route. Of two that match, the first is meant.
        static ROUTES: &[Route] = &[ $( $( Route {
            method: Method::$method,
            path: $path,
            operation: Operation::$operation,
            group: Group::$group,
            since: Since::$since,
        } ),+ ),* ];
    };
}

routes! {
    Docs Open First GET "/" GET "/docs" GET "/favicon.ico";
    Ping Open First GET "/--ping";

    GetAccount Account First GET "/:account";
    UpdateAccount Account First POST "/:account";
    GetProvisioningLimits Account First GET "/:account/limits";
    GetConfig Config First GET "/:account/config";
    // The public Go client sends POST. The real server answers that with 405; here it works (reference 7.4).
    UpdateConfig Config First PUT "/:account/config" POST "/:account/config";
    ListDatacenters Datacenters First GET "/:account/datacenters";
    GetDatacenter Datacenters First GET "/:account/datacenters/:datacenter";
    ListServices Services First GET "/:account/services";

    ListKeys Keys First GET "/:account/keys";
    CreateKey Keys First POST "/:account/keys";
    GetKey Keys First GET "/:account/keys/:name";
    DeleteKey Keys First DELETE "/:account/keys/:name";

    ListUsers Users V7_2 GET "/:account/users";
    CreateUser Users V7_2 POST "/:account/users";
    GetUser Users V7_2 GET "/:account/users/:user";
    UpdateUser Users V7_2 POST "/:account/users/:user";
    DeleteUser Users V7_2 DELETE "/:account/users/:user";
    ChangeUserPassword Users V7_2 POST "/:account/users/:user/change_password";
    ListUserKeys Keys V7_2 GET "/:account/users/:user/keys";
    CreateUserKey Keys V7_2 POST "/:account/users/:user/keys";
    GetUserKey Keys V7_2 GET "/:account/users/:user/keys/:name";
    DeleteUserKey Keys V7_2 DELETE "/:account/users/:user/keys/:name";
    ListRoles Roles V7_2 GET "/:account/roles";
    CreateRole Roles V7_2 POST "/:account/roles";
    GetRole Roles V7_2 GET "/:account/roles/:role";
    UpdateRole Roles V7_2 POST "/:account/roles/:role";
    DeleteRole Roles V7_2 DELETE "/:account/roles/:role";
    ListPolicies Policies V7_2 GET "/:account/policies";
    CreatePolicy Policies V7_2 POST "/:account/policies";
    GetPolicy Policies V7_2 GET "/:account/policies/:policy";
    UpdatePolicy Policies V7_2 POST "/:account/policies/:policy";
    DeletePolicy Policies V7_2 DELETE "/:account/policies/:policy";

    ListAccessKeys AccessKeys First GET "/:account/accesskeys";
    CreateAccessKey AccessKeys First POST "/:account/accesskeys";
    GetAccessKey AccessKeys First GET "/:account/accesskeys/:accesskeyid";
    DeleteAccessKey AccessKeys First DELETE "/:account/accesskeys/:accesskeyid";
    ListUserAccessKeys AccessKeys First GET "/:account/users/:user/accesskeys";
    CreateUserAccessKey AccessKeys First POST "/:account/users/:user/accesskeys";
    GetUserAccessKey AccessKeys First GET "/:account/users/:user/accesskeys/:accesskeyid";
    DeleteUserAccessKey AccessKeys First DELETE "/:account/users/:user/accesskeys/:accesskeyid";

    ListImages Datasets First GET "/:account/images";
    CreateImageFromMachine Datasets First POST "/:account/images";
    GetImage Datasets First GET "/:account/images/:dataset";
    UpdateImage Datasets First POST "/:account/images/:dataset";
    DeleteImage Datasets First DELETE "/:account/images/:dataset";

    ListPackages Packages First GET "/:account/packages";
    GetPackage Packages First GET "/:account/packages/:package";

    ListMachines Machines First GET "/:account/machines";
    CreateMachine Machines First POST "/:account/machines";
    GetMachine Machines First GET "/:account/machines/:machine";
    UpdateMachine Machines First POST "/:account/machines/:machine";
    DeleteMachine Machines First DELETE "/:account/machines/:machine";
    MachineAudit Machines First GET "/:account/machines/:machine/audit";
    ListMachineTags Machines First GET "/:account/machines/:machine/tags";
    AddMachineTags Machines First POST "/:account/machines/:machine/tags";
    ReplaceMachineTags Machines First PUT "/:account/machines/:machine/tags";
    DeleteMachineTags Machines First DELETE "/:account/machines/:machine/tags";
    GetMachineTag Machines First GET "/:account/machines/:machine/tags/:tag";
    DeleteMachineTag Machines First DELETE "/:account/machines/:machine/tags/:tag";
    ListMachineMetadata Machines First GET "/:account/machines/:machine/metadata";
    AddMachineMetadata Machines First POST "/:account/machines/:machine/metadata";
    DeleteAllMachineMetadata Machines First DELETE "/:account/machines/:machine/metadata";
    GetMachineMetadata Machines First GET "/:account/machines/:machine/metadata/:key";
    DeleteMachineMetadata Machines First DELETE "/:account/machines/:machine/metadata/:key";
    ListMachineSnapshots Machines First GET "/:account/machines/:machine/snapshots";
    CreateMachineSnapshot Machines First POST "/:account/machines/:machine/snapshots";
    GetMachineSnapshot Machines First GET "/:account/machines/:machine/snapshots/:name";
    StartMachineFromSnapshot Machines First POST "/:account/machines/:machine/snapshots/:name";
    DeleteMachineSnapshot Machines First DELETE "/:account/machines/:machine/snapshots/:name";
    ListMachineDisks Machines V7_2 GET "/:account/machines/:machine/disks";
    CreateMachineDisk Machines V7_2 POST "/:account/machines/:machine/disks";
    GetMachineDisk Machines V7_2 GET "/:account/machines/:machine/disks/:disk";
    ResizeMachineDisk Machines V7_2 POST "/:account/machines/:machine/disks/:disk";
    DeleteMachineDisk Machines V7_2 DELETE "/:account/machines/:machine/disks/:disk";
    ListNics Nics V7_2 GET "/:account/machines/:machine/nics";
    AddNic Nics V7_2 POST "/:account/machines/:machine/nics";
    GetNic Nics V7_2 GET "/:account/machines/:machine/nics/:mac";
    RemoveNic Nics V7_2 DELETE "/:account/machines/:machine/nics/:mac";
    MigrateMachineEstimate Machines First GET "/:account/machines/:machine/migrate";
    Migrate Machines First POST "/:account/machines/:machine/migrate";
    ListMigrations Machines First GET "/:account/migrations";
    GetMigration Machines First GET "/:account/migrations/:machine";
    ConnectMachineVNC Machines Vnc GET "/:account/machines/:machine/vnc";
    ListMachineFirewallRules Machines First GET "/:account/machines/:machine/fwrules";

    ListFirewallRules Machines First GET "/:account/fwrules";
    CreateFirewallRule Machines First POST "/:account/fwrules";
    GetFirewallRule Machines First GET "/:account/fwrules/:id";
    UpdateFirewallRule Machines First POST "/:account/fwrules/:id";
    DeleteFirewallRule Machines First DELETE "/:account/fwrules/:id";
    EnableFirewallRule Machines First POST "/:account/fwrules/:id/enable";
    DisableFirewallRule Machines First POST "/:account/fwrules/:id/disable";
    ListFirewallRuleMachines Machines First GET "/:account/fwrules/:id/machines";

    ListNetworks Networks First GET "/:account/networks";
    GetNetwork Networks First GET "/:account/networks/:network";
    ListNetworkIPs Networks First GET "/:account/networks/:network/ips";
    GetNetworkIP Networks First GET "/:account/networks/:network/ips/:ip_address";
    UpdateNetworkIP Networks First PUT "/:account/networks/:network/ips/:ip_address";
    ListFabricVLANs Networks V7_3 GET "/:account/fabrics/default/vlans";
    CreateFabricVLAN Networks V7_3 POST "/:account/fabrics/default/vlans";
    GetFabricVLAN Networks V7_3 GET "/:account/fabrics/default/vlans/:vlan_id";
    UpdateFabricVLAN Networks V7_3 PUT "/:account/fabrics/default/vlans/:vlan_id";
    DeleteFabricVLAN Networks V7_3 DELETE "/:account/fabrics/default/vlans/:vlan_id";
    ListFabricNetworks Networks V7_3 GET "/:account/fabrics/default/vlans/:vlan_id/networks";
    CreateFabricNetwork Networks V7_3 POST "/:account/fabrics/default/vlans/:vlan_id/networks";
    GetFabricNetwork Networks V7_3 GET "/:account/fabrics/default/vlans/:vlan_id/networks/:id";
    UpdateFabricNetwork Networks V7_3 PUT "/:account/fabrics/default/vlans/:vlan_id/networks/:id";
    DeleteFabricNetwork Networks V7_3 DELETE "/:account/fabrics/default/vlans/:vlan_id/networks/:id";

    ListVolumeSizes Volumes First GET "/:account/volumesizes";
    ListVolumes Volumes First GET "/:account/volumes";
    CreateVolume Volumes First POST "/:account/volumes";
    GetVolume Volumes First GET "/:account/volumes/:id";
    UpdateVolume Volumes First POST "/:account/volumes/:id";
    DeleteVolume Volumes First DELETE "/:account/volumes/:id";

    Changefeed Changefeed First GET "/:account/changefeed";

    SetRoleTags Resources V7_2
        PUT "/:account"
        PUT "/:account/users/:user/keys"
        PUT "/:account/users/:user/keys/:name"
        PUT "/:account/:resource"
        PUT "/:account/:resource/:id";
}

impl Operation {
    /// Whether requests need no signature.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Docs | Self::Ping)
    }

    /// Whether HEAD is a route where GET is one (reference 2.7).
    fn has_head(self) -> bool {
        !matches!(
            self,
            Self::Changefeed
                | Self::ConnectMachineVNC
                | Self::Docs
                | Self::GetDatacenter
                | Self::GetMigration
                | Self::GetProvisioningLimits
                | Self::GetVolume
                | Self::ListDatacenters
                | Self::ListMigrations
                | Self::ListServices
                | Self::ListVolumeSizes
                | Self::ListVolumes
                | Self::MigrateMachineEstimate
                | Self::Ping
        )
    }
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    method: Method,
    path: &'static str,
    /// What it means.
    pub(crate) operation: Operation,
    /// What it is throttled with.
    pub(crate) group: Group,
    since: Since,
}

impl Route {
    /// The versions of the API that have this route.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &'static Version> {
        let since = self.since;
        SERVED.iter().chain([&VNC]).filter(move |version| since.serves(version))
    }

    fn matches<'p>(&self, segments: &'p [String]) -> Option<Vec<(&'static str, &'p str)>> {
        let mut pattern = self.path.split('/').filter(|segment| !segment.is_empty());
        let mut params = Vec::new();
        for segment in segments {
            let wanted = pattern.next()?;
            match wanted.strip_prefix(':') {
                Some(name) => params.push((name, segment.as_str())),
                None if wanted == segment => {}
                None => return None,
            }
        }
        pattern.next().is_none().then_some(params)
    }

    fn answers(&self, method: &Method) -> bool {
        self.method == method
            || (method == Method::HEAD && self.method == Method::GET && self.operation.has_head())
    }
}

/// Where a request leads.
#[derive(Debug)]
pub(crate) enum Found<'p> {
    /// To this route, with the parameters of the path.
    Route(&'static Route, Vec<(&'static str, &'p str)>),
    /// The path takes other methods only: these.
    WrongMethod(String),
    /// There is no such path.
    Nothing,
}

/// Finds the route. Without `volumes`, theirs are not there (reference 2.23).
pub(crate) fn find<'p>(method: &Method, segments: &'p [String], volumes: bool) -> Found<'p> {
    let mut allowed: Vec<&str> = Vec::new();
    for route in ROUTES {
        if route.group == Group::Volumes && !volumes {
            continue;
        }
        let Some(params) = route.matches(segments) else { continue };
        if route.answers(method) {
            return Found::Route(route, params);
        }
        allowed.push(route.method.as_str());
        if route.answers(&Method::HEAD) {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Found::Nothing;
    }
    allowed.sort_unstable();
    allowed.dedup();
    Found::WrongMethod(allowed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::params::path_segments;
    use super::super::version::negotiate;
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: &str) {
        let segments = path_segments(path).expect("a path");
        let found = match find(&method.parse().expect("a method"), &segments, true) {
            Found::Route(route, params) => {
                let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{} {}", route.operation.name(), params.join(" ")).trim_end().to_owned()
            }
            Found::WrongMethod(allowed) => format!("405 {allowed}"),
            Found::Nothing => "404".to_owned(),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn methods_and_paths_lead_to_operations() {
        check("GET", "/--ping", "Ping");
        check("GET", "/", "Docs");
        check("GET", "/docs", "Docs");
        check("GET", "/acme", "GetAccount account=acme");
        check("GET", "/my/machines", "ListMachines account=my");
        check("HEAD", "/my/machines", "ListMachines account=my");
        check("GET", "/my/machines/m/nics/90b8d0aabbcc", "GetNic account=my machine=m mac=90b8d0aabbcc");
        check("GET", "/my/machines/m/tags/a%2Fb", "GetMachineTag account=my machine=m tag=a/b");
        check("POST", "/my/fwrules/1/enable", "EnableFirewallRule account=my id=1");
        check("PUT", "/my/config", "UpdateConfig account=my");
        check("POST", "/my/config", "UpdateConfig account=my");
        check("PUT", "/my/machines/m/tags", "ReplaceMachineTags account=my machine=m");
        check("PUT", "/my/machines/m", "SetRoleTags account=my resource=machines id=m");
        check("PUT", "/my/users/u/keys/k", "SetRoleTags account=my user=u name=k");
        check("PUT", "/my", "SetRoleTags account=my");
        check("GET", "/my/networks/n/ips/10.0.0.1", "GetNetworkIP account=my network=n ip_address=10.0.0.1");
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        check("DELETE", "/my/config", "405 GET, HEAD, POST, PUT");
        check("DELETE", "/my/machines", "405 GET, HEAD, POST, PUT");
        check("HEAD", "/my/services", "405 GET, PUT");
        check("PATCH", "/my/machines/m", "405 DELETE, GET, HEAD, POST, PUT");
        check("POST", "/my/machines/m/tags/t", "405 DELETE, GET, HEAD");
        // The generic route of role tags has every such path (reference 2.23).
        check("GET", "/my/nonsense", "405 PUT");
        check("GET", "/my/machines/m/nonsense", "404");
        check("GET", "/a/b/c/d/e/f/g/h", "404");
    }

    #[test]
    fn without_the_feature_volumes_have_no_routes() {
        let segments = path_segments("/my/volumes").expect("a path");
        assert!(matches!(find(&Method::GET, &segments, true), Found::Route(..)));
        assert!(
            matches!(find(&Method::GET, &segments, false), Found::WrongMethod(allowed) if allowed == "PUT")
        );
    }

    #[test]
    fn routes_exist_in_the_versions_that_had_them() {
        let version = |path: &str, range: &str| {
            let segments = path_segments(path).expect("a path");
            let Found::Route(route, _) = find(&Method::GET, &segments, true) else { panic!("{path}") };
            negotiate(range, route.versions()).map(Version::to_string)
        };
        for (path, range, expected) in [
            ("/my", "~9||~8", Some("9.0.0")),
            ("/my", "~8", Some("8.0.0")),
            ("/my", "8.4.0", None),
            ("/my/machines/m/vnc", "~8", Some("8.4.0")),
            ("/my/machines/m/vnc", "~9", None),
            ("/my/machines/m/nics", "~7.1", None),
            ("/my/machines/m/nics", "~7.2", Some("7.2.0")),
            ("/my/fabrics/default/vlans", "~7.2", None),
        ] {
            assert_eq!(version(path, range).as_deref(), expected, "{path} {range}");
        }
    }
}

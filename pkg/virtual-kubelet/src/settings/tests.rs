use std::collections::BTreeMap;
use std::path::Path;

use rstest::rstest;
use runtime::exit::Fatal;

use super::*;

const BASICS: [(&str, &str); 3] = [
    ("SDC_URL", "https://cloudapi.example.com"),
    ("SDC_ACCOUNT", "acme"),
    ("SDC_KEY_MATERIAL", "/etc/triton/key"),
];

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let variables: BTreeMap<&str, &str> = BASICS.iter().chain(variables).copied().collect();
    let arguments = [&["vk"], arguments].concat();
    let process = |name: &str| variables.get(name).map(OsString::from);
    Settings::load_from(arguments, process, &variables.clone().into_iter().collect())
}

fn flags(arguments: &[&str], variables: &[(&str, &str)]) -> Flags {
    load(arguments, variables).unwrap_or_else(|error| panic!("{arguments:?}: {error}")).flags
}

/// The exit code and the line that bad settings get.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> (u8, String) {
    let fatal = Fatal::from(load(arguments, variables).map(drop).expect_err("bad settings"));
    (fatal.code(), fatal.to_string())
}

#[test]
fn the_defaults_are_the_originals() {
    let flags = flags(&[], &[]);
    assert_eq!((flags.nodename.as_str(), flags.cluster_name.as_str()), ("virtual-kubelet", "kubernetes"));
    assert_eq!((flags.kubelet_port, flags.node_address, flags.disable_taint), (10250, None, false));
    assert_eq!(flags.taint_key, "virtual-kubelet.io/provider");
    assert_eq!((flags.taint_value.as_str(), flags.taint_effect), ("triton", TaintEffect::NoSchedule));
    assert_eq!(flags.admin_address.to_string(), "0.0.0.0:10255");
    assert_eq!((flags.kube.kube_api_qps, flags.kube.kube_api_burst), (1000.0, 2000));
    let election = flags.election("host_1").expect("an election");
    assert_eq!(
        (election.namespace.as_str(), election.name.as_str()),
        ("kube-system", "triton-virtual-kubelet")
    );
    assert_eq!(flags.without_effect(), [""; 0]);
}

#[test]
fn the_originals_flags_and_variables_go_on_to_work() {
    let arguments = ["--nodename", "dc1", "--provider", "triton", "--log-level", "warning"];
    let more =
        ["--metrics-addr", ":10255", "--disable-taint", "--pod-sync-workers", "10", "--enable-node-lease"];
    let variables = [
        ("KUBELET_PORT", "10251"),
        ("VKUBELET_POD_IP", "10.0.0.7"),
        ("VKUBELET_TAINT_KEY", "example.com/cloud"),
        ("VKUBELET_TAINT_VALUE", "smart"),
        ("VKUBELET_TAINT_EFFECT", "NoExecute"),
        ("KUBECONFIG", "/kube/config"),
        ("DEFAULT_NODE_NAME", "not-me"),
    ];
    let flags = flags(&[&arguments[..], &more].concat(), &variables);
    assert_eq!((flags.nodename.as_str(), flags.kubelet_port), ("dc1", 10251));
    assert_eq!(flags.node_address, "10.0.0.7".parse().ok());
    assert_eq!((flags.taint_key.as_str(), flags.taint_value.as_str()), ("example.com/cloud", "smart"));
    assert_eq!((flags.taint_effect, flags.disable_taint), (TaintEffect::NoExecute, true));
    assert_eq!(flags.kube.kubeconfig.as_deref(), Some(Path::new("/kube/config")));
    assert_eq!(flags.admin_address.to_string(), "0.0.0.0:10255");
    assert_eq!(flags.logs().level, "warn");
    assert_eq!(flags.without_effect(), ["--pod-sync-workers", "--enable-node-lease"]);
    assert_eq!(flags.election("i").expect("an election").name, "triton-dc1");
}

#[test]
fn flags_win_over_our_variables_and_these_over_the_originals() {
    let variables = [("KUBELET_PORT", "1"), ("TRITON_VK_KUBELET_PORT", "2")];
    assert_eq!(flags(&[], &variables).kubelet_port, 2);
    assert_eq!(flags(&["--kubelet-port", "3"], &variables).kubelet_port, 3);
    assert_eq!(flags(&[], &[("KUBELET_PORT", "1"), ("TRITON_VK_KUBELET_PORT", "")]).kubelet_port, 1);
    assert_eq!(flags(&[], &[("KUBELET_PORT", "")]).kubelet_port, 10250);
    let named = flags(&["--leader-elect-resource-name", "mine"], &[]).election("i").expect("an election");
    assert_eq!(named.name, "mine");
    assert_eq!(flags(&["--leader-elect=false"], &[]).election("i"), None);
    assert_eq!(flags(&["--kube-api-qps", "5"], &[]).kube.kube_api_qps, 5.0);
}

#[rstest]
#[case(&["--provider", "aws"], &[], 2, "invalid value 'aws' for '--provider <PROVIDER>' [possible values: triton]; try --help")]
#[case(&["--nodes"], &[], 2, "unexpected argument '--nodes' found")]
#[case(&["--nodename", "Node"], &[], 2, "invalid value 'Node' for '--nodename <NAME>': a node's name has at most 63 characters")]
#[case(&["--cluster-name", "-"], &[], 2, "invalid value '-' for '--cluster-name <NAME>': a cluster's name")]
#[case(&["--taint-key", "a/b/c"], &[], 2, "invalid value 'a/b/c' for '--taint-key <KEY>': not a taint's key")]
#[case(&["--metrics-addr", "here"], &[], 2, "invalid value 'here' for '--admin-address <ADDRESS>': not an address")]
#[case(&[], &[("KUBELET_PORT", "0")], 2, "environment variable KUBELET_PORT: ")]
#[case(&[], &[("TRITON_VK_KUBELET_PORT", "x")], 2, "environment variable TRITON_VK_KUBELET_PORT: ")]
#[case(&[], &[("VKUBELET_POD_IP", "x")], 2, "environment variable VKUBELET_POD_IP: ")]
#[case(&[], &[("VKUBELET_TAINT_EFFECT", "NoWay")], 2, "environment variable VKUBELET_TAINT_EFFECT: ")]
#[case(&["--ssh-key", "/none"], &[], 1, "cannot use the SSH key /none; check --ssh-key: it cannot be read")]
#[case(&[], &[("TRITON_VK_SSH_KEY", "/none")], 1, "cannot use the SSH key /none; check --ssh-key")]
#[case(&["--provider-config", "/none.toml"], &[], 1, "cannot read the provider's file /none.toml; check --provider-config")]
#[case(&[], &[("SDC_URL", "")], 2, "settings are missing: set TRITON_URL")]
#[case(&[], &[("SDC_KEY_ID", "laptop")], 2, "SDC_KEY_ID is not a key fingerprint")]
fn what_cannot_be_is_refused_in_one_line(
    #[case] arguments: &[&str],
    #[case] variables: &[(&str, &str)],
    #[case] code: u8,
    #[case] expected: &str,
) {
    let (got, line) = refused(arguments, variables);
    assert!(line.starts_with(expected) && line.lines().count() == 1, "{line}");
    assert_eq!(got, code, "{line}");
}

#[test]
fn the_variables_win_over_a_current_profile_of_the_official_client() {
    let home = tempfile::tempdir().expect("a directory");
    let profiles = home.path().join(".triton/profiles.d");
    std::fs::create_dir_all(&profiles).expect("a directory");
    let profile = r#"{"url": "https://dc2", "account": "other", "keyId": "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5"}"#;
    std::fs::write(profiles.join("dc2.json"), profile).expect("a file");
    std::fs::write(home.path().join(".triton/config.json"), r#"{"profile": "dc2"}"#).expect("a file");
    let home = ("HOME", home.path().to_str().expect("unicode"));
    let url = |variables: &[(&str, &str)]| match load(&[], variables).expect("settings").triton {
        CloudApi::Settings(config) => config.url.to_string(),
        CloudApi::Secret(name) => panic!("a Secret: {name}"),
    };
    assert_eq!(url(&[home]), "https://cloudapi.example.com");
    assert_eq!(url(&[home, ("TRITON_PROFILE", "dc2")]), "https://dc2");
    assert_eq!(url(&[home, ("SDC_URL", "")]), "https://dc2");
}

fn file(text: &str) -> Result<ProviderFile, String> {
    ProviderFile::parse(Path::new("triton.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn the_originals_file_is_read_and_an_empty_one_is_fine() {
    assert_eq!(file(""), Ok(ProviderFile::default()));
    assert_eq!(file("# nothing\n"), Ok(ProviderFile::default()));
    let text = r#"
        Region = "us-east-1"
        PlatformVersion = "LATEST"
        OperatingSystem = "Linux"
        CPU = "20"
        Memory = "40Gi"
        Storage = "40Gi"
        Pods = "20"
    "#;
    let figures = Figures {
        cpu_millis: Some(20_000),
        memory_bytes: Some(40 << 30),
        storage_bytes: Some(40 << 30),
        pods: Some(20),
    };
    let expected = ProviderFile { figures, region: Some("us-east-1".to_owned()), ..ProviderFile::default() };
    assert_eq!(file(text), Ok(expected));
    let figures = Figures { cpu_millis: Some(1500), pods: Some(7), ..Figures::default() };
    let bare = ProviderFile { figures, ..ProviderFile::default() };
    assert_eq!(file("CPU = 1.5\nPods = 7\n"), Ok(bare));
}

#[rstest]
#[case("CPU = \"20\"\nCpu = \"20\"\n", "triton.toml:2: unknown field `Cpu`")]
#[case("CPU = \n", "triton.toml:1: ")]
#[case("\n\nPods = true\n", "triton.toml:3: ")]
#[case("CPU = \"many\"\n", "triton.toml:1: CPU is not a quantity such as 20 or 40Gi: \"many\"")]
#[case("Pods = \"1\"\nCPU = \"249m\"\n", "triton.toml:2: CPU is \"249m\", and must be at least 250m")]
#[case("Memory = \"511Mi\"\n", "triton.toml:1: Memory is \"511Mi\", and must be at least 512Mi")]
#[case("Storage = \"-1\"\n", "triton.toml:1: Storage is \"-1\", and must be at least 0")]
#[case("Pods = 0\n", "triton.toml:1: Pods is \"0\", and must be at least 1")]
#[case("Memory = \"16Ei\"\n", "triton.toml:1: Memory is \"16Ei\", which is too large")]
#[case("[[Node]]\nCPU = 1\n", "triton.toml:1: missing field `Name`")]
#[case("[[Node]]\nName = \"a\"\nCpu = 1\n", "triton.toml:3: unknown field `Cpu`")]
#[case("[[Node]]\nName = \"A\"\n", "triton.toml:2: Name is \"A\": a node's name has at most 63 characters")]
#[case("[[Node]]\nName = \"a\"\n[[Node]]\nName = \"a\"\n", "triton.toml:4: Name a is that of another node")]
#[case("[[Node]]\nName = \"a\"\nPods = 0\n", "triton.toml:3: Pods is \"0\"")]
#[case("[[Node]]\nName = \"a\"\nTaints = [\"x\"]\n", "triton.toml:3: Taints is not a taint such as")]
#[case("[[Node]]\nName = \"a\"\nTaints = [\"x=y:No\"]\n", "triton.toml:3: Taints is not a taint such as")]
#[case(
    "[[Node]]\nName = \"a\"\nLabels = {type = \"x\"}\n",
    "triton.toml:3: Labels has type, which is the same on"
)]
#[case(
    "[[Node]]\nName = \"a\"\nLabels = {\"a b\" = \"x\"}\n",
    "triton.toml:3: Labels has \"a b\", which is not a label's key"
)]
#[case(
    "[[Node]]\nName = \"a\"\nLabels = {a = \"b c\"}\n",
    "triton.toml:3: Labels has a = \"b c\"; a label's value"
)]
#[case(
    "[[Node]]\nName = \"a\"\nPackages = [\"g1.[\"]\n",
    "triton.toml:3: Packages has no pattern of names such as g1.*: \"g1.[\""
)]
#[case("[[Node]]\nName = \"a\"\nNetworks = [\" \"]\n", "triton.toml:3: Networks has an empty name")]
#[case("\nOperatingSystem = \"Windows\"\n", "triton.toml:2: OperatingSystem must be Linux")]
#[case("Region = \"the moon\"\n", "triton.toml:1: Region must be fit for a label")]
fn what_the_file_must_not_say_is_refused_with_its_line(#[case] text: &str, #[case] expected: &str) {
    let error = file(text).expect_err("a bad file");
    assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
}

#[test]
fn a_process_has_the_nodes_of_its_file_or_the_one_of_its_flags() {
    let flags = flags(&["--nodename", "pools"], &[]);
    let one = file("Region = \"moon\"\nPods = 7\n").unwrap().virtual_nodes(&flags);
    let [node] = one.as_slice() else { panic!("{one:?}") };
    assert_eq!(
        (node.name.as_str(), node.region.as_deref(), node.figures.pods),
        ("pools", Some("moon"), Some(7))
    );
    assert_eq!(node.taints, ["virtual-kubelet.io/provider=triton:NoSchedule".parse().unwrap()]);
    assert!(node.packages.accepts_all() && node.networks.is_empty());

    let text = r#"
        Region = "moon"
        Pods = 7
        [[Node]]
        Name = "compute"
        CPU = 100
        Labels = { "topology.kubernetes.io/zone" = "rack-1", pool = "" }
        Taints = ["dedicated=compute:NoSchedule", "example.com/x:NoExecute"]
        Packages = ["g1.*", "k4-?"]
        Networks = ["My-Fabric-Network"]
        [[Node]]
        Name = "storage"
        Region = "mars"
        Pods = "9"
        Taints = []
    "#;
    let nodes = file(text).unwrap().virtual_nodes(&flags);
    let [compute, storage] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!((compute.name.as_str(), compute.region.as_deref()), ("compute", Some("moon")));
    assert_eq!((compute.figures.cpu_millis, compute.figures.pods), (Some(100_000), Some(7)));
    assert_eq!(compute.labels.len(), 2);
    let accepted = ["g1.nano", "b1.large", "k4-2", "k4-20"].map(|name| compute.packages.accepts(name));
    assert_eq!(accepted, [true, false, true, false]);
    assert_eq!(compute.packages.to_string(), "g1.*, k4-?");
    assert_eq!(compute.networks, ["My-Fabric-Network"]);
    let expected =
        [("dedicated", "compute", TaintEffect::NoSchedule), ("example.com/x", "", TaintEffect::NoExecute)];
    let taints: Vec<_> =
        compute.taints.iter().map(|it| (it.key.as_str(), it.value.as_str(), it.effect)).collect();
    assert_eq!(taints, expected);
    assert_eq!((storage.region.as_deref(), storage.figures.pods), (Some("mars"), Some(9)));
    assert_eq!(storage.taints, []);
}

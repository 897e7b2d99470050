use crate::types::*;

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

#[test]
fn list_filters_become_query_pairs() {
    fn check(pairs: Vec<(String, String)>, expected: &str) {
        let text: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(text.join("&"), expected);
    }
    check(ListInstances::default().query(), "");
    check(
        ListInstances {
            instance_type: Some(InstanceType::SmartMachine),
            brand: Some(Brand::Lx),
            name_prefix: Some("web-1".into()),
            image: Some(ID.parse().unwrap()),
            state: Some(InstanceStateFilter::Active),
            memory_mib: Some(1024),
            tombstone: true,
            tags: [
                ("k8s.cluster".into(), "prod & test".into()),
                ("tier".into(), 2.into()),
                ("up".into(), true.into()),
            ]
            .into(),
            docker: Some(false),
            credentials: true,
            limit: Some(5000),
            offset: Some(3000),
        }
        .query(),
        &format!(
            "type=smartmachine&brand=lx&name=web-1&image={ID}&state=active&memory=1024&tombstone=true\
             &docker=false&credentials=true&tag.k8s.cluster=prod & test&tag.tier=2&tag.up=true\
             &limit=1000&offset=3000"
        ),
    );
    check(ListInstances { limit: Some(0), ..ListInstances::default() }.query(), "limit=1");
    for (state, word) in [
        (InstanceStateFilter::Running, "running"),
        (InstanceStateFilter::Stopped, "stopped"),
        (InstanceStateFilter::Unknown, "unknown"),
        (InstanceStateFilter::Destroyed, "destroyed"),
    ] {
        let filter = ListInstances { state: Some(state), ..ListInstances::default() };
        check(filter.query(), &format!("state={word}"));
    }
    check(
        ListImages {
            name: Some("base-64-lts".into()),
            version: Some("21.4.0".into()),
            os: Some("smartos".into()),
            public: Some(true),
            state: Some(ImageState::Disabled),
            all_states: false,
            owner: Some(ID.parse().unwrap()),
            image_type: Some(ImageType::ZoneDataset),
        }
        .query(),
        &format!(
            "name=base-64-lts&version=21.4.0&os=smartos&public=true&state=disabled&owner={ID}&type=zone-dataset"
        ),
    );
    check(
        ListImages { state: Some(ImageState::Active), all_states: true, ..ListImages::default() }.query(),
        "state=all",
    );
    check(
        ListPackages {
            name: Some("g1.*".into()),
            memory_mib: Some(1024),
            disk_mib: Some(25_600),
            swap_mib: Some(4096),
            lwps: Some(4000),
            vcpus: Some(0),
            version: Some("1.0.0".into()),
            group: Some("g1".into()),
            brand: Some(Brand::Bhyve),
            flexible_disk: Some(true),
        }
        .query(),
        "name=g1.*&memory=1024&disk=25600&swap=4096&lwps=4000&vcpus=0&version=1.0.0&group=g1&brand=bhyve\
         &flexible_disk=true",
    );
    check(ListNetworks { fabric: Some(true) }.query(), "fabric=true");
    check(
        ListVolumes {
            name: Some("data".into()),
            size_mib: Some(10_240),
            state: Some(VolumeState::Ready),
            volume_type: Some(VolumeType::TritonNfs),
            predicate: Some("{}".into()),
        }
        .query(),
        "name=data&size=10240&state=ready&type=tritonnfs&predicate={}",
    );
    check(
        ImportImage { datacenter: "us-east-1".into(), id: ID.parse().unwrap() }.query(),
        &format!("datacenter=us-east-1&id={ID}"),
    );
}

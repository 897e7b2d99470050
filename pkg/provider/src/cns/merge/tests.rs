use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn entries(text: &str) -> Vec<CnsService> {
    if text.is_empty() { Vec::new() } else { text.parse::<CnsServices>().unwrap().into_iter().collect() }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The two tags after a change; an absent tag is empty.
fn apply(change: &Change, current: &str, owned: &str) -> [String; 2] {
    [(tag::CNS_SERVICES, current), (tag::CNS, owned)].map(|(key, before)| match change.set.get(key) {
        Some(value) => value.to_string(),
        None if change.remove.contains(&key) => String::new(),
        None => before.to_owned(),
    })
}

#[rstest]
#[case::the_first_entry(["", ""], "web:80", ["web:80", "web:80"])]
#[case::beside_others(["Legacy:port=0443,a", ""], "web:80", ["Legacy:port=0443,a,web:80", "web:80"])]
#[case::a_port_that_changed(["a,web:80,b", "web:80"], "web:81", ["a,b,web:81", "web:81"])]
#[case::one_more(["web:80,b", "web:80"], "web:80,api", ["web:80,b,api", "web:80,api"])]
#[case::one_less(["web:80,b,api", "web:80,api"], "api", ["b,api", "api"])]
#[case::the_last_of_ours(["web:80,b", "web:80"], "", ["b", ""])]
#[case::the_last_of_all(["web:80", "web:80"], "", ["", ""])]
#[case::removed_by_hand(["", "web:80"], "web:80", ["web:80", "web:80"])]
#[case::removed_by_hand_and_unwanted(["b", "web:80"], "", ["b", ""])]
#[case::a_record_of_other_order(["a:1,b:2", "b:2,a:1"], "a:1,b:2", ["a:1,b:2", "a:1,b:2"])]
#[case::wanted_twice(["", ""], "web,web", ["web", "web"])]
fn ours_are_replaced_and_others_kept(
    #[case] before: [&str; 2],
    #[case] desired: &str,
    #[case] after: [&str; 2],
) {
    let merge = merge(some(before[0]), some(before[1]), &entries(desired));
    assert_eq!(merge.conflicts, []);
    assert_eq!(apply(&merge.change, before[0], before[1]), after);
}

#[rstest]
#[case::nothing_at_all("", "", "")]
#[case::all_as_it_should_be("a,web:80,b", "web:80", "web:80")]
#[case::another_order("api,web", "api,web", "web,api")]
#[case::only_others("a,b", "", "")]
fn nothing_is_written_when_nothing_changes(
    #[case] current: &str,
    #[case] owned: &str,
    #[case] desired: &str,
) {
    assert_eq!(merge(some(current), some(owned), &entries(desired)), Merge::default());
}

#[test]
fn entries_and_their_record_are_one_request() {
    let merge = merge(Some("a"), None, &entries("web:80"));
    let expected =
        [(tag::CNS, "web:80"), (tag::CNS_SERVICES, "a,web:80")].map(|(k, v)| (k.to_owned(), v.into()));
    assert_eq!(merge.change, Change { set: expected.into(), remove: vec![] });
}

#[test]
fn a_tag_goes_by_a_removal() {
    let all = merge(Some("web"), Some("web"), &[]).change;
    assert_eq!(all, Change { set: Tags::new(), remove: vec![tag::CNS_SERVICES, tag::CNS] });
    let ours = merge(Some("a,web"), Some("web"), &[]).change;
    let kept = Tags::from([(tag::CNS_SERVICES.to_owned(), "a".into())]);
    assert_eq!(ours, Change { set: kept, remove: vec![tag::CNS] });
}

#[rstest]
#[case::a_person_had_it_first("web", "", "web:80", ["web", ""])]
#[case::in_other_letters("WEB:8080", "", "web:80", ["WEB:8080", ""])]
#[case::a_person_added_a_port("web:80,web:81", "web:80", "web:80", ["web:81", ""])]
#[case::a_person_changed_ours("web:81", "web:80", "web:80", ["web:81", ""])]
#[case::the_rest_goes_on("web", "", "web:80,api:1", ["web,api:1", "api:1"])]
fn a_name_that_a_person_set_is_reported_and_not_taken(
    #[case] current: &str,
    #[case] owned: &str,
    #[case] desired: &str,
    #[case] after: [&str; 2],
) {
    let merge = merge(Some(current), some(owned), &entries(desired));
    assert_eq!(merge.conflicts, [Conflict::NameTaken("web".into())]);
    assert_eq!(apply(&merge.change, current, owned), after);
}

#[test]
fn a_tag_that_cannot_be_read_is_left_alone() {
    let merge = merge(Some("web,,"), Some("web"), &entries("api"));
    assert!(merge.change.is_none());
    assert!(matches!(merge.conflicts[..], [Conflict::Unreadable(_)]), "{:?}", merge.conflicts);
}

#[test]
fn a_tag_that_would_be_too_long_is_left_alone() {
    let long = vec!["a"; 32_768].join(",");
    let merge = merge(Some(&long), None, &entries("web"));
    assert!(merge.change.is_none());
    assert!(matches!(merge.conflicts[..], [Conflict::TooLong(_)]));
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect()
}

#[test]
fn a_label_and_services_are_one_value() {
    let made = wanted(Some("ubuntu"), &entries("web-default:80")).against(&Tags::new());
    let value = "ubuntu,web-default:80";
    assert_eq!(made.change.set, tags(&[(tag::CNS_SERVICES, value), (tag::CNS, value)]));
    // Another label, while a person has added an entry.
    let before = tags(&[(tag::CNS_SERVICES, "ubuntu,web-default:80,mine"), (tag::CNS, value)]);
    let changed = wanted(Some("debian"), &entries("web-default:80")).against(&before);
    assert_eq!(changed.change.set[tag::CNS_SERVICES], "web-default:80,mine,debian".into());
    assert_eq!(changed.conflicts, []);
}

#[test]
fn a_name_of_the_label_is_not_taken_for_a_service() {
    let made = wanted(Some("web-default"), &entries("web-default:80,api:1")).against(&Tags::new());
    assert_eq!(made.conflicts, [Conflict::NameTaken("web-default".into())]);
    assert_eq!(made.change.set[tag::CNS_SERVICES], "web-default,api:1".into());
}

#[test]
fn a_label_that_cns_cannot_read_is_ignored() {
    let made = wanted(Some(".web"), &entries("api:1")).against(&Tags::new());
    assert!(matches!(made.conflicts[..], [Conflict::Label(_)]), "{:?}", made.conflicts);
    assert_eq!(made.change.set[tag::CNS_SERVICES], "api:1".into());
}

#[rstest]
#[case::no_tag(&[], &[])]
#[case::a_person_s(&[(tag::CNS_SERVICES, "Web:80,api")], &["api", "web"])]
#[case::ours(&[(tag::CLUSTER, "prod"), (tag::CNS, "web:80"), (tag::CNS_SERVICES, "web:80,api")], &["api"])]
#[case::another_cluster_s(&[(tag::CLUSTER, "dev"), (tag::CNS, "web:80"), (tag::CNS_SERVICES, "web:80")], &["web"])]
#[case::unreadable(&[(tag::CNS_SERVICES, "web,,")], &[])]
fn foreign_names_are_those_of_others(#[case] pairs: &[(&str, &str)], #[case] names: &[&str]) {
    assert_eq!(foreign_names(&tags(pairs), "prod").into_iter().collect::<Vec<_>>(), names);
}

#[rstest]
#[case::no_tag(&[(tag::CLUSTER, "prod")], &[])]
#[case::ours(&[(tag::CLUSTER, "prod"), (tag::CNS, "web:80,api")], &["api", "web"])]
#[case::another_cluster_s(&[(tag::CLUSTER, "dev"), (tag::CNS, "web:80")], &[])]
#[case::unreadable(&[(tag::CLUSTER, "prod"), (tag::CNS, "web,,")], &[])]
fn own_names_are_those_of_the_cluster(#[case] pairs: &[(&str, &str)], #[case] names: &[&str]) {
    assert_eq!(own_names(&tags(pairs), "prod").into_iter().collect::<Vec<_>>(), names);
}

fn entry() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec!["A:port=080", "b:weight= 3x", "C", "_d._tcp:1"]);
    prop_oneof![3 => "[a-d](:[1-3])?", 1 => odd.prop_map(str::to_owned)]
}

fn list(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(entry(), 0..most).prop_map(|entries| entries.join(","))
}

/// The entries of `current` that are not in the record, in order.
fn foreign_of(current: &str, owned: &str) -> Vec<String> {
    let mut recorded: Vec<&str> = owned.split(',').collect();
    let all = entries(current).into_iter().filter(|entry| !take(&mut recorded, entry.text()));
    all.map(|entry| entry.text().to_owned()).collect()
}

proptest! {
    #[test]
    fn others_never_change_and_a_second_merge_does_nothing(
        current in list(6), owned in list(4), desired in list(4),
    ) {
        let desired = entries(&desired);
        let merged = merge(some(&current), some(&owned), &desired);
        let [after, record] = apply(&merged.change, &current, &owned);
        prop_assert_eq!(foreign_of(&after, &record), foreign_of(&current, &owned));
        let again = merge(some(&after), some(&record), &desired);
        prop_assert!(again.change.is_none(), "{:?}", again);
        prop_assert_eq!(&again.conflicts, &merged.conflicts);
        let taken = |entry: &CnsService| merged.conflicts.contains(&Conflict::NameTaken(entry.name().into()));
        let texts: BTreeSet<&str> = desired.iter().filter(|entry| !taken(entry)).map(CnsService::text).collect();
        prop_assert_eq!(some(&record).into_iter().flat_map(|it| it.split(',')).collect::<BTreeSet<_>>(), texts);
    }

    #[test]
    fn without_wishes_exactly_the_others_are_left(current in list(6), owned in list(4)) {
        let merged = merge(some(&current), some(&owned), &[]);
        let [after, record] = apply(&merged.change, &current, &owned);
        prop_assert_eq!((after, record.as_str()), (foreign_of(&current, &owned).join(","), ""));
        prop_assert_eq!(merged.conflicts, []);
    }

    #[test]
    fn no_text_is_a_panic(current: String, owned: String, label: String) {
        let merged = wanted(Some(&label), &[]).against(
            &tags(&[(tag::CNS_SERVICES, &current), (tag::CNS, &owned)]),
        );
        if current.parse::<CnsServices>().is_err() && !current.is_empty() {
            prop_assert!(merged.change.is_none());
        }
    }
}

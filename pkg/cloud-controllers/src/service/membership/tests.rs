use proptest::prelude::*;
use rstest::rstest;
use uuid::Uuid;

use super::*;

/// Nodes by a letter each: `a+` serves, `a?` fails, `a0` is idle, `a-` drains, `ax` is out; a capital is in now.
fn read(text: &str) -> (BTreeSet<InstanceId>, BTreeMap<InstanceId, Standing>) {
    let (mut current, mut candidates) = (BTreeSet::new(), BTreeMap::new());
    for word in text.split_whitespace() {
        let [letter, standing] = word.as_bytes() else { panic!("{word}") };
        let standing = match standing {
            b'+' => Standing::Serving,
            b'?' => Standing::Troubled,
            b'0' => Standing::Idle,
            b'-' => Standing::Draining,
            b'x' => Standing::Out,
            _ => panic!("{word}"),
        };
        if letter.is_ascii_uppercase() {
            current.insert(id(*letter));
        }
        candidates.insert(id(*letter), standing);
    }
    (current, candidates)
}

fn id(letter: u8) -> InstanceId {
    Uuid::from_u128(u128::from(letter.to_ascii_lowercase())).into()
}

fn letters(members: &BTreeSet<InstanceId>) -> String {
    (b'a'..=b'z').filter(|letter| members.contains(&id(*letter))).map(char::from).collect()
}

fn look(text: &str, rules: Rules, memory: &Memory, now: Instant) -> Plan {
    let (current, candidates) = read(text);
    plan(&Observed { current: &current, candidates: &candidates, rules, memory, now })
}

/// What is so for long: the plan after a minute of it.
fn settled(text: &str, rules: Rules) -> Plan {
    let now = Instant::now();
    let first = look(text, rules, &Memory::default(), now);
    look(text, rules, &first.memory, now + Duration::from_secs(60))
}

#[rstest]
#[case::those_that_serve_join("a+ b+ c?", "ab", None)]
#[case::one_that_fails_leaves("A+ B+ C?", "ab", None)]
#[case::half_may_fail("A+ B?", "a", None)]
#[case::more_than_half_fail("A+ B? C?", "abc", Some(Held::Panic { troubled: 2, of: 3 }))]
#[case::all_fail("A? B?", "ab", Some(Held::Panic { troubled: 2, of: 2 }))]
#[case::all_fail_and_one_was_not_in("A? b?", "a", Some(Held::Panic { troubled: 2, of: 2 }))]
#[case::those_that_were_never_in_are_not_held("A+ b? c? d?", "a", None)]
#[case::idle_ones_leave("A+ B0", "a", None)]
#[case::idle_ones_do_not_join("a0", "", None)]
#[case::the_last_idle_ones_stay("A0 B0 C-", "ab", Some(Held::Last))]
#[case::drained_ones_leave("A+ B-", "a", None)]
#[case::the_last_drained_ones_stay("A- B-", "ab", Some(Held::Last))]
#[case::those_that_are_out_leave("A+ Bx", "a", None)]
#[case::those_that_are_out_leave_even_as_the_last("Ax", "", None)]
#[case::failing_nodes_are_not_held_for_those_that_leave("A+ Bx C- D?", "a", None)]
#[case::nothing("", "", None)]
fn members_are_those_that_serve(#[case] nodes: &str, #[case] members: &str, #[case] held: Option<Held>) {
    let plan = settled(nodes, Rules::default());
    assert_eq!((letters(&plan.members).as_str(), plan.held, plan.again), (members, held, None));
}

#[rstest]
#[case::the_first_ones("a+ b+ c+", "ab")]
#[case::those_that_are_in_stay("a+ B+ C+", "bc")]
#[case::one_takes_the_place_of_another("A+ B- c+", "ac")]
#[case::too_many_are_in("A+ B+ C+", "ab")]
#[case::those_that_fail_are_the_surplus("A? B? C? D+", "ad")]
#[case::fewer_than_that("a+", "a")]
#[case::the_last_ones("A0 B0 C0", "ab")]
fn a_service_may_limit_how_many_are_in(#[case] nodes: &str, #[case] members: &str) {
    let plan = settled(nodes, Rules { most: NonZeroUsize::new(2), ..Rules::default() });
    assert_eq!(letters(&plan.members), members);
}

#[rstest]
#[case::the_last_idle_one("A0", "")]
#[case::the_last_drained_one("A-", "")]
#[case::a_failure_is_still_the_control_planes("A?", "a")]
fn a_service_may_ask_to_be_emptied(#[case] nodes: &str, #[case] members: &str) {
    let plan = settled(nodes, Rules { publish_empty: true, ..Rules::default() });
    assert_eq!(letters(&plan.members), members);
}

#[rstest]
#[case(0, "A+ B+ C+ D?", "abcd")]
#[case(66, "A+ B? C?", "abc")]
#[case(67, "A+ B? C?", "a")]
#[case::even_then_the_last_stay(100, "A? B?", "ab")]
fn the_threshold_is_the_services(#[case] panic_threshold: u8, #[case] nodes: &str, #[case] members: &str) {
    let plan = settled(nodes, Rules { panic_threshold, ..Rules::default() });
    assert_eq!(letters(&plan.members), members);
}

#[test]
fn who_fails_leaves_after_ten_seconds_and_who_serves_again_joins_after_five() {
    let start = Instant::now();
    let at = |second: u64| start + Duration::from_secs(second);
    let rules = Rules::default();
    let steps = [
        (0, "A+ B+", "ab", None),
        (1, "A+ B?", "ab", Some(11)),
        (10, "A+ B?", "ab", Some(11)),
        (11, "A+ B?", "a", None),
        (12, "A+ b+", "a", Some(17)),
        (13, "A+ b?", "a", None),
        (14, "A+ b+", "a", Some(19)),
        (19, "A+ b+", "ab", None),
        (20, "A+ Bx", "a", None),
        (21, "A+ b+ c+", "a", Some(26)),
        (22, "Ax b+ c+", "bc", Some(26)),
    ];
    let mut memory = Memory::default();
    for (second, nodes, members, again) in steps {
        let plan = look(nodes, rules, &memory, at(second));
        let expected = (members.to_owned(), again.map(at));
        assert_eq!((letters(&plan.members), plan.again), expected, "second {second}");
        memory = plan.memory;
    }
}

#[test]
fn the_first_nodes_of_a_service_and_those_after_a_restart_are_not_waited_for() {
    let plan = look("A+ b+", Rules::default(), &Memory::default(), Instant::now());
    assert_eq!((letters(&plan.members).as_str(), plan.again), ("ab", None));
}

fn standings() -> impl Strategy<Value = Standing> {
    use Standing::{Draining, Idle, Out, Serving, Troubled};
    prop_oneof![Just(Serving), Just(Troubled), Just(Idle), Just(Draining), Just(Out)]
}

/// A history: at each second, how five nodes stand. Members follow the plan, at once.
fn histories() -> impl Strategy<Value = Vec<(u64, Vec<Standing>)>> {
    prop::collection::vec((0..20_u64, prop::collection::vec(standings(), 5)), 1..30)
}

proptest! {
    #[test]
    fn no_history_empties_a_service_that_has_nodes_which_are_not_out(history in histories()) {
        let (mut now, mut memory, mut current) = (Instant::now(), Memory::default(), BTreeSet::new());
        for (seconds, standings) in history {
            now += Duration::from_secs(seconds);
            let candidates: BTreeMap<_, _> = (b'a'..).map(id).zip(standings).collect();
            let observed = Observed {
                current: &current, candidates: &candidates, rules: Rules::default(), memory: &memory, now,
            };
            let plan = plan(&observed);
            let could_stay = current.iter().any(|id| candidates[id] != Standing::Out);
            let could_join = candidates.values().any(|standing| *standing == Standing::Serving);
            prop_assert_eq!(plan.members.is_empty(), !could_stay && !could_join);
            for id in &plan.members {
                prop_assert!(current.contains(id) || candidates[id] == Standing::Serving, "joined without serving");
                prop_assert!(candidates[id] != Standing::Out, "stayed though out");
            }
            (memory, current) = (plan.memory, plan.members);
        }
    }

    #[test]
    fn who_serves_and_is_in_stays_in_and_a_mass_failure_removes_nobody(standings in prop::collection::vec(standings(), 1..12)) {
        let candidates: BTreeMap<_, _> = (b'a'..).map(id).zip(standings).collect();
        let current: BTreeSet<_> = candidates.keys().copied().collect();
        let now = Instant::now();
        let look = |memory: &Memory, now| {
            plan(&Observed { current: &current, candidates: &candidates, rules: Rules::default(), memory, now })
        };
        let first = look(&Memory::default(), now);
        let later = look(&first.memory, now + Duration::from_secs(3600));
        let count = |wanted| candidates.values().filter(|it| **it == wanted).count();
        let mass = count(Standing::Troubled) > count(Standing::Serving);
        for (id, standing) in &candidates {
            let stays = *standing == Standing::Serving || (mass && *standing == Standing::Troubled);
            if stays {
                prop_assert!(later.members.contains(id));
            }
        }
    }
}

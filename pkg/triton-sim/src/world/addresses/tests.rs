use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn owner(number: u128) -> AccountId {
    Uuid::from_u128(number).into()
}

fn instance(number: u128) -> InstanceId {
    Uuid::from_u128(number).into()
}

fn addresses() -> Addresses {
    Addresses::new(ip(2), ip(5), [ip(1), ip(3), ip(255)])
}

#[test]
fn addresses_are_given_out_in_order_and_reused_the_longest_free_first() {
    let mut addresses = addresses();
    let given: Vec<_> = (0..4).map(|number| addresses.allocate(owner(1), instance(number))).collect();
    assert_eq!(given, [Some(ip(2)), Some(ip(4)), Some(ip(5)), None]);
    addresses.release(ip(5), instance(2));
    addresses.release(ip(2), instance(0));
    let given: Vec<_> = (10..13).map(|number| addresses.allocate(owner(1), instance(number))).collect();
    assert_eq!(given, [Some(ip(5)), Some(ip(2)), None]);
}

#[test]
fn only_its_holder_can_give_an_address_back() {
    let mut addresses = addresses();
    addresses.allocate(owner(1), instance(1));
    addresses.release(ip(2), instance(9));
    assert_eq!(addresses.get(ip(2)).unwrap().instance, Some(instance(1)));
}

#[test]
fn a_certain_address_can_be_taken_unless_it_is_managed_used_or_foreign() {
    let mut addresses = addresses();
    assert!(!addresses.take(ip(1), owner(1), instance(1)));
    assert!(addresses.take(ip(4), owner(1), instance(1)));
    assert!(!addresses.take(ip(4), owner(1), instance(2)));
    assert_eq!(addresses.allocate(owner(1), instance(3)), Some(ip(2)));
    assert_eq!(addresses.allocate(owner(1), instance(4)), Some(ip(5)));
    addresses.set_reserved(ip(100), owner(1), true);
    assert!(!addresses.take(ip(100), owner(2), instance(5)));
    assert!(addresses.take(ip(100), owner(1), instance(5)));
}

#[test]
fn a_reserved_address_is_not_given_out_and_stays_reserved() {
    let mut addresses = addresses();
    addresses.set_reserved(ip(2), owner(1), true);
    assert_eq!(addresses.allocate(owner(1), instance(1)), Some(ip(4)));
    assert!(addresses.take(ip(2), owner(1), instance(2)));
    addresses.release(ip(2), instance(2));
    assert!(addresses.get(ip(2)).unwrap().reserved);
    addresses.set_reserved(ip(2), owner(1), false);
    assert_eq!(addresses.get(ip(2)), None);
    assert_eq!(addresses.allocate(owner(1), instance(3)), Some(ip(5)));
    assert_eq!(addresses.allocate(owner(1), instance(4)), Some(ip(2)));
    addresses.set_reserved(ip(1), owner(1), false);
    assert!(addresses.get(ip(1)).unwrap().managed);
}

#[test]
fn a_range_at_the_end_of_all_addresses_does_not_overflow() {
    let last = Ipv4Addr::BROADCAST;
    let mut addresses = Addresses::new(last, last, []);
    assert_eq!(addresses.allocate(owner(1), instance(1)), Some(last));
    assert_eq!(addresses.allocate(owner(1), instance(2)), None);
}

proptest! {
    #[test]
    fn no_address_is_given_out_twice_and_all_come_back(
        steps in prop::collection::vec((0..4_u8, 0..8_u8), 0..60),
    ) {
        let mut addresses = addresses();
        let mut held: BTreeMap<Ipv4Addr, InstanceId> = BTreeMap::new();
        for (number, (step, last)) in steps.into_iter().enumerate() {
            let id = instance(number as u128);
            let address = ip(last);
            match step {
                0 => {
                    if let Some(ip) = addresses.allocate(owner(1), id) {
                        prop_assert!(held.insert(ip, id).is_none());
                    }
                }
                1 => {
                    if addresses.take(address, owner(1), id) {
                        prop_assert!(held.insert(address, id).is_none());
                    }
                }
                2 => {
                    if let Some(id) = held.remove(&address) {
                        addresses.release(address, id);
                    }
                }
                _ => addresses.set_reserved(address, owner(1), last % 2 == 0),
            }
        }
        for (ip, id) in held {
            addresses.release(ip, id);
        }
        prop_assert!(!addresses.in_use());
        for last in 0..8 {
            addresses.set_reserved(ip(last), owner(1), false);
        }
        let given: BTreeSet<_> = (0..9).filter_map(|number| addresses.allocate(owner(1), instance(number))).collect();
        prop_assert_eq!(given, BTreeSet::from([ip(2), ip(4), ip(5)]));
    }
}

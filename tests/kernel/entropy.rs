//! Randomness follows from the seed, whichever way a program asks for it.

use crate::{both, run_with};
use squall::kernel::Config;
use std::collections::HashMap;
use std::io::Read;

fn bytes_of_every_source() -> Vec<u8> {
    let mut all = vec![0u8; 64];
    // SAFETY: each call is given a live buffer of the length that it is told.
    unsafe {
        assert_eq!(libc::getrandom(all.as_mut_ptr().cast(), 16, 0), 16);
        assert_eq!(libc::getentropy(all.as_mut_ptr().add(16).cast(), 16), 0);
        let n = libc::syscall(
            libc::SYS_getrandom,
            all.as_mut_ptr().add(32),
            16usize,
            0usize,
        );
        assert_eq!(n, 16);
    }
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut all[48..])
        .unwrap();
    assert!(all.chunks(16).all(|c| c.iter().any(|b| *b != 0)));
    all
}

#[test]
fn equal_seeds_give_equal_bytes_and_others_differ() {
    let one = both(1, bytes_of_every_source);
    let again = both(1, bytes_of_every_source);
    let two = both(2, bytes_of_every_source);
    assert_eq!(one, again);
    assert_eq!(one[0], one[1]);
    assert_ne!(one, two);
}

#[test]
fn hash_maps_iterate_alike_in_each_run_of_a_seed() {
    fn order() -> Vec<u32> {
        let map: HashMap<u32, ()> = (0..50).map(|i| (i, ())).collect();
        map.into_keys().collect()
    }
    let orders: Vec<Vec<u32>> = [1, 1, 2, 1]
        .iter()
        .map(|seed| {
            run_with(Config::default(), *seed, order)
                .0
                .unwrap()
                .unwrap()
        })
        .collect();
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[0], orders[3]);
    assert_ne!(orders[0], orders[2]);
}
